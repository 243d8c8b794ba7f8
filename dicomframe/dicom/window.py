"""The part of a file that is at hand, moved forward as it is read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from dicomframe.dicom.damage import too_large
from dicomframe.dicom.limits import Limits

Request = tuple[int, int]
"""Bytes wanted of a file: where they start and where they stop."""

_Result = TypeVar("_Result")
Reading: TypeAlias = Generator[Request, bytes, _Result]
"""What yields ranges of a file, is sent their bytes, and returns what it makes of them."""

_FIRST_LOAD_BYTES = 16 << 10
_MOST_LOAD_BYTES = 1 << 20


class NotAtHand(Exception):
    """Bytes are wanted up to `stop` of the file, and not all of them are at hand."""

    def __init__(self, stop: int) -> None:
        super().__init__(stop)
        self.stop = stop


class Window:
    """Hold the bytes of a file from `base` on.

    Attributes
    ----------
    buffer : bytes
        What is at hand.
    base : int
        Where in the file `buffer` begins.
    size : int
        Bytes of the file.
    limits : Limits
        How far to go.
    """

    __slots__ = ("_load_bytes", "_most_stop", "base", "buffer", "limits", "size")

    def __init__(self, buffer: bytes, base: int, size: int, limits: Limits) -> None:
        self.buffer = buffer
        self.base = base
        self.size = size
        self.limits = limits
        self._load_bytes = _FIRST_LOAD_BYTES
        self._most_stop = base + limits.header_bytes

    def pass_over(self, count: int) -> None:
        """Be told of bytes that are no part of the header and need not be loaded."""
        self._most_stop += count

    def peek(self, start: int, count: int) -> bytes:
        """Return `count` bytes from `start`, fewer only at the end of the file.

        Raises
        ------
        NotAtHand
            They must be loaded first.
        """
        near = start - self.base
        found = self.buffer[near : near + count] if near >= 0 else b""
        if len(found) < count and start + len(found) < self.size:
            raise NotAtHand(start + count)
        return found

    def fill(self, start: int, stop: int) -> Reading[None]:
        """Move to `start` of the file and have its bytes up to `stop` or to the end.

        Each load is twice the one before, up to 1 MiB; after a jump they begin small again.

        Raises
        ------
        Damage
            ``too_large``: more than the limit of header bytes is needed.
        """
        kept = self.buffer[start - self.base :]
        begin, needed = start + len(kept), min(stop, self.size)
        if needed > begin:
            if needed > self._most_stop:
                raise too_large("header_bytes", self.limits.header_bytes, start)
            if start > self.base + len(self.buffer):
                self._load_bytes = _FIRST_LOAD_BYTES
            usual = min(begin + self._load_bytes, self.size, self._most_stop)
            kept += yield (begin, max(needed, usual))
            self._load_bytes = min(2 * self._load_bytes, _MOST_LOAD_BYTES)
        self.buffer = kept
        self.base = start


def feed(reading: Reading[_Result], read: Callable[[int, int], bytes]) -> _Result:
    """Return what `reading` makes of the bytes that `read` returns for the ranges it wants.

    Raises
    ------
    Damage
        What it raises.
    """
    try:
        start, stop = next(reading)
        while True:
            start, stop = reading.send(read(start, stop))
    except StopIteration as end:
        result: _Result = end.value
        return result
