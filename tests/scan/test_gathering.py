"""Files come back in order and once, however they were gathered."""

from __future__ import annotations

from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomframe.scan import gathering
from dicomframe.scan.gathering import Entry, Rows, merge_runs
from dicomframe.scan.patterns import Selection
from dicomframe.scan.progress import Counter


def merged(rows: Rows) -> list[tuple[bytes, int | None]]:
    found = []
    for batch in merge_runs(rows.runs()):
        assert batch.num_rows
        found += zip(batch["path"].to_pylist(), batch["size"].to_pylist(), strict=True)
    return found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_RUN_ROWS", 7)
    monkeypatch.setattr(gathering, "_BLOCK_ROWS", 3)


@settings(deadline=None)
@given(names=st.lists(st.binary(min_size=1, max_size=2), max_size=60))
def test_rows_come_back_in_order_and_once(names: list[bytes]) -> None:
    rows = Rows()
    for number, name in enumerate(names):
        rows.append(Entry(name, number))
    first = {name: number for number, name in reversed(list(enumerate(names)))}
    assert merged(rows) == sorted(first.items())
    assert rows.runs() == []


def test_rows_of_several_threads_are_all_there() -> None:
    rows = Rows(counter=(counter := Counter()))

    def add(first: int) -> None:
        for number in range(first, 2000, 4):
            rows.extend([Entry(b"%05d" % number, number)])

    threads = [Thread(target=add, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert merged(rows) == [(b"%05d" % number, number) for number in range(2000)]
    assert counter.count == 2000


def test_a_selection_sees_paths_from_the_base_on() -> None:
    rows = Rows(Selection(["CT/*"], [".*"]))
    rows.set_base("/.data/x")
    for path in (b"/.data/x/CT/a", b"/.data/x/CT/.a", b"/.data/x/MR/a", b"/.data/x/a"):
        rows.append(Entry(path, 1))
    rows.append_unlisted(b"/.data/x/MR", "is locked")
    rows.append_unlisted(b"/.data/x/.git", "is locked")
    assert merged(rows) == [(b"/.data/x/CT/a", 1), (b"/.data/x/MR", None)]
