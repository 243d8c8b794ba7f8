"""Folders of files for the conformance suite: sound and corrupt ones, hard values, hard names."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pydicom

from dicomframe.testing.samples import real_files

__all__ = ["SOUND", "make_tree", "write_hostile_names", "write_typed_files"]

SOUND = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000.dcm",
    "rtplan.dcm",
    "image_dfl.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "test-SR.dcm",
)
"""Real files: explicit, implicit, big endian, encapsulated, without pixels, deflated, bare."""


def make_tree(folder: Path) -> None:
    """Write the files of `SOUND`, two cut ones, an empty one, a text and a JPEG image."""
    deep = folder / "deep" / "deeper"
    deep.mkdir(parents=True)
    for place, name in zip([folder, folder, deep] * len(SOUND), SOUND, strict=False):
        shutil.copyfile(real_files(name), place / name)
    whole = real_files("CT_small.dcm").read_bytes()
    (folder / "cut_in_pixels.dcm").write_bytes(whole[:-1000])
    (folder / "cut_in_header.dcm").write_bytes(whole[:1001])
    (deep / "empty.dcm").touch()
    (folder / "deep" / "notes.txt").write_text("These are notes, and no image at all.\n" * 20)
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(300))


def write_typed_files(folder: Path) -> None:
    """Write files whose values reach the ends of their types, and one without any value."""
    first, last = pydicom.Dataset(), pydicom.Dataset()
    first.PatientAge, last.PatientAge = "000D", "999Y"
    first.PatientName, last.PatientName = "Yamada^Tarou=山田^太郎", "^^^^"
    first.StudyDate, last.StudyDate = "00010101", "99991231"
    first.StudyTime, last.StudyTime = "00", "235960.999999"
    first.AcquisitionDateTime = "00010101000000.000001"
    last.AcquisitionDateTime = "20261123235959.999999-1130"
    first.Rows, last.Rows = 0, 65535
    first.SliceThickness, last.SliceThickness = "-1e-300", "1e308"
    first.FileOffsetInContainer, last.FileOffsetInContainer = 0, 2**64 - 1
    first.ImageType, last.ImageType = ["DERIVED", "", "ÄÖ"], "ORIGINAL"
    first.ImagePositionPatient, last.ImagePositionPatient = ["1", "-2.5", ""], []
    first.SelectorASValue, last.SelectorASValue = ["003W", "", "012M"], "001D"
    first.SelectorDAValue, last.SelectorDAValue = ["18991231", "", "20240229"], "nonsense"
    first.SelectorDTValue = ["1582", "", "20240229235959"]
    last.SelectorDTValue = ["19160401000000.5+0200"]
    first.SelectorTMValue, last.SelectorTMValue = ["1200", "", "235959.9"], "77"
    first.SelectorDSValue, last.SelectorDSValue = ["1.50", "", "-0"], "1"
    first.SelectorFDValue = [float("nan"), float("-inf"), -0.0, 5e-324]
    first.SelectorISValue, last.SelectorISValue = ["-2147483648", "2147483647"], "+7"
    first.SelectorPNValue, last.SelectorPNValue = ["A^B", "", "C"], "D"
    first.SelectorSVValue, last.SelectorSVValue = [-(2**63), 2**63 - 1], 0
    first.SelectorUVValue, last.SelectorUVValue = [0, 2**64 - 1], 1
    first.SelectorATValue, last.SelectorATValue = [0x00100010, 0xFFFEE000], 0x7FE00010
    first.SelectorLOValue, last.SelectorLOValue = ["x", "", '"\\n"'.replace("\\", "/")], "y"
    first.SelectorOBValue, last.SelectorOBValue = bytes(range(256)), b""
    item = pydicom.Dataset()
    item.ScheduledProcedureStepID = "7"
    first.RequestAttributesSequence, last.RequestAttributesSequence = [item, item], []
    for name, dataset in {"first": first, "last": last, "none": pydicom.Dataset()}.items():
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.SOPInstanceUID = f"1.2.3.{len(name)}"
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)


def write_hostile_names(folder: Path) -> None:
    """Write one sound file under names that are legal and hard."""
    names = [
        *(b"a b.dcm", b" leading", b"trailing ", b"new\nline", b"tab\t", b"quote'\".dcm"),
        *(b".hidden", b"_underscore", b"no_suffix", b"[1].dcm", b"*.dcm", b"{a,b}?.dcm"),
        *(b"a::b.dcm", b"zip:::c", b"50%25.dcm", b"#fragment", b"x?y=z&a", b"c:d", b"~", b"$HOME"),
        *(b"back\\slash", b"-rf", b"...", "日本語.dcm".encode(), "e\u0301.dcm".encode()),
        *("\u202egpj.dcm".encode(), "😀".encode(), b"latin-\xe9.dcm", b"\xff\xfe", b"n" * 255),
    ]
    deep = folder / "_temporary" / ".git"
    (deep / "s3:").mkdir(parents=True)
    for name in [*names, b"s3:/x.dcm"]:
        # A file system may refuse a name; then no reader can meet it.
        with suppress(OSError):
            shutil.copyfile(real_files("rtplan.dcm"), os.fsencode(deep) + b"/" + name)
