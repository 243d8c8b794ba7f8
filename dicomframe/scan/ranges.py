"""Read ranges of one open file, wherever it lies."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from types import TracebackType
from typing import Any, Protocol, Self

from fsspec.implementations.zip import ZipFileSystem
from fsspec.spec import AbstractFileSystem

__all__ = [
    "ArchiveStream",
    "Closing",
    "FileReader",
    "HandleFile",
    "LocalFile",
    "StorageFault",
    "call_storage",
    "describe_error",
    "short_answer",
    "words_for_mode",
]

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_HANDLE_BLOCK_BYTES = 64 * 1024
_PIECE_BYTES = 32 * 1024 * 1024
_LONGEST_BYTES = 1 << 62  # some file systems let the end of a folder be sought, far away
# KeyError is what zipfile says of a member that it does not hold.
_MISSING = (FileNotFoundError, KeyError)


class StorageFault(Exception):
    """A file cannot be read; `detail` tells why in one line without URL, credential or value."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class FileReader(Protocol):
    """Read ranges of one open file; a context manager that closes it."""

    size: int
    """The length of the file in bytes."""

    bytes_read: int
    """What was read of it."""

    requests: int
    """How often a remote store was asked."""

    version: int | None
    """What the store told of the file's content, as `version_of` makes it."""

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`, or raise `StorageFault`."""

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on, wholly, or raise `StorageFault`."""

    def finish(self) -> None:
        """Check what was not read of a file that comes unpacked; its pixels are read after it.

        Raises `StorageFault` or `Damage`.
        """

    def close(self) -> None:
        """Release the file; a second call does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Closing:
    """Give a reader its context manager."""

    __slots__ = ()
    requests: int = 0
    version: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def finish(self) -> None:
        """Do nothing: only what comes unpacked has a checksum behind it."""

    def close(self) -> None:
        """Release what is held."""


class LocalFile(Closing):
    """Read a local file by its descriptor: the hot path."""

    __slots__ = ("_descriptor", "bytes_read", "size")

    def __init__(self, path: bytes) -> None:
        try:
            # Not blocking: a FIFO that took the place of a file would wait for a writer.
            descriptor = os.open(path, _OPEN_FLAGS)
        except (OSError, ValueError) as error:
            raise StorageFault(_why_not_opened(error)) from None
        self._descriptor = descriptor
        self.bytes_read = 0
        try:
            self.size = os.lseek(descriptor, 0, os.SEEK_END)  # cheaper than fstat
        except OSError:
            self.size = 0
        if not 0 < self.size < _LONGEST_BYTES:
            self._look_closer()

    def _look_closer(self) -> None:
        """Tell an empty file from what has no end to be sought."""
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise StorageFault(words_for_mode(status.st_mode))
        self.size = status.st_size

    def close(self) -> None:
        """Release the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`."""
        if stop > self.size:
            raise StorageFault(short_answer(start, stop, max(0, self.size - start)))
        try:
            data = os.pread(self._descriptor, stop - start, start)
        except OSError as error:
            raise StorageFault(describe_error(error)) from None
        if len(data) == stop - start:
            self.bytes_read += stop - start
            return data
        whole = bytearray(stop - start)
        self.read_into(start, memoryview(whole))
        return bytes(whole)

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on."""
        self.bytes_read += len(buffer)
        stop = start + len(buffer)
        while buffer:
            try:
                count = os.preadv(self._descriptor, [buffer], stop - len(buffer))
            except OSError as error:
                raise StorageFault(describe_error(error)) from None
            if count == 0:
                raise StorageFault(short_answer(start, stop, stop - len(buffer) - start))
            buffer = buffer[count:]


