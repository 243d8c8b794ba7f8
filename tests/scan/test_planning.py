"""How a listing is divided, and how small its pieces travel."""

import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.listing import Listing, list_files
from dicomframe.scan.packing import FILES_SCHEMA, pack_files
from dicomframe.scan.partition import Partition
from dicomframe.scan.planning import OPEN_COST_BYTES, ReadPlan, plan_partitions
from dicomframe.scan.storage import Store

MIB = 1 << 20


def make_listing(
    sizes: list[int | None],
    troubles: list[str | None] | None = None,
    paths: list[bytes] | None = None,
) -> Listing:
    count = len(sizes)
    columns: list[Any] = [
        [0] * count,
        paths or [b"/data/study%04d/IM%06d.dcm" % (i // 300, i) for i in range(count)],
        sizes,
        [None] * count,
        troubles or [None] * count,
    ]
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, FILES_SCHEMA, strict=True)
    ]
    files = pa.RecordBatch.from_arrays(arrays, schema=FILES_SCHEMA)
    step = 7
    chunks = [pack_files(files.slice(at, step)) for at in range(0, count, step)]
    return Listing((Store("file", "file://"),), count, tuple(chunks))


def counts(partitions: tuple[Partition, ...]) -> list[int]:
    return [partition.file_count for partition in partitions]


def costs(partitions: tuple[Partition, ...]) -> list[int]:
    """Return the cost of each partition where whole files of known size are read."""
    return [
        sum(OPEN_COST_BYTES + (size or 0) for _, _, size, *_ in partition.files())
        for partition in partitions
    ]


SIZES = st.lists(st.one_of(st.none(), st.integers(0, 1 << 40)), max_size=40)


@given(sizes=SIZES, npartitions=st.one_of(st.none(), st.integers(1, 60)), pixels=st.booleans())
def test_the_partitions_hold_each_file_once_and_in_order(
    *, sizes: list[int | None], npartitions: int | None, pixels: bool
) -> None:
    listing = make_listing(sizes)
    partitions = plan_partitions(listing, reads_pixels=pixels, npartitions=npartitions)
    files = [file for partition in partitions for file in partition.files()]
    assert [path.encode() for _, path, *_ in files] == listing.files["path"].to_pylist()
    assert [size for _, _, size, *_ in files] == sizes
    assert [partition.index for partition in partitions] == list(range(len(partitions)))
    assert counts(partitions) == [len(list(partition.files())) for partition in partitions]
    if npartitions is not None:
        assert len(partitions) == npartitions
        assert sum(count > 0 for count in counts(partitions)) == min(npartitions, len(sizes))
    else:
        assert len(partitions) >= 1
        assert 0 not in counts(partitions) or not sizes


def test_a_number_of_partitions_is_balanced_by_cost() -> None:
    partitions = plan_partitions(
        make_listing([MIB] * 90 + [10 * MIB] * 9), reads_pixels=True, npartitions=4
    )
    assert counts(partitions)[0] > 5 * counts(partitions)[3]
    assert max(costs(partitions)) - min(costs(partitions)) <= 11 * MIB


def test_without_pixels_a_large_file_costs_as_much_as_a_small_one() -> None:
    listing = make_listing([20_000] * 50 + [1 << 30] * 50)
    assert counts(plan_partitions(listing, reads_pixels=False, npartitions=2)) == [50, 50]
    assert counts(plan_partitions(listing, reads_pixels=True, npartitions=2))[0] > 70


def test_a_huge_file_leaves_no_partition_empty() -> None:
    for sizes in ([1 << 40, 1, 1], [1, 1 << 40, 1], [1, 1, 1 << 40], [0, 0, 0]):
        partitions = plan_partitions(make_listing(list(sizes)), reads_pixels=True, npartitions=3)
        assert counts(partitions) == [1, 1, 1]


def test_more_partitions_than_files_are_empty_ones() -> None:
    partitions = plan_partitions(make_listing([5, 5]), reads_pixels=True, npartitions=5)
    assert sorted(counts(partitions)) == [0, 0, 0, 1, 1]
    assert [list(partition.files()) for partition in partitions if not len(partition)] == [[]] * 3


@pytest.mark.parametrize("npartitions", [None, 3])
def test_an_empty_listing_makes_empty_partitions(npartitions: int | None) -> None:
    partitions = plan_partitions(make_listing([]), reads_pixels=True, npartitions=npartitions)
    assert counts(partitions) == [0] * (npartitions or 1)
    assert list(partitions[0].files()) == []


@pytest.mark.parametrize(
    ("count", "expected"),
    [(5, 1), (64, 8), (320, 16), (4096, 32)],
    ids=["small is one", "at least 8 MiB each", "sixteenths", "at most 128 MiB each"],
)
def test_the_usual_number_of_partitions_follows_from_the_cost(count: int, expected: int) -> None:
    listing = make_listing([MIB - OPEN_COST_BYTES] * count)
    assert len(plan_partitions(listing, reads_pixels=True, npartitions=None)) == expected


def test_what_is_not_opened_costs_nothing_and_an_unknown_size_something() -> None:
    troubled = make_listing([None] * 100 + [MIB] * 100, ["is a FIFO"] * 100 + [None] * 100)
    assert counts(plan_partitions(troubled, reads_pixels=True, npartitions=2)) == [150, 50]
    unknown = make_listing([None] * 100 + [512 * 1024] * 100)
    assert counts(plan_partitions(unknown, reads_pixels=True, npartitions=2)) == [100, 100]


