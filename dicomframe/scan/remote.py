"""Read ranges of one remote file, each checked and tried again by its `Fetcher`."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future

from dicomframe.scan.fetching import Answer, Ask, Fetcher
from dicomframe.scan.ranges import Closing, StorageFault, short_answer

__all__ = ["PIECE_BYTES", "RangeFile"]

PIECE_BYTES = 8 << 20
"""Longer ranges are fetched in pieces of this size, some at once."""

_PIECES_AT_ONCE = 4


class RangeFile(Closing):
    """Read a remote file by ranges; what was fetched last is kept.

    Attributes
    ----------
    size
        The length of the file in bytes, as listed or as the store tells.
    bytes_read, requests
        What was fetched of it, and how often the store was asked.
    version
        What the store told of its content, at the listing or with the first answer.
    """

    __slots__ = ("_chunks", "_fetcher", "_path", "bytes_read", "requests", "size", "version")

    def __init__(
        self, fetcher: Fetcher, path: str, size: int | None, version: int | None = None
    ) -> None:
        self._fetcher = fetcher
        self._path = path
        self.version = version
        self._chunks: list[tuple[int, bytes]] = []
        self.bytes_read = 0
        self.requests = 0
        self.size = fetcher.submit_size(path).result() if size is None else size

    def close(self) -> None:
        """Forget what was fetched."""
        self._chunks.clear()

    def ask(self, start: int, stop: int) -> Ask:
        """Return the request for a range of this file, as it was listed or first seen."""
        return Ask(self._path, start, stop, self.size, self.version)

    def note(self, answer: Answer) -> None:
        """Count an answer; later ones must be of the same content."""
        self.bytes_read += len(answer.data)
        self.requests += answer.requests
        if self.version is None:
            self.version = answer.version

    def keep(self, answer: Answer) -> None:
        """Count an answer and keep it for `read` and `read_into`."""
        self.note(answer)
        self._chunks.append((answer.start, answer.data))

    def keep_only(self, start: int, stop: int) -> None:
        """Forget all that was fetched but what holds the bytes from `start` to `stop`."""
        self._chunks = [
            (at, data) for at, data in self._chunks if at <= start and stop <= at + len(data)
        ]

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept."""
        return sum(len(data) for _, data in self._chunks)

    def find(self, start: int, stop: int) -> bytes | None:
        """Return the bytes from `start` to `stop` if they were fetched."""
        for at, data in reversed(self._chunks):
            if at <= start and stop <= at + len(data):
                return data[start - at : stop - at]
        return None

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`."""
        if stop > self.size:
            raise StorageFault(short_answer(start, stop, max(0, self.size - start)))
        if start >= stop:
            return b""
        found = self.find(start, stop)
        if found is not None:
            return found
        if stop - start > PIECE_BYTES:
            whole = bytearray(stop - start)
            self.read_into(start, memoryview(whole))
            return bytes(whole)
        self._chunks.clear()
        self.keep(self._fetcher.submit(self.ask(start, stop)).result())
        return self.find(start, stop) or b""

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on, with several requests at once."""
        found = self.find(start, start + len(buffer))
        if found is not None:
            buffer[:] = found
            return
        if start + len(buffer) > self.size:
            raise StorageFault(short_answer(start, start + len(buffer), max(0, self.size - start)))
        pieces: deque[tuple[int, int, Future[Answer]]] = deque()
        cuts = iter(range(0, len(buffer), PIECE_BYTES))
        cut = next(cuts, None)
        try:
            while cut is not None or pieces:
                while cut is not None and len(pieces) < _PIECES_AT_ONCE:
                    stop = min(len(buffer), cut + PIECE_BYTES)
                    ask = self.ask(start + cut, start + stop)
                    pieces.append((cut, stop, self._fetcher.submit(ask)))
                    cut = next(cuts, None)
                at, stop, future = pieces.popleft()
                answer = future.result()
                self.note(answer)
                skip = start + at - answer.start
                buffer[at:stop] = answer.data[skip : skip + stop - at]
        finally:
            for _, _, future in pieces:
                future.cancel()
