"""What reading costs on a real store, by the count of a proxy before it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import fsspec
import pyarrow as pa
import pytest
from servers.faults import Faults
from servers.proxy import Proxy
from servers.s3 import BUCKET, S3Server

from dicomframe.api import plan_read, read_bulk_data
from dicomframe.plugin import ReadPlan
from dicomframe.testing.samples import element, make_ct, make_file

LARGE_FILES = 200
LARGE_BYTES = 20_000_000
HEADERS = 2000


def read(plan: ReadPlan) -> pa.Table:
    return pa.Table.from_batches([b for part in plan.partitions for b in plan.reader(part)])


@pytest.fixture(scope="module")
def s3_files(s3: S3Server) -> Iterator[str]:
    """The URL of a folder with files of 20 MB, and one with many small ones."""
    file_system = fsspec.filesystem("s3", **s3.storage_options)
    large = make_ct()
    value = os.urandom(LARGE_BYTES - len(large))
    large = make_file(
        element(0x00080060, "CS", "MR"),
        element(0x00280010, "US", 5000),
        element(0x7FE00010, "OW", value),
    )
    # One upload, then copies within the store.
    file_system.pipe(f"{BUCKET}/costs/large/0.dcm", large)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: file_system.cp_file(
                    f"{BUCKET}/costs/large/0.dcm", f"{BUCKET}/costs/large/{n}.dcm"
                ),
                range(1, LARGE_FILES),
            )
        )
    small = {f"{BUCKET}/costs/small/{n:04d}.dcm": make_ct(n, rows=64) for n in range(HEADERS)}
    file_system.pipe(small)
    yield f"s3://{BUCKET}/costs"
    file_system.rm(f"{BUCKET}/costs", recursive=True)


def test_headers_of_large_files_cost_one_small_request_each(
    s3: S3Server, s3_proxy: Proxy, s3_files: str
) -> None:
    options = s3.storage_options_at(s3_proxy.endpoint)
    plan = plan_read(f"{s3_files}/large", pixels="none", storage_options=options)
    listing = s3_proxy.counts
    assert listing.requests["get"] == 0
    table = read(plan)
    counts = s3_proxy.counts
    assert table["reason"].null_count == table.num_rows == LARGE_FILES
    keys = {key for kind, key in counts.requests_by_key if kind == "get"}
    assert len(keys) == LARGE_FILES
    for key in keys:
        assert counts.requests_by_key["get", key] + counts.requests_by_key["head", key] <= 2
        assert counts.bytes_by_key["get", key] < 200_000


def test_many_headers_are_asked_for_at_once(s3: S3Server, s3_proxy: Proxy, s3_files: str) -> None:
    """With 20 ms for each request; benchmarks/stores.py measures what that is worth."""
    options = s3.storage_options_at(s3_proxy.endpoint)
    s3_proxy.faults = Faults(latency_seconds=0.02)
    plan = plan_read(f"{s3_files}/small", pixels="none", storage_options=options)
    began = time.perf_counter()
    table = read(plan)
    took = time.perf_counter() - began
    counts = s3_proxy.counts
    assert table["reason"].null_count == table.num_rows == HEADERS
    assert counts.requests["get"] == HEADERS
    assert 32 <= counts.most_at_once <= 64 + 2
    assert took < HEADERS * 0.02 / 2  # the delays alone, one after another, are 40 s


def test_a_value_of_bulk_data_costs_one_request(
    s3: S3Server, s3_proxy: Proxy, s3_files: str
) -> None:
    options = s3.storage_options_at(s3_proxy.endpoint)
    value = read_bulk_data(f"{s3_files}/large/7.dcm#offset=1000000&length=500", options)
    assert len(value) == 500
    counts = s3_proxy.counts
    assert (counts.requests["get"], counts.requests["head"]) == (1, 0)
    assert counts.bytes["get"] == 500


def test_a_process_that_was_forked_reads_too(s3: S3Server, s3_files: str) -> None:
    """The threads of this process do not live on in the other."""
    options = s3.storage_options
    plan = plan_read(f"{s3_files}/small/000*", pixels="none", storage_options=options)
    assert read(plan)["reason"].null_count == 10
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        table = pool.submit(read, plan).result(timeout=60)
    assert table["reason"].null_count == table.num_rows == 10
