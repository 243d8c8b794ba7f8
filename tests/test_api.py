"""The user's door: options, errors, bulk data, scans without an engine."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom
import pytest
from pydicom.uid import MediaStorageDirectoryStorage

import dicomframe
from dicomframe import (
    BulkDataError,
    InvalidOptionError,
    Manifest,
    UnknownEngineError,
    UnknownTagError,
    read_bulk_data,
    read_dicom,
    scan_dicom,
)
from dicomframe.testing.samples import element, make_ct, make_file, real_files


def test_options_of_scan_are_those_of_read_without_the_engine() -> None:
    read, scan = (list(inspect.signature(f).parameters) for f in (read_dicom, scan_dicom))
    assert [name for name in read if name not in ("engine", "engine_options")] == scan


def test_scan_gives_every_file_once_and_counts_add_up() -> None:
    files = [path for path in real_files().rglob("*") if path.is_file()]
    table = pa.Table.from_batches(scan_dicom(real_files(), pixels="none"))
    # zipMR.gz is an archive: the file in it is the row.
    found = [origin.rpartition("file://")[2] for origin in table["origin"].to_pylist()]
    assert sorted(found) == sorted(map(str, files))
    assert 0 < table["reason"].null_count < table.num_rows


@pytest.mark.parametrize("path", ["nothing/here", "nothing/*.dcm", ["nothing"], "memory://nothing"])
def test_missing_path_is_an_error_before_anything_is_read(path: Any) -> None:
    with pytest.raises(FileNotFoundError):
        scan_dicom(path)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"pixels": "byte"},
            InvalidOptionError,
            ["'bytes', 'reference', 'none'", "did you mean 'bytes'"],
        ),
        ({"pixels": None}, InvalidOptionError, ["None"]),
        ({"warnings": "yes"}, InvalidOptionError, ["True or False"]),
        ({"npartitions": 0}, InvalidOptionError, ["whole number of at least 1"]),
        ({"npartitions": 1.5}, InvalidOptionError, ["1.5"]),
        ({"npartitions": True}, InvalidOptionError, ["True"]),
        ({"limits": {"depth": 3}}, InvalidOptionError, ["'depth'", "nesting_depth", "batch_bytes"]),
        ({"limits": {"nesting_depth": 0}}, InvalidOptionError, ["'nesting_depth'", "at least 1"]),
        ({"limits": 7}, InvalidOptionError, ["header_bytes"]),
        ({"include": 3}, InvalidOptionError, ["include", "3"]),
        ({"exclude": ["*.dcm", ""]}, InvalidOptionError, ["exclude", "'*.dcm'"]),
        ({"progress": "yes"}, InvalidOptionError, ["True, False or a callable", "'yes'"]),
        ({"tags": ["PatientAgee"]}, UnknownTagError, ["'PatientAge'"]),
        ({"tags": {"metadata": "PatientAge"}}, UnknownTagError, ["'metadata'"]),
    ],
)
def test_wrong_options_are_errors_that_list_the_valid_ones(
    options: dict[str, Any], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        scan_dicom(real_files(), **options)
    for word in words:
        assert word in str(caught.value)
    assert isinstance(caught.value, dicomframe.DicomFrameError)


def test_limits_are_options_and_a_passed_one_is_named() -> None:
    path = real_files("rtplan.dcm")
    for name in ("nesting_depth", "elements"):
        row = next(scan_dicom(path, limits={name: 1})).to_pylist()[0]
        assert row["reason"] == "too_large"
        assert name in row["detail"]
    whole = next(scan_dicom(path, limits={"inline_text_bytes": 4}))["metadata"][0].as_py()
    assert "BulkDataURI" in json.loads(whole)["00080016"]


def test_a_dicomdir_is_a_row_like_any_other_and_no_guide(tmp_path: Path) -> None:
    dicomdir = real_files("dicomdirtests/DICOMDIR")
    (tmp_path / "DICOMDIR").write_bytes(dicomdir.read_bytes())
    shutil.copy(real_files("CT_small.dcm"), tmp_path / "IM0")
    assert len(pydicom.dcmread(dicomdir).DirectoryRecordSequence) > 2  # it names other files
    batch = next(scan_dicom(tmp_path, tags=["MediaStorageSOPClassUID"], pixels="none"))
    assert batch["reason"].null_count == batch.num_rows == 2
    assert batch["MediaStorageSOPClassUID"][0].as_py() == MediaStorageDirectoryStorage
    assert next(scan_dicom(tmp_path, exclude="DICOMDIR")).num_rows == 1


def test_a_manifest_is_read_like_a_listing() -> None:
    paths = [real_files(name) for name in ("CT_small.dcm", "MR_small.dcm")]
    listed = pa.Table.from_batches(scan_dicom(paths))
    table = pa.table({"origin": [f"file://{path}" for path in paths]})
    for manifest in (table, Manifest(table)):
        assert pa.Table.from_batches(scan_dicom(manifest)).equals(listed)


def test_unknown_engine_is_told_before_a_wrong_path() -> None:
    with pytest.raises(UnknownEngineError, match="spark"):
        read_dicom("nothing/here", engine="sparc")


def test_bulk_data_is_the_value_itself() -> None:
    path = real_files("examples_overlay.dcm")
    metadata = json.loads(next(scan_dicom(path, pixels="none"))["metadata"][0].as_py())
    data_set = pydicom.dcmread(path)
    bulk = {tag: value["BulkDataURI"] for tag, value in metadata.items() if "BulkDataURI" in value}
    assert len(bulk) > 2
    for tag, uri in bulk.items():
        assert read_bulk_data(uri) == data_set[tag].value


def test_bulk_data_of_a_deflated_file_is_inflated() -> None:
    path = real_files("image_dfl.dcm")
    metadata = json.loads(next(scan_dicom(path, pixels="none"))["metadata"][0].as_py())
    assert read_bulk_data(metadata["7FE00010"]["BulkDataURI"]) == pydicom.dcmread(path).PixelData


def test_bulk_data_is_found_behind_a_hostile_name(tmp_path: Path) -> None:
    path = tmp_path / "a b#offset=1&length=2 [x]?*%41::é.dcm"
    path.write_bytes(
        make_file(element(0x00080060, "CS", "MR"), element(0x00420011, "OB", b"q" * 2000))
    )
    metadata = json.loads(next(scan_dicom(path, pixels="none"))["metadata"][0].as_py())
    assert read_bulk_data(metadata["00420011"]["BulkDataURI"]) == b"q" * 2000


@pytest.mark.parametrize(
    "uri", ["", "file:///x", "file:///nothing/here#offset=0&length=1", "nothing#offset=0&length=1"]
)
def test_bulk_data_that_cannot_be_had_is_an_error(uri: str) -> None:
    with pytest.raises(BulkDataError):
        read_bulk_data(uri)


def test_bulk_data_of_a_file_that_shrank_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_ct())
    metadata = json.loads(next(scan_dicom(path, pixels="none"))["metadata"][0].as_py())
    path.write_bytes(make_ct()[:-100])
    with pytest.raises(BulkDataError):
        read_bulk_data(metadata["7FE00010"]["BulkDataURI"])


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert dicomframe.__version__ == version("dicomframe")


def test_scan_reads_from_any_file_system_that_fsspec_knows(tmp_path: Path) -> None:
    import zipfile

    import fsspec

    fsspec.filesystem("memory").pipe("/api/a.dcm", make_ct())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/a.dcm", make_ct())
        archive.writestr("in/b.txt", "text")
    for path, count in (("memory://api", 1), (f"zip://**::{tmp_path}/a.zip", 2)):
        table = pa.Table.from_batches(scan_dicom(path))
        assert table.num_rows == count
        assert table["pixel_data"][0].as_py() == make_ct()[-512:]
