"""Fetch ranges of remote files: many at once, every answer checked, faults tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.scan.ranges import StorageFault, describe_error
from dicomframe.scan.s3 import ask_s3, find_obstore
from dicomframe.scan.transfer import RetryBudget, Transfer, is_transient
from dicomframe.scan.versions import version_of

__all__ = ["THREADED_PROTOCOLS", "Answer", "Ask", "Fetcher", "WrongAnswer"]

THREADED_PROTOCOLS = frozenset({"hdfs", "viewfs", "webhdfs"})
"""Synchronous file systems that bear several threads."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for the bytes from `start` to `stop` of the file at `path`.

    `size` and `version` are those of the file as it was listed, None where that did not tell.
    """

    path: str
    start: int
    stop: int
    size: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold the bytes asked for, and what the store told of the whole file.

    Attributes
    ----------
    data
        The bytes, exactly those asked for; the whole file where a server knows no ranges.
    start
        Where `data` lies in the file.
    version
        What tells this content of the file from another, None if the store does not.
    requests
        How often the store was asked.
    """

    data: bytes
    start: int
    version: int | None
    requests: int = 1


class WrongAnswer(StorageFault):
    """A store answered with other bytes than it was asked for."""

    def __init__(self, detail: str, most_attempts: int = 1000) -> None:
        super().__init__(detail)
        self.most_attempts = most_attempts


class Fetcher:
    """Fetch ranges of the files of one file system.

    Asynchronous file systems of fsspec have their requests side by side on fsspec's own loop,
    others on threads if they bear it, the rest at once where they are asked for.

    Parameters
    ----------
    file_system
        The connection.
    protocol
        The name of the file system.
    transfer
        How many requests there are at once, and how often one is tried.
    options
        What the connection was made with, for a second one by another way.
    """

    def __init__(
        self,
        file_system: AbstractFileSystem,
        protocol: str,
        transfer: Transfer,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.file_system = file_system
        self.transfer = transfer
        self._budget = RetryBudget(transfer)
        self._is_asynchronous = isinstance(file_system, AsyncFileSystem)
        self._threads: ThreadPoolExecutor | None = None
        if protocol in THREADED_PROTOCOLS:
            count = min(transfer.in_flight, 16)
            self._threads = ThreadPoolExecutor(count, thread_name_prefix="dicomframe")
        self._is_s3 = _package(file_system) in {"s3fs", "obstore"}
        self._obstore = find_obstore(file_system, options or {}, transfer) if self._is_s3 else None

    def submit(self, ask: Ask) -> Future[Answer]:
        """Ask for a range; the result raises `StorageFault` if it cannot be had."""
        length = ask.stop - ask.start
        if self._is_asynchronous:
            return self._start(lambda: self._fetch(ask), length)
        return self._start_sync(lambda: self._fetch_sync(ask))

    def submit_size(self, path: str) -> Future[int]:
        """Ask for the length of a file in bytes; the result raises `StorageFault`."""
        if self._is_asynchronous:
            return self._start(lambda: self._size(path), 0)
        return self._start_sync(lambda: _size_in(self.file_system.info(path)))

    def _start(self, call: Callable[[], Awaitable[Any]], length: int) -> Future[Any]:
        retried = self._retry(call, self.transfer.deadline(length))
        return asyncio.run_coroutine_threadsafe(retried, self.file_system.loop)

    def _start_sync(self, call: Callable[[], Any]) -> Future[Any]:
        if self._threads is not None:
            return self._threads.submit(self._retry_sync, call)
        future: Future[Any] = Future()
        try:
            future.set_result(self._retry_sync(call))
        except StorageFault as fault:
            future.set_exception(fault)
        return future

    async def _retry(self, call: Callable[[], Awaitable[Any]], deadline: float) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(deadline):
                    result = await call()
                return self._succeed(result, attempt)
            except Exception as error:
                delay = self._delay(error, attempt)
            await asyncio.sleep(delay)

    def _retry_sync(self, call: Callable[[], Any]) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._succeed(call(), attempt)
            except Exception as error:
                delay = self._delay(error, attempt)
            time.sleep(delay)

    def _succeed(self, result: Any, attempt: int) -> Any:
        self._budget.succeeded()
        if isinstance(result, Answer) and attempt > 1:
            return Answer(result.data, result.start, result.version, attempt)
        return result

    def _delay(self, error: Exception, attempt: int) -> float:
        delay = self._budget.delay(error, attempt)
        if delay is not None:
            return delay
        if isinstance(error, ImportError):
            raise error
        words = describe_error(error)
        if isinstance(error, FileNotFoundError):
            words += " (vanished after listing)"
        if attempt > 1:
            words += f" ({attempt} attempts)"
        elif self._budget.is_spent and is_transient(error):
            words += " (not tried again: too many requests failed before)"
        raise StorageFault(words) from None

    async def _size(self, path: str) -> int:
        return _size_in(await self.file_system._info(path))

    async def _fetch(self, ask: Ask) -> Answer:
        if self._is_s3:
            told = await ask_s3(self.file_system, self._obstore, ask.path, ask.start, ask.stop)
            return _check(ask, *told)
        data = await self.file_system._cat_file(ask.path, start=ask.start, end=ask.stop)
        return _check(ask, data)

    def _fetch_sync(self, ask: Ask) -> Answer:
        options = {"cache_type": "none"} if self._threads is not None else {}
        return _check(
            ask,
            self.file_system.cat_file(ask.path, start=ask.start, end=ask.stop, **options),
        )


def _size_in(info: dict[str, Any]) -> int:
    size = info.get("size")
    if not isinstance(size, int):
        raise StorageFault("the file system does not tell the length of the file")
    return size


def _check(
    ask: Ask,
    data: bytes,
    told: tuple[int, int | None] | None = None,
    etag: str | None = None,
) -> Answer:
    """Return the answer if it is what was asked for, of the file that was listed."""
    version = version_of(etag) if etag else None
    start, size = told if told is not None else (ask.start, None)
    if ask.version is not None and version is not None and ask.version != version:
        raise WrongAnswer("the file was changed while it was read, or since it was listed", 3)
    if ask.size is not None and size is not None and ask.size != size:
        raise WrongAnswer(
            f"the file was changed since it was listed: it had {ask.size} bytes, now {size}", 3
        )
    if start == ask.start and len(data) == ask.stop - ask.start:
        return Answer(bytes(data), start, version)
    if (told is None or start == 0) and len(data) == ask.size:
        # An HTTP server without ranges sends the whole file, whatever it was asked for.
        return Answer(bytes(data), 0, version)
    raise WrongAnswer(
        f"asked for the {ask.stop - ask.start} bytes from {ask.start} on, "
        f"storage gave {len(data)} from {start} on"
    )


def _package(file_system: AbstractFileSystem) -> str:
    kinds = [kind.__module__.partition(".")[0] for kind in type(file_system).__mro__]
    return next((package for package in kinds if package in {"s3fs", "obstore"}), kinds[0])
