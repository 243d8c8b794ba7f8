"""Ranges of bytes that only come piece after piece, such as what is unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

__all__ = ["Pieces"]


class Pieces:
    """Read ranges in any order; going back begins anew.

    Parameters
    ----------
    open_pieces
        Begin: an iterator of pieces, none of them empty. What it raises is raised again by every
        read that would pass it.
    """

    __slots__ = ("_at", "_fault", "_open_pieces", "_piece", "_pieces")

    def __init__(self, open_pieces: Callable[[], Iterator[bytes]]) -> None:
        self._open_pieces = open_pieces
        self._begin()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, fewer only at the end."""
        found = bytearray()
        while self._reach(start + len(found)) and start + len(found) < stop:
            near = start + len(found) - self._at
            found += self._piece[near : near + stop - start - len(found)]
        return bytes(found)

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Fill `buffer` from `start` on, and return how much there was."""
        done = 0
        while done < len(buffer) and self._reach(start + done):
            near = start + done - self._at
            part = memoryview(self._piece)[near : near + len(buffer) - done]
            buffer[done : done + len(part)] = part
            done += len(part)
        return done

    def pass_to(self, position: int) -> int:
        """Move to `position`, or to the end; return the position reached."""
        self._reach(position)
        return min(position, self._at + len(self._piece))

    def _begin(self) -> None:
        self._pieces = self._open_pieces()
        self._piece, self._at = b"", 0
        self._fault: Exception | None = None

    def _reach(self, position: int) -> bool:
        """Have the piece with the byte at `position`; tell whether there is one."""
        if position < self._at:
            self._begin()
        while position >= self._at + len(self._piece):
            if self._fault is not None:
                raise self._fault.with_traceback(None)
            try:
                piece = next(self._pieces, None)
            except Exception as fault:
                self._fault = fault
                self._pieces = iter(())
                raise
            if piece is None:
                return False
            self._at += len(self._piece)
            self._piece = piece
        return True