class HandleFile(Closing):
    """Read a file of a file system that only knows open files, such as an archive."""

    __slots__ = ("_handle", "bytes_read", "size")

    def __init__(self, file_system: AbstractFileSystem, path: str, size: int | None) -> None:
        self.bytes_read = 0
        if isinstance(file_system, ZipFileSystem):
            # By the very name of the member: fsspec would take zip:: or a / from its beginning.
            self._handle = call_storage(file_system.zip.open, path)
            self.size: int = file_system.zip.getinfo(path).file_size
            return
        self._handle = call_storage(file_system.open, path, "rb", block_size=_HANDLE_BLOCK_BYTES)
        self.size = _ask_size(file_system, path) if size is None else size

    def close(self) -> None:
        """Release the file."""
        call_storage(self._handle.close)

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`."""
        if stop > self.size:
            raise StorageFault(short_answer(start, stop, max(0, self.size - start)))
        if stop - start <= _PIECE_BYTES:
            return self._read_piece(start, stop)
        whole = bytearray(stop - start)
        self.read_into(start, memoryview(whole))
        return bytes(whole)

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on."""
        for at in range(0, len(buffer), _PIECE_BYTES):
            piece = buffer[at : at + _PIECE_BYTES]
            piece[:] = self._read_piece(start + at, start + at + len(piece))

    def _read_piece(self, start: int, stop: int) -> bytes:
        self.bytes_read += stop - start
        call_storage(self._handle.seek, start)
        pieces, missing = [], stop - start
        while missing > 0:
            pieces.append(call_storage(self._handle.read, missing))
            missing -= len(pieces[-1])
            if not pieces[-1] or missing < 0:
                raise StorageFault(short_answer(start, stop, stop - start - missing))
        return b"".join(pieces)


class ArchiveStream(io.RawIOBase):
    """Show an open file as the stream that an archive is read from."""

    def __init__(self, reader: FileReader, name: str) -> None:
        super().__init__()
        self._reader = reader
        self._position = 0
        self.name = name

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read in any order."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new position."""
        base = {io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size}.get(whence, 0)
        if base + offset < 0:
            raise OSError(22, os.strerror(22))
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill as much of `buffer` as the file can."""
        count = max(0, min(len(buffer), self._reader.size - self._position))
        self._reader.read_into(self._position, memoryview(buffer).cast("B")[:count])
        self._position += count
        return count

    def close(self) -> None:
        """Release the file."""
        if not self.closed:
            self._reader.close()
        super().close()


def call_storage(function: Any, *arguments: Any, **options: Any) -> Any:
    """Call into a file system; whatever it raises becomes a `StorageFault`."""
    try:
        return function(*arguments, **options)
    except (StorageFault, ImportError):
        raise
    except Exception as error:
        raise StorageFault(_why_not_opened(error)) from None


def describe_error(error: Exception) -> str:
    """Tell in a few words why storage failed, without what the error itself says.

    The text of a remote file system's error may hold URLs and credentials.
    """
    if isinstance(error, StorageFault):
        return error.detail
    if isinstance(error, _MISSING):
        return "no such file or directory"
    if isinstance(error, IsADirectoryError):
        return words_for_mode(stat.S_IFDIR)
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return os.strerror(error.errno).lower()
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, zipfile.BadZipFile):
        return "is no sound zip archive"
    if isinstance(error, tarfile.TarError):
        return "is no sound tar archive"
    return f"the file system failed with {type(error).__name__}"


def short_answer(start: int, stop: int, count: int) -> str:
    """Tell that storage gave fewer bytes than it was asked for."""
    return f"asked for the {stop - start} bytes from {start} on, storage gave {count}"


def words_for_mode(mode: int) -> str:
    """Tell what a thing is that is not a regular file, from its `st_mode`."""
    kinds = (
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISCHR, "character device"),
        (stat.S_ISBLK, "block device"),
        (stat.S_ISDIR, "folder"),
    )
    kind = next((word for test, word in kinds if test(mode)), "special file")
    return f"is a {kind}, not a regular file"


def _ask_size(file_system: AbstractFileSystem, path: str) -> int:
    size = call_storage(file_system.info, path).get("size")
    if not isinstance(size, int):
        raise StorageFault("the file system does not tell the length of the file")
    return size


def _why_not_opened(error: Exception) -> str:
    vanished = isinstance(error, _MISSING)
    return describe_error(error) + (" (vanished after listing)" if vanished else "")
