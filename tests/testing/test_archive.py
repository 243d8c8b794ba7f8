"""The made-up archive says the truth about its files."""

import pyarrow as pa
import pydicom
import pytest

from dicomframe import scan_dicom
from dicomframe.testing.archive import TRUTH_SCHEMA, write_archive

TAGS = [name for name in TRUTH_SCHEMA.names if name[0].isupper()]


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_the_archive_reads_as_its_truth_tells(tmp_path, count):
    truth = write_archive(tmp_path / "archive", files=count, seed=3)
    assert truth.schema == TRUTH_SCHEMA
    assert truth.num_rows == count
    if count:
        batches = scan_dicom(tmp_path / "archive", pixels="none", warnings=True, tags=TAGS)
        found = pa.Table.from_batches(batches)
        assert not any(found["warnings"].to_pylist())
        found = found.select(truth.column_names).cast(truth.schema)
        assert found.sort_by("origin").equals(truth.sort_by("origin"))


def test_the_archive_is_the_same_every_time(tmp_path):
    for name in ("one", "other"):
        write_archive(tmp_path / name, files=600, seed=5)
    one, other = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "other")
    )
    assert len(one) == 600
    assert one == other


def test_the_images_of_the_archive_can_be_decoded(tmp_path):
    truth = write_archive(tmp_path, files=1500).to_pylist()
    syntaxes = set()
    for row in truth[::40]:
        if row["reason"] is None and row["Modality"] != "SR":
            image = pydicom.dcmread(row["origin"].removeprefix("file://"))
            syntaxes.add(image.file_meta.TransferSyntaxUID)
            assert image.pixel_array.shape == (8, 8)
    assert len(syntaxes) == 3
