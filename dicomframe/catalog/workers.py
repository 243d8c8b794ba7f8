"""Run work in processes of this machine that end with it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

from dicomframe.errors import CatalogError

__all__ = ["Workers", "count_cpus"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_AHEAD = 2


class Workers:
    """Run picklable work in a few processes, or in this one.

    Parameters
    ----------
    count
        How many processes; they start with the first work that is for them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        # Closed when the work is given up, or by the system when this process is no more.
        self._lifeline, self._held = multiprocessing.Pipe(duplex=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            if error is not None:
                self._held.close()
            self._pool.shutdown(cancel_futures=True)

    def map(
        self, work: Callable[[_In], _Out], items: Iterable[_In], *, is_little: bool
    ) -> Iterator[tuple[_In, _Out]]:
        """Yield each item with what `work` returns for it, in the order of their ends.

        Little work is done here, unless the processes are there already.

        Raises
        ------
        CatalogError
            A process died.
        """
        if self._count < 2 or (is_little and self._pool is None):
            for item in items:
                yield item, work(item)
            return
        # Pickled once, not with every item.
        payload = pickle.dumps(work)
        waiting = iter(items)
        running: dict[Future[Any], _In] = {}
        try:
            while True:
                for item in waiting:
                    running[self._submit(payload, item)] = item
                    if len(running) >= self._count + _AHEAD:
                        break
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()
        except BrokenProcessPool as error:
            raise CatalogError(
                "a worker process died, for want of memory or by a signal; start the run again, "
                "it goes on where this one stopped"
            ) from error

    def _submit(self, payload: bytes, item: Any) -> Future[Any]:
        with _without_main(), _without_ctrl_c():
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._count,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_end_with,
                    initargs=(self._lifeline,),
                )
            return self._pool.submit(_work, payload, item)


def count_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_loaded: dict[bytes, Callable[[Any], Any]] = {}


def _work(payload: bytes, item: Any) -> Any:
    if payload not in _loaded:
        _loaded.clear()
        _loaded[payload] = pickle.loads(payload)  # noqa: S301  (ours, of map)
    return _loaded[payload](item)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep a process that starts meanwhile from running the script of the user again.

    Nothing of it is needed there, and without an ``if __name__ == "__main__"`` it would begin
    the same work anew.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from a process that starts meanwhile; here it comes as soon as this ends.

    Ctrl-C reaches all processes of a terminal: it is for the first one to say what happens, and
    a process that is still importing would say it with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # where none is inherited: _end_with ignores it
        yield
        return
    resource_tracker.ensure_running()  # it would lift the block when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(lifeline: Connection) -> None:
    """Let this process end as soon as the other end is closed, however that comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        wait_for([lifeline])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
