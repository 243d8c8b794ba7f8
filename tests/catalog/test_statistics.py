"""What a catalogue is told to hold."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomframe import Catalog, index_dicom
from dicomframe.catalog.statistics import Breakdown, describe_catalog
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import element, make_ct, make_file


def breakdowns_of(catalog: Path, *, top: int = 10) -> dict[str, Breakdown]:
    return {each.title: each for each in describe_catalog(Catalog(catalog), top=top).breakdowns}


def test_counts_are_those_of_the_archive(tmp_path: Path) -> None:
    truth = write_archive(tmp_path / "archive", 1000)
    index_dicom(tmp_path / "archive", tmp_path / "catalog")
    sound = truth.filter(pc.is_null(truth["reason"]))
    found = describe_catalog(Catalog(tmp_path / "catalog"))
    assert found.totals == {
        "instances": sound.num_rows,
        "corrupt": truth.num_rows - sound.num_rows,
        "files": 1000,
        "bytes": sum(path.stat().st_size for path in tmp_path.glob("archive/**/*.dcm")),
        "patients": len(sound["PatientID"].unique()),
        "studies": len(sound["StudyInstanceUID"].unique()),
        "series": len(sound["SeriesInstanceUID"].unique()),
    }
    by = {each.title: each for each in found.breakdowns}
    assert list(by) == ["modality", "manufacturer", "year of study", "transfer syntax", "reason"]
    assert dict(by["modality"].values) == Counter(sound["Modality"].to_pylist())
    assert dict(by["manufacturer"].values) == Counter(sound["Manufacturer"].to_pylist())
    years = Counter(str(day.year) for day in sound["StudyDate"].to_pylist())
    assert list(by["year of study"].values) == sorted(years.items())
    assert dict(by["reason"].values) == Counter(truth["reason"].drop_null().to_pylist())
    names = {name for name, _ in by["transfer syntax"].values}
    assert {ExplicitVRLittleEndian.name, ImplicitVRLittleEndian.name} <= names
    for each in by.values():
        assert each.total == (sound.num_rows if each.frame == "dicom" else 1000 - sound.num_rows)
        assert each.others == each.other_values == 0


def test_values_beyond_the_top_are_counted_together(tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", 1000)
    index_dicom(tmp_path / "archive", tmp_path / "catalog")
    whole = breakdowns_of(tmp_path / "catalog")["modality"]
    cut = breakdowns_of(tmp_path / "catalog", top=2)["modality"]
    assert cut.values == whole.values[:2]
    assert cut.other_values == len(whole.values) - 2 > 1
    assert cut.total == whole.total
    assert cut.named()[-1] == (f"{cut.other_values} others", cut.others)
    years = breakdowns_of(tmp_path / "catalog", top=2)["year of study"]
    assert years.other_values == 0
    assert len(years.values) > 3
    almost = breakdowns_of(tmp_path / "catalog", top=len(whole.values) - 1)["modality"]
    assert almost == whole


def test_archive_of_many_members_is_one_file_with_its_own_bytes(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with zipfile.ZipFile(tmp_path / "files" / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.dcm", make_ct(number))
        archive.writestr("notes.txt", "notes")
    index_dicom(tmp_path / "files", tmp_path / "catalog")
    totals = describe_catalog(Catalog(tmp_path / "catalog")).totals
    assert (totals["instances"], totals["corrupt"], totals["files"]) == (5, 1, 1)
    assert totals["bytes"] == (tmp_path / "files" / "a.zip").stat().st_size


@pytest.mark.parametrize("tags", [["PatientID"], {"Modality": "00080060", "StudyDate": "00100010"}])
def test_columns_that_are_not_there_are_left_out(
    tmp_path: Path, tags: list[str] | dict[str, str]
) -> None:
    (tmp_path / "x.dcm").write_bytes(make_ct())
    index_dicom(tmp_path / "x.dcm", tmp_path / "catalog", tags=tags)
    found = describe_catalog(Catalog(tmp_path / "catalog"))
    assert found.totals["instances"] == 1
    assert ("patients" in found.totals) == ("PatientID" in tags)
    assert ("modality" in breakdowns_of(tmp_path / "catalog")) == ("Modality" in tags)


def test_instances_without_a_value_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(make_file(element(0x00080070, "LO", "Maker")))
    index_dicom(tmp_path / "x.dcm", tmp_path / "catalog", tags=["Manufacturer", "StudyDate"])
    by = breakdowns_of(tmp_path / "catalog")
    assert by["manufacturer"].named() == [("Maker", 1)]
    assert by["year of study"].named() == [("none", 1)]


def test_empty_catalogue_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    index_dicom(tmp_path / "empty", tmp_path / "catalog")
    found = describe_catalog(Catalog(tmp_path / "catalog"))
    assert set(found.totals.values()) == {0}
    assert [each.values for each in found.breakdowns] == [()] * 5
