"""Metadata against pydicom's own DICOM JSON, on the real files that pydicom ships."""

from __future__ import annotations

import base64
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicomframe.dicom.damage import Damage
from dicomframe.scan.places import BulkURI
from dicomframe.testing.samples import real_files

CORRUPT = {
    "FileInfo.txt": "not_dicom",
    "MR_truncated.dcm": "truncated",
    "README": "not_dicom",
    "README.txt": "not_dicom",
    "crayons.icc": "not_dicom",
    "DICOMDIR-nooffset": "truncated",  # its last item declares 24 bytes more than there are
    "no_meta.dcm": "not_dicom",  # begins with a stray space; pydicom makes one UN element of it
    "rtplan.dump": "not_dicom",
    "rtplan_truncated.dcm": "truncated",
    "rtstruct.dump": "not_dicom",
    "test1.json": "not_dicom",
    "test_PN.json": "not_dicom",
    "zipMR.gz": "not_dicom",
}
"""Every file in pydicom's folders that is no sound DICOM file, and why."""

RAISES = {"badVR.dcm"}
"""Files that pydicom reads and cannot write as JSON; read by us."""

EMPTY_IN_LIST = "PS3.18 F.2.5: an empty value in a list is null, pydicom writes an empty string"
EMPTY_SEQUENCE = "PS3.18 F.2.5: an empty value is vr alone, pydicom writes an empty list"

DIFFERENCES = {
    ("chrH31.dcm", "00080005"): EMPTY_IN_LIST,
    ("chrI2.dcm", "00080005"): EMPTY_IN_LIST,
    ("chrJapMulti.dcm", "00080005"): EMPTY_IN_LIST,
    ("chrKoreanMulti.dcm", "00080005"): EMPTY_IN_LIST,
    ("examples_overlay.dcm", "00080008"): EMPTY_IN_LIST,
    ("examples_ybr_color.dcm", "00185010"): EMPTY_IN_LIST,
    ("reportsi.dcm", "00081111"): EMPTY_SEQUENCE,
    ("reportsi.dcm", "0040A372"): EMPTY_SEQUENCE,
    ("reportsi_with_empty_number_tags.dcm", "00081111"): EMPTY_SEQUENCE,
    ("reportsi_with_empty_number_tags.dcm", "0040A372"): EMPTY_SEQUENCE,
    ("test-SR.dcm", "00081111"): EMPTY_SEQUENCE,
    ("test-SR.dcm", "0040A073[1].0040A088"): EMPTY_SEQUENCE,
    ("test-SR.dcm", "0040A372"): EMPTY_SEQUENCE,
    ("DICOMDIR-empty.dcm", "00041220"): EMPTY_SEQUENCE,
}
"""Every element in which the metadata differs from pydicom's, and the clause that decides it.

Group lengths are left out on our side (PS3.18 F.2.2); Available Transfer Syntax UID is added.
"""

FILES = sorted(
    path
    for folder in (real_files(), real_files().parent / "charset_files")
    for path in folder.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc")
)


def compare(ours: Any, theirs: Any, data: bytes, path: str = "") -> list[str]:
    """Return the paths of the elements that differ."""
    found = []
    for tag in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(tag), theirs.get(tag)
        if a is None or b is None:
            found.append(path + tag)
        elif a["vr"] == b["vr"] == "SQ" and a.get("Value") and b.get("Value"):
            assert len(a["Value"]) == len(b["Value"])
            for at, (p, q) in enumerate(zip(a["Value"], b["Value"], strict=True)):
                found += compare(p, q, data, f"{path}{tag}[{at}].")
        elif "BulkDataURI" in a and "InlineBinary" in b:
            place = BulkURI.parse(a["BulkDataURI"])
            assert place is not None
            if place.inflated:
                continue  # compared in test_header
            raw = data[place.offset : place.offset + place.length]
            if a["vr"] != b["vr"] or raw != base64.b64decode(b["InlineBinary"]):
                found.append(path + tag)
        elif a != b:
            found.append(path + tag)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_metadata_equals_pydicom_but_for_known_differences(path: Path, read: Any) -> None:
    data = path.read_bytes()
    if path.name in CORRUPT:
        with pytest.raises(Damage) as caught:
            read(data)
        assert caught.value.reason == CORRUPT[path.name]
        return
    ours = json.loads(read(data).metadata)
    assert ours.pop("00083002")["Value"][0].startswith("1.2.840.10008.1.2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        data_set = pydicom.dcmread(path, force=True)
        theirs = data_set.to_json_dict(suppress_invalid_tags=path.name in RAISES)
    theirs = {tag: value for tag, value in theirs.items() if tag[4:] != "0000"}
    differing = compare(ours, theirs, data)
    if path.name in RAISES:
        assert set(differing) == {"00280008", "300C0002"}  # what pydicom drops
        return
    assert differing == sorted(tag for name, tag in DIFFERENCES if name == path.name)


@pytest.mark.parametrize("name", sorted(RAISES))
def test_files_on_which_pydicom_raises_are_read(name: str, read: Any) -> None:
    path = real_files(name)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="invalid literal"):
        warnings.simplefilter("ignore")
        pydicom.dcmread(path, force=True).to_json_dict()
    ours = json.loads(read(path.read_bytes()).metadata)
    assert ours["00280008"] == {"vr": "IS", "Value": ["1A"]}


def test_metadata_round_trips_through_pydicom(read: Any) -> None:
    for name in ("CT_small.dcm", "test-SR.dcm", "rtplan.dcm", "JPEG2000.dcm"):
        metadata = read(real_files(name).read_bytes()).metadata
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = pydicom.Dataset.from_json(metadata.decode(), lambda _: b"")
            again = data_set.to_json_dict()
        assert again["00080018"] == json.loads(metadata)["00080018"]
        assert len(again) == len(json.loads(metadata))


def test_a_stated_difference_is_a_real_file_and_tag() -> None:
    names = {path.name for path in FILES}
    assert {name for name, _ in DIFFERENCES} | CORRUPT.keys() | RAISES <= names
