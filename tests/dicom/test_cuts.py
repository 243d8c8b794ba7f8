"""One healthy file of each kind, cut at every length."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, data_element_generator, read_preamble

from dicomframe.dicom.damage import Damage
from dicomframe.testing.samples import make_ct, real_files

WHOLE = {
    "explicit": make_ct,
    "implicit": lambda: real_files("MR_small_implicit.dcm").read_bytes(),
    "big endian": lambda: real_files("MR_small_bigendian.dcm").read_bytes(),
    "encapsulated": lambda: real_files("JPEG2000.dcm").read_bytes(),
    "two frames": lambda: real_files("SC_rgb_rle_2frame.dcm").read_bytes(),
    "nested": lambda: real_files("rtplan.dcm").read_bytes(),
    "undefined lengths": lambda: real_files("priv_SQ.dcm").read_bytes(),
}


def boundaries(data: bytes) -> set[int]:
    """Return where top-level elements of the data set end, as pydicom's reader finds them."""
    stream = DicomBytesIO(data)
    read_preamble(stream, False)
    meta = _read_file_meta_info(stream)
    syntax = meta.TransferSyntaxUID
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in data_element_generator(
            stream, syntax.is_implicit_VR, syntax.is_little_endian, defer_size=None
        ):
            found.add(stream.tell())
    return found


@pytest.mark.parametrize("kind", WHOLE)
def test_every_cut_is_told(kind: str, read: Any) -> None:
    data = WHOLE[kind]()
    ends = boundaries(data)
    assert len(ends) > 1
    has_pixels = read(data).pixel_offset is not None
    rows_end = data.find(b"\x28\0\x10\0") if kind != "big endian" else data.find(b"\0\x28\0\x10")
    for length in range(len(data)):
        cut = data[:length]
        try:
            header = read(cut, warnings=True)
        except Damage as damage:
            expected = "empty" if length == 0 else "not_dicom" if length < 132 else "truncated"
            assert (length, damage.reason) == (length, expected)
            assert damage.offset is not None
            assert damage.offset <= length
            assert length not in ends
        else:
            assert length in ends
            if has_pixels and length > rows_end + 30:
                assert "missing_pixel_data:7FE00010" in header.warnings


def test_cut_of_deflated_file_is_truncated(read: Any) -> None:
    data = real_files("image_dfl.dcm").read_bytes()
    stream_end = len(data) - 8
    for length in range(1, stream_end, 7):
        with pytest.raises(Damage) as caught:
            read(data[:length])
        assert caught.value.reason == ("not_dicom" if length < 132 else "truncated")


def test_pydicom_misses_most_cuts_that_we_tell() -> None:
    """The reason for our own walk: pydicom gives a data set and no error for most cuts."""
    data = make_ct()
    silent = 0
    for length in range(140, len(data), 31):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                pydicom.dcmread(io.BytesIO(data[:length]), stop_before_pixels=True)
                silent += 1
            except Exception:
                continue
    assert silent > len(range(140, len(data), 31)) // 2
