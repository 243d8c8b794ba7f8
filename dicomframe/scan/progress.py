"""Tell how many files were found while a listing runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from dicomframe.errors import InvalidOptionError

__all__ = ["Counter", "Progress"]

Progress = bool | Callable[[int], object]
"""What tells the count: nothing, a line on stderr, or a callable that is given it."""

_SECONDS_BETWEEN = 0.1


class Counter:
    """Count files, and tell the count at most ten times a second.

    Parameters
    ----------
    progress
        False for silence, True for a line on stderr, or what is called with the count so far,
        always in the thread that lists.

    Raises
    ------
    InvalidOptionError
        It is none of these.
    """

    def __init__(self, progress: Progress = False) -> None:  # noqa: FBT002
        if not isinstance(progress, bool) and not callable(progress):
            raise InvalidOptionError(
                "progress must be True, False or a callable that takes the count, "
                f"found {progress!r}"
            )
        self.count = 0
        self._tell = _write_line if progress is True else progress or None
        self._is_line = progress is True
        self._lock = threading.Lock()
        self._told_at = time.monotonic()
        self._told = 0

    def add(self, count: int) -> None:
        """Count some more; any thread may."""
        with self._lock:
            self.count += count

    def show(self) -> None:
        """Tell the count if it is time to."""
        if self._tell is not None and time.monotonic() - self._told_at >= _SECONDS_BETWEEN:
            self._told_at = time.monotonic()
            self._tell_once()

    def finish(self) -> None:
        """Tell the last count."""
        self._tell_once()
        if self._is_line and self._told:
            sys.stderr.write("\n")

    def _tell_once(self) -> None:
        if self._tell is not None and self._told != self.count:
            self._told = self.count
            self._tell(self.count)


def _write_line(count: int) -> None:
    sys.stderr.write(f"\rfound {count:,} files")
    sys.stderr.flush()