@pytest.mark.parametrize("npartitions", [0, -1, 1.0, "3", True, [2]])
def test_a_number_of_partitions_that_is_none_is_an_invalid_option(npartitions: Any) -> None:
    with pytest.raises(InvalidOptionError, match="npartitions must be"):
        plan_partitions(make_listing([1]), reads_pixels=True, npartitions=npartitions)


def test_a_partition_keeps_paths_that_are_not_utf8_and_troubles() -> None:
    listing = make_listing([None], ["is a FIFO"], [b"/caf\xe9\n"])
    (partition,) = plan_partitions(listing, reads_pixels=True, npartitions=None)
    ((store, path, size, trouble, version),) = partition.files()
    assert (store, size, trouble, version) == (0, None, "is a FIFO", None)
    assert path.encode("utf-8", "surrogateescape") == b"/caf\xe9\n"


def test_the_same_listing_gives_the_same_plan(tmp_path: Any) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).write_bytes(b"12")
    plans = [
        plan_partitions(list_files(tmp_path), reads_pixels=True, npartitions=2) for _ in range(2)
    ]
    assert plans[0] == plans[1]
    tokens = [[partition.__dask_tokenize__() for partition in plan] for plan in plans]
    assert tokens[0] == tokens[1]
    assert tokens[0][0] != tokens[0][1]


def test_a_plan_travels_in_some_bytes_per_file() -> None:
    listing = make_listing([526_000 + i % 7 for i in range(20_000)])
    partitions = plan_partitions(listing, reads_pixels=True, npartitions=20)
    assert sum(len(pickle.dumps(partition)) for partition in partitions) < 10 * 20_000
    few = plan_partitions(listing, reads_pixels=True, npartitions=4000)[7]
    assert few.file_count == 5
    assert len(pickle.dumps(few)) < 2500


def test_a_partition_comes_back_from_its_pickle_without_an_engine() -> None:
    (partition,) = plan_partitions(make_listing([1, 2]), reads_pixels=True, npartitions=None)
    code = (
        "import pickle, sys\n"
        "partition = pickle.loads(sys.stdin.buffer.read())\n"
        "print(partition, [size for _, _, size, *_ in partition.files()],\n"
        "      {'dask', 'pyspark', 'pandas'} & set(sys.modules))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(partition),
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    assert answer.stdout == b"Partition(0, files=2) [1, 2] set()\n"


def test_a_plan_shows_counts_and_never_a_name_or_a_credential() -> None:
    from dicomframe.scan.options import ReadOptions
    from dicomframe.scan.reading import PartitionReader

    store = Store("s3", "s3://", options={"secret": "hush"})
    listing = replace(make_listing([1, 2]), stores=(store,))
    partitions = plan_partitions(listing, reads_pixels=True, npartitions=2)
    plan = ReadPlan(partitions, PartitionReader(ReadOptions()))
    assert repr(plan) == "ReadPlan(partitions=2, files=2)"
    assert repr(partitions[1]) == "Partition(1, files=1)"
    assert "hush" not in repr((plan.partitions, plan.reader, partitions[1].stores))
    assert plan.schema == plan.reader.schema
    assert plan.dicom_schema == plan.reader.dicom_schema
    assert plan.corrupt_schema == plan.reader.corrupt_schema


def test_a_partition_carries_the_stores_of_its_own_files_only(tmp_path: Any) -> None:
    archives = sorted(f"{number}.zip" for number in range(40))
    for name in archives:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("x.dcm", b"12")
            archive.writestr("y.dcm", b"12")
    listing = list_files(f"zip://**::{tmp_path}/*.zip")
    partitions = plan_partitions(listing, reads_pixels=True, npartitions=16)
    assert max(len(partition.stores) for partition in partitions) <= 4
    found = [
        partition.stores[file.store].origin(file.path)
        for partition in partitions
        for file in partition.files()
    ]
    assert found == [
        f"zip://{member}::file://{tmp_path}/{name}"
        for name in archives
        for member in ("x.dcm", "y.dcm")
    ]


def test_a_token_tells_sizes_versions_and_places_apart() -> None:
    def token(size: int, version: int | None, store: Store) -> Any:
        files = pa.RecordBatch.from_pylist(
            [{"store": 0, "path": b"b/x", "size": size, "version": version}], FILES_SCHEMA
        )
        return Partition(0, 1, (store,), pack_files(files)).__dask_tokenize__()

    here, there = (Store("s3", "s3://", options={"endpoint_url": url}) for url in ("h", "t"))
    tokens = [token(1, 1, here), token(2, 1, here), token(1, 2, here), token(1, None, here)]
    tokens.append(token(1, 1, there))
    assert all(one != other for one, other in combinations(tokens, 2))
    assert token(1, 1, here) == token(1, 1, here)


def test_order_of_partitions_is_order_of_paths() -> None:
    partitions = plan_partitions(make_listing([MIB] * 100), reads_pixels=True, npartitions=7)
    firsts = [next(partition.files())[1] for partition in partitions]
    assert all(first < second for first, second in pairwise(firsts))
