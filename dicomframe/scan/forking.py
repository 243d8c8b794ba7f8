"""Keep connections to HDFS alive in a process that forks, which cannot close them."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__: list[str] = []

_held: list[Any] = []


def _hold() -> None:
    """Refer to all file systems of hdfs-native that fsspec keeps.

    In the child of a fork fsspec forgets them, and closing one waits for a thread that is not
    there: a subprocess with a `preexec_fn`, such as the Java of Spark, would never start.
    """
    module = sys.modules.get("hdfs_native.fsspec")
    for found in list(vars(module).values()) if module else ():
        _held.extend(getattr(found, "_cache", {}).values() if isinstance(found, type) else ())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_held.clear)
