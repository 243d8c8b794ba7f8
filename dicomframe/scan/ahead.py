"""Read the headers of remote files ahead: many requests in flight, in a bounded window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Reading
from dicomframe.scan.fetching import Ask, Fetcher
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.ranges import StorageFault
from dicomframe.scan.remote import PIECE_BYTES, RangeFile

__all__ = ["AheadFile", "read_ahead"]

_MOST_FIRST_BYTES = 1 << 20
_MOST_WIDENED = 4 << 20
_JUMP_BYTES = 16 << 10
_FILES_PER_REQUEST = 4
"""So many files wait for one slow file before it, for each request that may be in flight."""


class AheadFile(RangeFile):
    """Hold what was fetched of one remote file, and what became of its header.

    Attributes
    ----------
    listed
        The file as it was listed.
    header
        The header of a sound file.
    failure
        Why there is no header: what the parser or the storage raised.
    """

    __slots__ = ("failure", "header", "held", "is_done", "listed", "steps")

    def __init__(self, fetcher: Fetcher, listed: ListedFile) -> None:
        super().__init__(fetcher, listed.path, listed.size or 0, listed.version)
        self.listed = listed
        self.header: Header | None = None
        self.failure: BaseException | None = None
        self.is_done = False
        self.held = 0
        self.steps: Generator[Ask | None, Any, None]


def read_ahead(
    files: Iterable[ListedFile],
    fetcher: Fetcher,
    start_reading: Callable[[AheadFile], Reading[Header]],
    *,
    wants_pixels: bool,
) -> Iterator[AheadFile]:
    """Yield each file once its header is read, or cannot be, in the order given.

    Up to ``in_flight`` requests run while headers are parsed here, and up to ``window_bytes``
    are asked for or held. A small file is fetched whole if its Pixel Data is wanted; a large
    value of Pixel Data is left to `AheadFile.read_into`.

    Parameters
    ----------
    files
        Files of one store.
    fetcher
        The connection to it.
    start_reading
        Returns the parser of a file whose size is known.
    wants_pixels
        Whether Pixel Data will be read too.
    """
    return _Window(fetcher, start_reading, wants_pixels=wants_pixels).run(iter(files))


class _Window:
    def __init__(
        self,
        fetcher: Fetcher,
        start_reading: Callable[[AheadFile], Reading[Header]],
        *,
        wants_pixels: bool,
    ) -> None:
        self._fetcher = fetcher
        self._transfer = fetcher.transfer
        self._start_reading = start_reading
        self._wants_pixels = wants_pixels
        self._first_bytes = self._transfer.first_bytes
        self._files: deque[AheadFile] = deque()
        self._waiting: deque[tuple[AheadFile, Ask | None]] = deque()
        self._flying: set[Future[Any]] = set()
        self._arrived: SimpleQueue[tuple[AheadFile, Future[Any]]] = SimpleQueue()
        self._held = 0

    def run(self, files: Iterator[ListedFile]) -> Iterator[AheadFile]:
        following = next(files, None)
        try:
            while following is not None or self._files:
                while following is not None and self._has_room():
                    self._begin(following)
                    following = next(files, None)
                self._send_waiting()
                if self._files[0].is_done:
                    file = self._files.popleft()
                    yield file
                    file.close()
                    self._account(file, 0)
                else:
                    self._advance(*self._arrived.get())
        finally:
            for future in self._flying:
                future.cancel()

    def _has_room(self) -> bool:
        return not self._files or (
            len(self._flying) + len(self._waiting) < self._transfer.in_flight
            and len(self._files) < self._transfer.in_flight * _FILES_PER_REQUEST
            and self._held < self._transfer.window_bytes
        )

    def _begin(self, listed: ListedFile) -> None:
        file = AheadFile(self._fetcher, listed)
        file.steps = self._steps(file)
        self._files.append(file)
        self._step(file, None, None)

    def _advance(self, file: AheadFile, future: Future[Any]) -> None:
        self._flying.discard(future)
        fault = future.exception()
        self._step(file, None if fault else future.result(), fault)

    def _step(self, file: AheadFile, result: Any, fault: BaseException | None) -> None:
        """Let a file go on with an answer, or with a fault, up to its next request."""
        try:
            wanted = file.steps.throw(fault) if fault else file.steps.send(result)
        except StopIteration:
            pass
        except Exception as failure:
            file.failure = failure
        else:
            self._waiting.append((file, wanted))
            return
        file.is_done = True
        header = file.header
        if self._wants_pixels and header and header.pixel_length and header.pixel_offset:
            file.keep_only(header.pixel_offset, header.pixel_offset + header.pixel_length)
        elif not isinstance(file.failure, Damage):  # whose first bytes may be an archive's
            file.close()
        self._account(file, file.kept_bytes)

    def _steps(self, file: AheadFile) -> Generator[Ask | None, Any, None]:
        """Yield what to ask for, None for the size; be sent the answers; set the header."""
        if file.listed.trouble is not None:
            raise StorageFault(file.listed.trouble)
        if file.listed.size is None:
            file.size = yield None
        reading = self._start_reading(file)
        is_whole = self._wants_pixels and file.size <= PIECE_BYTES
        reach = file.size if is_whole else self._first_bytes
        asked_to = 0
        try:
            start, stop = next(reading)
            while True:
                data = file.find(start, stop)
                if data is None:
                    if start - asked_to > reach:
                        wide = _JUMP_BYTES  # from fragment to fragment, say
                    else:
                        wide, reach = reach, min(2 * reach, _MOST_WIDENED)
                    is_longer = 0 < asked_to == start
                    asked_to = min(file.size, max(stop, start + wide))
                    if is_longer:
                        self._first_bytes = min(max(self._first_bytes, stop), _MOST_FIRST_BYTES)
                    file.close()
                    file.keep((yield file.ask(start, asked_to)))
                    data = file.find(start, stop) or b""
                start, stop = reading.send(data)
        except StopIteration as end:
            file.header = end.value

    def _send_waiting(self) -> None:
        """Send what fits into the window; for the file whose turn it is in any case."""
        for _ in range(len(self._waiting)):
            file, wanted = self._waiting.popleft()
            length = wanted.stop - wanted.start if wanted else 0
            fits = self._held + length <= self._transfer.window_bytes
            if file is self._files[0] or (fits and len(self._flying) < self._transfer.in_flight):
                self._account(file, file.kept_bytes + length)
                fetcher = self._fetcher
                future: Future[Any] = (
                    fetcher.submit(wanted) if wanted else fetcher.submit_size(file.listed.path)
                )
                self._flying.add(future)
                future.add_done_callback(partial(self._arrive, file))
            else:
                self._waiting.append((file, wanted))

    def _arrive(self, file: AheadFile, future: Future[Any]) -> None:
        self._arrived.put((file, future))  # on the thread of the answer

    def _account(self, file: AheadFile, held: int) -> None:
        self._held += held - file.held
        file.held = held
