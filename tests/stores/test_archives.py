"""Archives of a thousand members, local and on S3, on both engines."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import fsspec
import pytest
from archiving import make_tar, make_zip
from pyspark.sql import SparkSession
from servers.s3 import BUCKET, S3Server

from dicomframe import read_dicom
from dicomframe.registry import get_backend
from dicomframe.testing.samples import make_ct

MEMBERS = 1000
DAMAGED = range(50, MEMBERS, 100)


def members() -> dict[str, bytes]:
    """Members without extensions, ten of them cut."""
    return {
        f"study/{n:04d}": make_ct(n)[:-7] if n in DAMAGED else make_ct(n) for n in range(MEMBERS)
    }


def make_tar_gz(files: dict[str, bytes]) -> bytes:
    return gzip.compress(make_tar(files))


@pytest.fixture(scope="module")
def archives(
    s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("archives")
    found: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for name, make in (("a.zip", make_zip), ("a.tar.gz", make_tar_gz)):
        data = make(members())
        Path(folder, name).write_bytes(data)
        found["local", name] = str(folder / name), {}
        fsspec.filesystem("s3", **s3.storage_options).pipe(f"{BUCKET}/archives/{name}", data)
        found["s3", name] = f"s3://{BUCKET}/archives/{name}", s3.storage_options
    return found


@pytest.mark.parametrize("engine", ["dask", "spark"])
@pytest.mark.parametrize("place", ["local", "s3"])
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_990_and_10_rows_over_4_partitions(
    archives: dict[tuple[str, str], tuple[str, dict[str, Any]]],
    engine: str,
    place: str,
    name: str,
    spark: SparkSession,
) -> None:
    path, options = archives[place, name]
    dicom, corrupt = read_dicom(
        path,
        engine=engine,
        npartitions=4,
        storage_options=options,
        **({"session": spark} if engine == "spark" else {}),
    )
    partitions = dicom.rdd.getNumPartitions() if engine == "spark" else dicom.npartitions
    assert partitions == 4
    to_arrow = get_backend(engine).to_arrow
    sound, bad = to_arrow(dicom), to_arrow(corrupt)
    assert (sound.num_rows, bad.num_rows) == (990, 10)
    assert set(bad["reason"].to_pylist()) == {"truncated"}
    files = members()
    for origin, pixels in zip(
        sound["origin"].to_pylist(), sound["pixel_data"].to_pylist(), strict=True
    ):
        member = origin.partition("://")[2].partition("::")[0]
        assert files[member].endswith(pixels)
        assert len(pixels) == 512
