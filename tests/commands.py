"""Run the command line as a user does, in this process, in a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def run_process(
    *arguments: object, code: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    start = f"{code}\nimport sys\nfrom dicomframe.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", start, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **(environment or {})},
    )


def counts(out: str) -> dict[str, int]:
    """Return the whole numbers of a summary by their names."""
    found = re.findall(r"^ *([a-z_ ]+?) {2,}([\d,]+)(?: {2}.*)?$", out, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in found}


def assert_one_sentence(ran: Ran) -> None:
    assert ran.err.startswith("dicomframe: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    assert not CONTROL.search(ran.err.rstrip("\n"))


def run_on_terminal(*arguments: object, columns: int, term: str = "xterm") -> tuple[str, int, str]:
    """Return what a terminal on stderr was sent, the exit code, and stdout, which is a pipe."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomframe", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    out, _ = process.communicate()
    shown = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # the other side is closed and all was read
            break
        if not read:
            break
        shown += read
    os.close(ours)
    return shown.decode(), process.returncode, out.decode()
