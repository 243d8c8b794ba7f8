"""Stores that fail: no row is lost, none is wrong, and no job dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from servers.faults import DISTORTED, KINDS, Faults, Rule
from servers.hdfs import HdfsServer
from servers.proxy import Proxy
from servers.s3 import BUCKET, S3Server

from dicomframe import read_dicom, scan_dicom
from dicomframe.registry import get_backend
from dicomframe.testing.samples import make_ct
from dicomframe.testing.store import write_file

COUNT = 150
QUICK = {"timeout_seconds": 2}


def make_files() -> dict[str, bytes]:
    """Sound files of several sizes, and two that are not."""
    files = {f"{n:03d}.dcm": make_ct(n, rows=16 + 8 * (n % 40), columns=400) for n in range(COUNT)}
    return {**files, "cut.dcm": make_ct(1)[:-10], "text.dcm": b"not an image"}


FILES = make_files()


@pytest.fixture(scope="module")
def s3_folder(s3: S3Server) -> Iterator[str]:
    file_system = fsspec.filesystem("s3", **s3.storage_options)
    file_system.pipe({f"{BUCKET}/faults/{name}": data for name, data in FILES.items()})
    yield f"s3://{BUCKET}/faults"
    file_system.rm(f"{BUCKET}/faults", recursive=True)


def check_exact(dicom: pa.Table, corrupt: pa.Table) -> None:
    """Every file is a row of one frame, and every value of Pixel Data is the original's."""
    found = {row["origin"].rpartition("/")[2]: row for row in dicom.to_pylist()}
    reasons = {row["origin"].rpartition("/")[2]: row["reason"] for row in corrupt.to_pylist()}
    assert len(found) == dicom.num_rows == COUNT
    assert reasons == {"cut.dcm": "truncated", "text.dcm": "not_dicom"}
    for name, row in found.items():
        pixels = row["pixel_data"]
        assert pixels == FILES[name][-len(pixels) :]
        assert len(pixels) == (16 + 8 * (int(name[:3]) % 40)) * 400 * 2


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_five_percent_of_each_fault_cost_no_row_and_no_byte(
    engine: str, s3: S3Server, s3_proxy: Proxy, s3_folder: str, spark: SparkSession
) -> None:
    s3_proxy.faults = Faults(probability=dict.fromkeys(KINDS, 0.05), stall_seconds=4, seed=3)
    dicom, corrupt = read_dicom(
        s3_folder,
        engine=engine,
        storage_options=s3.storage_options_at(s3_proxy.endpoint),
        npartitions=3,
        transfer=QUICK,
        **({"session": spark} if engine == "spark" else {}),
    )
    to_arrow = get_backend(engine).to_arrow
    check_exact(to_arrow(dicom), to_arrow(corrupt))
    met = s3_proxy.counts.faults
    assert all(met[kind] for kind in KINDS), met


def scan(url: str, **options: Any) -> list[dict[str, Any]]:
    return pa.Table.from_batches(list(scan_dicom(url, **options))).to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_stays_is_an_unreadable_row_and_never_short_pixels(
    kind: str, s3: S3Server, s3_proxy: Proxy, s3_folder: str
) -> None:
    s3_proxy.faults = Faults(
        rules=(Rule(kind, key="faults/00[0-4].dcm", times=None),), stall_seconds=4
    )
    rows = scan(
        s3_folder,
        storage_options=s3.storage_options_at(s3_proxy.endpoint),
        transfer={"attempts": 2, "timeout_seconds": 2},
    )
    assert len(rows) == len(FILES)
    bad = {row["origin"].rpartition("/")[2]: row for row in rows if row["reason"] == "unreadable"}
    assert sorted(bad) == [f"00{n}.dcm" for n in range(5)]
    for row in bad.values():
        assert row["pixel_data"] is None
        assert "2 attempts" in row["detail"]
        assert s3.secret not in row["detail"]
        assert "127.0.0.1" not in row["detail"]
    if kind == "changed":
        assert "changed" in next(iter(bad.values()))["detail"]


def test_a_store_that_goes_down_ends_soon_and_keeps_every_row(
    s3: S3Server, s3_proxy: Proxy, s3_folder: str
) -> None:
    options = s3.storage_options_at(s3_proxy.endpoint)
    batches = scan_dicom(s3_folder, storage_options=options, transfer={"attempts": 3})
    s3_proxy.faults = Faults(rules=(Rule("slow_down", times=None),))
    rows = pa.Table.from_batches(list(batches)).to_pylist()
    assert [row["reason"] for row in rows] == ["unreadable"] * len(FILES)
    assert {row["detail"] for row in rows} == {"the store answered 503 (3 attempts)"}
    assert s3_proxy.counts.requests["get"] == 3 * len(FILES)


def test_a_listing_survives_faults(s3: S3Server, s3_proxy: Proxy, s3_folder: str) -> None:
    s3_proxy.faults = Faults(
        rules=tuple(
            Rule(kind, requests=("list", "head")) for kind in ("slow_down", "too_many", "reset")
        )
    )
    rows = scan(s3_folder, pixels="none", storage_options=s3.storage_options_at(s3_proxy.endpoint))
    assert len(rows) == len(FILES)
    assert [row["reason"] for row in rows if row["reason"]] == ["truncated", "not_dicom"]


def test_webhdfs_that_fails_costs_no_row_and_no_byte(hdfs: HdfsServer, hdfs_proxy: Proxy) -> None:
    port = int(hdfs.url.rpartition(":")[2])
    file_system = fsspec.filesystem("hdfs", host="127.0.0.1", port=port)
    file_system.makedirs("/faults", exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        names = (f"/faults/{name}" for name in FILES)
        list(pool.map(partial(write_file, file_system), names, FILES.values()))
    hdfs_proxy.faults = Faults(
        probability={kind: 0.05 for kind in KINDS if kind not in DISTORTED or kind == "short"},
        stall_seconds=3,
        requests=("get",),
    )
    url = hdfs_proxy.endpoint.replace("http://", "webhdfs://") + "/faults"
    table = pa.Table.from_batches(list(scan_dicom(url, transfer=QUICK)))
    sound = pa.compute.is_null(table["reason"])
    check_exact(table.filter(sound), table.filter(pa.compute.invert(sound)))
