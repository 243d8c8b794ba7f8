"""What is imported when, and what the wheel holds."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from dicomframe.api import plan_read
from dicomframe.testing.trees import make_tree

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
ENGINES = {"pyspark", "dask", "pandas", "dicomframe_spark", "dicomframe_dask"}
CLIENTS = {"elasticsearch", "opensearchpy"}
PACKAGES = {
    *("dicomframe", "dicomframe_spark", "dicomframe_dask", "pyspark_dicom"),
    *("dicomframe_elasticsearch", "dicomframe_http", "dicomframe_solr", "dicomframe_hbase"),
}
PYARROW_IMPORTS = {"pandas"}  # where it is installed, to see whether a list is a Series


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that are there after a new process ran `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_of_dicomframe_imports_no_engine_and_no_client_of_a_server() -> None:
    assert not imported_by("import dicomframe") & (ENGINES | CLIENTS)


def test_import_of_dicomframe_imports_no_test_tool_and_no_command_line() -> None:
    assert not imported_by("import dicomframe") & {"pytest", "typer", "rich"}


def test_door_for_authors_imports_no_engine() -> None:
    assert not imported_by("import dicomframe.plugin, dicomframe.registry") & ENGINES
    doors = "import dicomframe.sinks.plugin, dicomframe.sinks.registry"
    assert not imported_by(doors) & (ENGINES | CLIENTS)


def test_scan_imports_no_engine(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    code = f"import dicomframe; print(len(list(dicomframe.scan_dicom({str(tmp_path)!r}))))"
    assert not imported_by(code) & ENGINES - PYARROW_IMPORTS


def test_unpickled_plan_imports_no_engine(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    plan = tmp_path / "plan"
    plan.write_bytes(pickle.dumps(plan_read(tmp_path, ["Rows"], warnings=True, npartitions=3)))
    code = (
        f"import pickle; plan = pickle.load(open({str(plan)!r}, 'rb'))\n"
        "[list(plan.reader(partition)) for partition in plan.partitions]"
    )
    assert not imported_by(code) & ENGINES - PYARROW_IMPORTS


BREAKS = {
    "layers": ("dicomframe/scan/options.py", "import dicomframe.api"),
    "layers with a module that has no floor": ("dicomframe/helpers.py", ""),
    "layers-of-scan": ("dicomframe/scan/urls.py", "import dicomframe.scan.planning"),
    "layers-of-scan with a module that has no floor": ("dicomframe/scan/helpers.py", ""),
    "layers-of-dicom": ("dicomframe/dicom/values.py", "import dicomframe.dicom.header"),
    "layers-of-dicom with a module that has no floor": ("dicomframe/dicom/helpers.py", ""),
    "layers-of-catalog": ("dicomframe/catalog/state.py", "import dicomframe.catalog.run"),
    "layers-of-catalog with a module that has no floor": ("dicomframe/catalog/helpers.py", ""),
    "no-engine": ("dicomframe/registry.py", "def f(): import pyspark.sql"),
    "no-engine by a backend": ("dicomframe/api.py", "import dicomframe_dask"),
    "no-engine by pandas": ("dicomframe/dicom/text.py", "from pandas import DataFrame"),
    "no-sink": ("dicomframe/sinks/search.py", "import elasticsearch"),
    "no-sink by an adapter": ("dicomframe/sinks/registry.py", "import dicomframe_solr"),
    "authors-door": ("backends/dicomframe_dask/__init__.py", "from dicomframe import api"),
    "authors-door in a module": ("backends/dicomframe_spark/java.py", "import dicomframe.errors"),
    "sinks-door": (
        "backends/dicomframe_elasticsearch/bulk.py",
        "from dicomframe.sinks import retrying",
    ),
    "sinks-door to the door of backends": (
        "backends/dicomframe_solr/schema.py",
        "import dicomframe.plugin",
    ),
    "sinks-know-no-engine": (
        "backends/dicomframe_elasticsearch/elastic.py",
        "def f(): import dask",
    ),
    "not-the-users-door": (
        "backends/dicomframe_spark/task.py",
        "from dicomframe import read_dicom",
    ),
    "not-the-users-door in a package": (
        "backends/dicomframe_dask/__init__.py",
        "import dicomframe",
    ),
    "not-the-users-door in a sink": (
        "backends/dicomframe_elasticsearch/mapping.py",
        "from dicomframe import SinkError",
    ),
    "backends": ("backends/dicomframe_spark/task.py", "import dicomframe_dask"),
    "backends by sinks": ("backends/dicomframe_elasticsearch/bulk.py", "import dicomframe_solr"),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the sources, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("dicomframe", "backends"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as the lint session does."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), "backends"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_contracts_are_kept(checkout: Path) -> None:
    done = lint_imports(checkout)
    assert done.returncode == 0, done.stdout
    assert " kept, 0 broken" in done.stdout


@pytest.mark.parametrize("contract", BREAKS)
def test_contract_that_is_broken_on_purpose_fails(checkout: Path, contract: str) -> None:
    file, line = BREAKS[contract]
    with (checkout / file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint_imports(checkout)
    names = {found["id"]: found["name"] for found in CONTRACTS}
    assert done.returncode == 1
    assert f"{names[contract.split(maxsplit=1)[0]]} BROKEN" in done.stdout


def test_every_contract_is_broken_on_purpose() -> None:
    assert {found["id"] for found in CONTRACTS} == {name.split()[0] for name in BREAKS}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel under test, or a new one where the checkout itself is."""
    given = os.environ.get("DICOMFRAME_WHEEL")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_these_packages_and_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    assert packages == PACKAGES
    assert len(tops) == len(PACKAGES) + 1


def test_each_package_of_the_wheel_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
