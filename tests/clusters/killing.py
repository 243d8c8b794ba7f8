"""Kill a process with SIGKILL while it is at work."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

_PATIENCE_SECONDS = 300


@contextmanager
def kill_one(
    find_processes: Callable[[], list[psutil.Process]],
    is_half_done: Callable[[], bool],
    files: Path,
) -> Iterator[None]:
    """Kill one process, once, in the middle of the job that runs meanwhile.

    It is stopped first, and goes on if it was not at work: if neither it nor a process below it
    has one of the files open.

    Parameters
    ----------
    find_processes
        Returns those that may be killed now.
    is_half_done
        Tells whether something is done and something waits.
    files
        The folder that the job reads.

    Raises
    ------
    AssertionError
        The job was over before.
    """
    over: list[bool] = []

    def kill() -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (is_half_done() and any(_kill_reader(each, files) for each in find_processes())):
            assert not over, "the job was over before a process was killed"
            assert time.monotonic() < deadline, "no process was found at work"
            time.sleep(random.uniform(0, 0.02))

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        try:
            yield
        finally:
            over.append(True)
        killed.result()


def _kill_reader(process: psutil.Process, files: Path) -> bool:
    """Kill the process if it is reading; tell whether it is dead."""
    try:
        process.suspend()
        family = [process, *process.children(recursive=True)]
        paths = [Path(file.path) for member in family for file in member.open_files()]
        if any(path.is_relative_to(files) for path in paths):
            process.kill()
            return True
        process.resume()
    except psutil.Error:  # it has ended, or one of those below it
        if process.is_running():
            process.resume()
    return False
