"""The count of files while a listing runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe.errors import InvalidOptionError
from dicomframe.scan import progress
from dicomframe.scan.listing import list_files
from dicomframe.scan.progress import Counter


def test_a_callable_is_given_growing_counts_and_the_last_one(
    tmp_path: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)
    for number in range(30):
        (tmp_path / f"{number % 5}").mkdir(exist_ok=True)
        (tmp_path / f"{number % 5}/{number}").touch()
        memory.pipe(f"/t/{number % 5}/{number}", b"")
    for path, least in ((str(tmp_path), 3), ("memory://t", 1)):
        told: list[tuple[int, int]] = []

        def tell(count: int, told: list[tuple[int, int]] = told) -> None:
            told.append((count, threading.get_ident()))

        list_files(path, counter=Counter(tell))
        counts = [count for count, _ in told]
        assert counts == sorted(set(counts))
        assert counts[-1] == 30
        assert len(counts) >= least
        assert {ident for _, ident in told} == {threading.get_ident()}


def test_a_count_is_told_ten_times_a_second_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    told: list[int] = []
    counter = Counter(told.append)
    for _ in range(1000):
        now += 0.001
        counter.add(1)
        counter.show()
    counter.finish()
    assert 9 <= len(told) <= 11
    assert told[-1] == 1000


def test_true_is_a_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").touch()
    list_files(tmp_path, counter=Counter(True))
    list_files(tmp_path, counter=Counter(False))
    assert capsys.readouterr() == ("", "\rfound 1 files\n")


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_what_is_no_progress_is_an_invalid_option(value: Any) -> None:
    with pytest.raises(InvalidOptionError, match="progress must be True, False or a callable"):
        Counter(value)
