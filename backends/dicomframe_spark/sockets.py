"""Let Java and Python of a local session talk without TCP."""

from __future__ import annotations

import functools
import os
import tempfile

MAX_FOLDER_CHARACTERS = 60
"""The longest path of a folder for sockets; the system ends their whole names at 104 or 108."""


def choose_sockets() -> dict[str, str]:
    """Return the configuration of Spark for it; none where it cannot be, or the user has chosen.

    Over TCP on the loopback each task waits for acknowledgements. Spark before 4.1 takes no
    notice. Spark leaves sockets behind where a session is not stopped, so they lie in a folder
    that goes with this process.
    """
    if os.name != "posix" or "PYSPARK_UDS_MODE" in os.environ:
        return {}
    folder = _make_folder().name
    if len(folder) > MAX_FOLDER_CHARACTERS:
        return {}
    return {
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.unix.domain.socket.dir": folder,
    }


@functools.cache
def _make_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="dicomframe-")
