"""Run a server as a child process that never outlives its parent."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


@contextmanager
def run_server(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], *, timeout_seconds: float = 180
) -> Iterator[None]:
    """Run `command` with its output in `log`, from when it is ready until the context ends.

    Raises
    ------
    RuntimeError
        It ended, or was not ready in time; the message holds the end of its log.
    """
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", _DIE_WITH_PARENT, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + timeout_seconds
        while not is_ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[-1]} is not ready:\n{read_tail(log)}")
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()


def find_free_port() -> int:
    """Return a port of the loopback interface that nobody has now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port of the loopback interface."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def read_page(url: str) -> str:
    """Return what a web page says, nothing if it cannot be had."""
    try:
        with urlopen(url, timeout=5) as page:
            return str(page.read(), "utf-8", "replace")
    except (URLError, OSError):
        return ""


def read_tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
os.execvp(sys.argv[1], sys.argv[1:])
"""
