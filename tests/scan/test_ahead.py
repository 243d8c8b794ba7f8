"""Remote files are read ahead: in order, in a bounded window, each answer checked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Parser, Reading
from dicomframe.scan.ahead import AheadFile, read_ahead
from dicomframe.scan.fetching import Ask, Fetcher
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.ranges import StorageFault
from dicomframe.scan.remote import RangeFile
from dicomframe.scan.transfer import RetryBudget, Transfer, is_transient
from dicomframe.testing.samples import element, make_ct, make_file

CT = make_ct(rows=64, columns=64)


class FakeSlowFileSystem(AsyncFileSystem):
    """A fake store in memory, asynchronous and slow, that counts what it is asked for."""

    protocol = "fakeslow"
    cachable = False

    def __init__(self, files: dict[str, bytes], delay: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.files = files
        self.delay = delay
        self.asked: list[tuple[str, int, int]] = []
        self.at_once = self.most_at_once = self.bytes_at_once = self.most_bytes = 0
        self.faults: Iterator[Exception | bytes | None] = iter(())

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        assert start is not None
        assert end is not None
        self.asked.append((path, start, end))
        self.at_once += 1
        self.bytes_at_once += end - start
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.most_bytes = max(self.most_bytes, self.bytes_at_once)
        # The later files of a series of ten come first.
        await asyncio.sleep(self.delay * (10 - len(self.asked) % 10))
        self.at_once -= 1
        self.bytes_at_once -= end - start
        fault = next(self.faults, None)
        if isinstance(fault, Exception):
            raise fault
        if path not in self.files:
            raise FileNotFoundError(path)
        return fault if fault is not None else self.files[path][start:end]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "type": "file", "size": len(self.files[path])}


def listed(path: str, size: int | None, trouble: str | None = None) -> ListedFile:
    return ListedFile(0, path, size, trouble, None)


def start_reading(file: AheadFile) -> Reading[Header]:
    return Parser().read(file.size, f"fake://{file.listed.path}")


def run(
    files: list[ListedFile], store: AsyncFileSystem, *, wants_pixels: bool = False, **options: Any
) -> list[AheadFile]:
    fetcher = Fetcher(store, "fakeslow", Transfer(**options))
    return list(read_ahead(files, fetcher, start_reading, wants_pixels=wants_pixels))


def test_files_come_in_the_order_given_whatever_arrives_first() -> None:
    store = FakeSlowFileSystem({str(n): CT for n in range(50)}, delay=0.002)
    done = run([listed(str(n), len(CT)) for n in range(50)], store)
    assert [file.listed.path for file in done] == [str(n) for n in range(50)]
    assert all(file.header for file in done)


def test_many_requests_run_at_once_and_never_more_than_asked_for() -> None:
    store = FakeSlowFileSystem({str(n): CT for n in range(60)}, delay=0.005)
    run([listed(str(n), len(CT)) for n in range(60)], store, in_flight=7)
    assert store.most_at_once == 7


def test_the_window_bounds_the_bytes_that_are_asked_for_or_held() -> None:
    store = FakeSlowFileSystem({str(n): CT for n in range(40)}, delay=0.002)
    run(
        [listed(str(n), len(CT)) for n in range(40)],
        store,
        wants_pixels=True,
        window_bytes=4 * len(CT),
    )
    assert 2 * len(CT) <= store.most_bytes <= 4 * len(CT)


def test_a_file_larger_than_the_window_is_read_all_the_same() -> None:
    store = FakeSlowFileSystem({str(n): CT for n in range(5)})
    done = run([listed(str(n), len(CT)) for n in range(5)], store, window_bytes=100)
    assert [bool(file.header) for file in done] == [True] * 5


def test_a_header_costs_one_request_of_its_first_bytes() -> None:
    large = make_ct(rows=512, columns=512)
    store = FakeSlowFileSystem({"a": large})
    (file,) = run([listed("a", len(large))], store, first_bytes=50_000)
    assert store.asked == [("a", 0, 50_000)]
    assert (file.requests, file.bytes_read) == (1, 50_000)


def test_a_small_file_with_pixels_costs_one_request() -> None:
    store = FakeSlowFileSystem({"a": CT})
    fetcher = Fetcher(store, "fakeslow", Transfer(first_bytes=1000))
    for file in read_ahead([listed("a", len(CT))], fetcher, start_reading, wants_pixels=True):
        assert file.header is not None
        buffer = bytearray(file.header.pixel_length or 0)
        file.read_into(file.header.pixel_offset or 0, memoryview(buffer))
        assert bytes(buffer) == CT[-len(buffer) :]
    assert store.asked == [("a", 0, len(CT))]


def test_a_header_longer_than_the_first_bytes_grows_and_teaches_the_next() -> None:
    long = make_file(*(element(0x00091000 + n, "LO", "x" * 1000) for n in range(40)))
    store = FakeSlowFileSystem({"a": long, "b": long})
    files = [listed("a", len(long)), listed("b", len(long))]
    done = run(files, store, first_bytes=300, in_flight=1)
    assert all(file.header for file in done)
    counts = [sum(path == name for path, _, _ in store.asked) for name in "ab"]
    assert counts[0] > counts[1] >= 1
    assert all(stop <= len(long) for _, _, stop in store.asked)


def test_troubles_damage_and_vanished_files_keep_their_places() -> None:
    store = FakeSlowFileSystem({"a": CT, "text": b"not an image", "none": b""}, delay=0.002)
    done = run(
        [
            listed("a", len(CT)),
            listed("fifo", None, "is a FIFO, not a regular file"),
            listed("text", 12),
            listed("none", 0),
            listed("gone", 4000),
            listed("a", None),
        ],
        store,
    )
    assert [type(file.failure) for file in done] == [
        *(type(None), StorageFault, Damage, Damage, StorageFault, type(None)),
    ]
    assert [str(file.failure) for file in done if isinstance(file.failure, StorageFault)] == [
        "is a FIFO, not a regular file",
        "no such file or directory (vanished after listing)",
    ]


def test_what_is_no_dicom_file_can_be_looked_at_without_another_request() -> None:
    """It may be an archive: its first bytes tell."""
    store = FakeSlowFileSystem({"a": b"PK\3\4" + bytes(5000)})
    fetcher = Fetcher(store, "fakeslow", Transfer())
    (file,) = (
        file.read(0, 512)
        for file in read_ahead([listed("a", 5004)], fetcher, start_reading, wants_pixels=False)
    )
    assert file[:4] == b"PK\3\4"
    assert store.asked == [("a", 0, 5004)]


def test_whoever_stops_early_leaves_no_request_behind() -> None:
    store = FakeSlowFileSystem({str(n): CT for n in range(50)}, delay=0.05)
    fetcher = Fetcher(store, "fakeslow", Transfer())
    rows = read_ahead(
        [listed(str(n), len(CT)) for n in range(50)], fetcher, start_reading, wants_pixels=False
    )
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    asked = len(store.asked)
    fsspec.asyn.sync(store.loop, asyncio.sleep, 0.2)
    assert len(store.asked) == asked


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionResetError(),
        TimeoutError(),
        OSError(110, "timed out"),
        CT[:100],  # a short answer
        CT + CT[:1],  # a long one
    ],
    ids=["reset", "timeout", "errno", "short", "long"],
)
def test_a_transient_fault_is_tried_again_and_no_row_tells_of_it(fault: Exception | bytes) -> None:
    store = FakeSlowFileSystem({"a": CT})
    store.faults = iter([fault])
    (file,) = run([listed("a", len(CT))], store)
    assert file.header is not None
    assert file.requests == 2


def test_a_lasting_fault_is_a_row_that_tells_how_often_it_was_tried() -> None:
    store = FakeSlowFileSystem({"a": CT})
    store.faults = itertools.repeat(ConnectionResetError("to key:secret@host"))
    (file,) = run([listed("a", len(CT))], store, attempts=3)
    assert len(store.asked) == 3
    assert isinstance(file.failure, StorageFault)
    assert file.failure.detail == "the file system failed with ConnectionResetError (3 attempts)"


def test_a_fault_that_stays_is_not_tried_again() -> None:
    store = FakeSlowFileSystem({"a": CT})
    store.faults = itertools.repeat(PermissionError(13, "secret"))
    (file,) = run([listed("a", len(CT))], store)
    assert len(store.asked) == 1
    assert isinstance(file.failure, StorageFault)
    assert file.failure.detail == "permission denied"


def test_an_answer_that_never_comes_is_given_up_in_time() -> None:
    store = FakeSlowFileSystem({"a": CT}, delay=10)
    (file,) = run([listed("a", len(CT))], store, timeout_seconds=1, attempts=1)
    assert isinstance(file.failure, StorageFault)
    assert file.failure.detail == "timed out"


def test_a_store_that_is_down_costs_one_request_a_file_in_the_end() -> None:
    budget = RetryBudget(Transfer(attempts=10))
    delays = [budget.delay(TimeoutError(), 1) for _ in range(600)]
    assert sum(delay is not None for delay in delays) == 500
    budget.succeeded()
    assert budget.delay(TimeoutError(), 1) is not None
    assert budget.delay(TimeoutError(), 1) is None


def test_waits_double_up_to_twenty_seconds() -> None:
    budget = RetryBudget(Transfer(attempts=100))
    for attempt, most in ((1, 0.2), (2, 0.4), (5, 3.2), (9, 20), (50, 20)):
        delays = [budget.delay(TimeoutError(), attempt) or 0 for _ in range(40)]
        assert 0 <= min(delays) < max(delays) <= most


def test_a_status_tells_what_is_transient() -> None:
    def error(status: int, code: str = "") -> Exception:
        caused = OSError("translated")
        caused.__cause__ = RuntimeError()
        caused.__cause__.response = {  # type: ignore[attr-defined]
            "ResponseMetadata": {"HTTPStatusCode": status},
            "Error": {"Code": code},
        }
        return caused

    assert all(is_transient(error(status)) for status in (429, 500, 503, 408))
    assert not any(is_transient(error(status)) for status in (400, 401, 403, 404, 412, 416))
    assert is_transient(error(400, "RequestTimeout"))
    assert not is_transient(KeyError("x"))


def test_a_long_range_is_fetched_in_pieces_at_once() -> None:
    data = bytes(range(256)) * (1 << 17)
    store = FakeSlowFileSystem({"a": data}, delay=0.01)
    file = RangeFile(Fetcher(store, "fakeslow", Transfer()), "a", None)
    assert file.read(5, len(data) - 5) == data[5:-5]
    assert store.most_at_once == 4
    assert len(store.asked) == 4
    assert file.bytes_read == len(data) - 10


def test_a_server_without_ranges_is_asked_once() -> None:
    store = FakeSlowFileSystem({"a": CT})
    store.faults = itertools.repeat(CT)  # the whole file, whatever it is asked for
    file = RangeFile(Fetcher(store, "fakeslow", Transfer()), "a", len(CT))
    assert file.read(10, 20) == CT[10:20]
    assert file.read(500, 900) == CT[500:900]
    assert len(store.asked) == 1


def test_an_ask_names_the_size_that_was_listed() -> None:
    store = FakeSlowFileSystem({"a": CT})
    file = RangeFile(Fetcher(store, "fakeslow", Transfer()), "a", len(CT), 7)
    assert file.ask(1, 2) == Ask("a", 1, 2, len(CT), 7)
    with pytest.raises(StorageFault, match=r"storage gave 1$"):
        file.read(len(CT) - 1, len(CT) + 1)
