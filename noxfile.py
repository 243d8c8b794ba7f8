"""What a contributor runs: ``nox`` for all of it, ``nox -l`` for the list."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

if sys.version_info < (3, 11):  # noqa: UP036  (nox itself may run on an older one)
    sys.exit(f"nox runs here on Python {sys.version.split()[0]}, dicomframe needs 3.11 or later")

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
ENGINES = sorted(PROJECT["project"]["entry-points"]["dicomframe.backends"])
SPARKS = ["4.0.5", "4.1.4", "4.2.1", "4.3.0"]
DASKS = ["2025.1.0", "newest"]
PYTHONS = ["3.11", "3.12", "3.13"]
TEST = nox.project.dependency_groups(PROJECT, "test")
LINT = nox.project.dependency_groups(PROJECT, "lint")
NO_ENGINE = """
import importlib.util
found = [name for name in ("dask", "pandas", "pyspark") if importlib.util.find_spec(name)]
assert not found, f"an engine is installed: {found}"
"""


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and layers."""
    session.install(*LINT, *TEST, ".[cli]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", env={"PYTHONPATH": "backends"})


@nox.session
def core(session: nox.Session) -> None:
    """Test all that needs no engine, with none installed."""
    wheel = build_wheel(session)
    session.install(*TEST, f"{wheel}[cli,s3,catalog]")
    session.run("python", "-c", NO_ENGINE)
    others = ["tests/stores", "tests/clusters", "tests/sinks"]
    others += [f"tests/backends/{engine}" for engine in ENGINES]
    ignored = (f"--ignore={other}" for other in others)
    run_pytest(session, wheel, "tests", *ignored, "-n", "2", "--dist", "loadfile")


@nox.session
@nox.parametrize("engine", ENGINES, ids=ENGINES)
def backend(session: nox.Session, engine: str) -> None:
    """Test one backend, as its extra installs it."""
    wheel = build_wheel(session)
    extras = {"spark": "spark,java,cli,catalog"}.get(engine, f"{engine},cli,catalog")
    more = ["distributed", "./examples/dicomframe-pandas"] if engine == "dask" else []
    session.install(*TEST, f"{wheel}[{extras}]", *more)
    run_pytest(session, wheel, f"tests/backends/{engine}")
    if engine == "dask":
        run_pytest(session, wheel, "examples/dicomframe-pandas")


@nox.session
def stores(session: nox.Session) -> None:
    """Test both engines against real servers of S3 and HDFS, which are fetched once."""
    wheel = build_wheel(session)
    session.install(*TEST, f"{wheel}[s3,hdfs,spark,java,dask,cli,catalog]")
    run_pytest(session, wheel, "tests/stores", "-n", "2", "--dist", "loadscope")


@nox.session
def sinks(session: nox.Session) -> None:
    """Test both engines against real servers of every sink, which are fetched once."""
    wheel = build_wheel(session)
    extras = "elasticsearch,opensearch,solr,hbase,spark,java,dask,cli,catalog"
    client = "elasticsearch<9"  # of the version of the node, which starts on Java 17
    session.install(*TEST, f"{wheel}[{extras}]", client, "distributed")
    session.run("python", "-m", "servers.fetching", env={"PYTHONPATH": "tests"})
    run_pytest(session, wheel, "tests/sinks", "-n", "2", "--dist", "loadgroup")


@nox.session
def clusters(session: nox.Session) -> None:
    """Test both engines on clusters of processes, and Spark Connect by a client without Java."""
    wheel = build_wheel(session)
    session.install(*TEST, f"{wheel}[spark,java,dask]", "distributed", "psutil")
    client = Path(session.virtualenv.location, "client").resolve()
    shutil.rmtree(client, ignore_errors=True)
    make = ["-m", "virtualenv", "--python", f"{session.bin}/python", str(client)]
    session.run(sys.executable, *make, external=True, silent=True)  # nox brings virtualenv
    python = str(client / "bin" / "python")
    install = ["-m", "pip", "install", "--quiet", str(wheel), "pyspark-client", "pytest"]
    session.run(python, *install, external=True)
    session.env["DICOMFRAME_CONNECT_CLIENT"] = python
    run_pytest(session, wheel, "tests/clusters")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration of the README."""
    session.install(f"{build_wheel(session)}[dask,cli]")
    session.run("dicomframe", "demo")


@nox.session(python=PYTHONS, default=False)
@nox.parametrize("version", SPARKS, ids=SPARKS)
def spark_versions(session: nox.Session, version: str) -> None:
    """Test the Spark backend on one version of Spark, whose wheel is built once for all."""
    cache = Path(session.cache_dir).resolve()
    wheelhouse, results = cache / "wheelhouse", cache / "compatibility"
    wheelhouse.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    if not list(wheelhouse.glob(f"pyspark-{version}-*.whl")):  # 434 MB, no wheel on PyPI
        session.install("pip", "setuptools", "wheel")
        make = ["-m", "pip", "wheel", "--no-deps", "-w", str(wheelhouse)]
        session.run("python", *make, f"pyspark=={version}")
    wheel = build_wheel(session)
    wanted = [f"pyspark[sql,connect]=={version}", f"{wheel}[spark,java,cli,catalog]"]
    session.install("--find-links", str(wheelhouse), *TEST, *wanted)
    result = results / f"spark-{version}-py{session.python}.xml"
    run_pytest(session, wheel, "tests/backends/spark", f"--junitxml={result}")


@nox.session(python=PYTHONS, default=False)
@nox.parametrize("version", DASKS, ids=DASKS)
def dask_versions(session: nox.Session, version: str) -> None:
    """Test the Dask backend on the oldest and the newest Dask."""
    results = Path(session.cache_dir).resolve() / "compatibility"
    results.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(session)
    pins = [f"dask[dataframe]=={version}", f"distributed=={version}"]
    wanted = [f"{wheel}[dask,cli,catalog]", "distributed", *pins[: 2 * (version != "newest")]]
    session.install(*TEST, *wanted)
    tell = "from importlib.metadata import version; print(version('dask'))"
    installed = str(session.run("python", "-c", tell, silent=True)).strip()
    result = results / f"dask-{installed}-py{session.python}.xml"
    run_pytest(session, wheel, "tests/backends/dask", f"--junitxml={result}")


def build_wheel(session: nox.Session) -> Path:
    """Return the wheel of this checkout."""
    folder = Path(session.virtualenv.location, "wheel").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    session.install(*PROJECT["build-system"]["requires"])
    session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), silent=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_pytest(session: nox.Session, wheel: Path, *arguments: str) -> None:
    """Run tests against the installed wheel: the checkout is not on the path."""
    session.run("pytest", *arguments, *session.posargs, env={"DICOMFRAME_WHEEL": str(wheel)})
