"""One healthy file of each kind, cut at every length."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pydicom
import pytest
from layers import outcome
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, data_element_generator, read_preamble

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.encodings import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicomframe.dicom.header import Learned
from dicomframe.testing.samples import element, item, make_ct, make_file, real_files, sequence

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


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "implicit"])
def test_a_file_of_a_series_that_is_known_is_cut_off_like_any_other(explicit: bool) -> None:
    learned = Learned()
    encoding = EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE

    def make_slice(number: int) -> bytes:
        code = element(0x00080100, "SH", f"CODE{number}", encoding=encoding)
        elements = (
            element(0x00080018, "UI", f"1.2.3.{number}", encoding=encoding),
            element(0x0020000E, "UI", "1.2.3", encoding=encoding),
            element(0x00200013, "IS", f"{number}", encoding=encoding),
            *[element(0x00204000, "LT", "x" * number, encoding=encoding)][: number % 2],
            sequence(0x00400555, item(code, encoding=encoding), encoding=encoding),
        )
        return make_file(*elements, transfer_syntax=encoding.uid)

    for number in range(20):
        assert outcome(make_slice(number), learned=learned) == outcome(make_slice(number))
    for data in (make_slice(20), make_slice(21)):
        # a cut between two elements makes a sound file, from which more is learned
        for stop in (*range(len(data), 0, -1), *range(len(data))):
            assert outcome(data[:stop], learned=learned) == outcome(data[:stop])
