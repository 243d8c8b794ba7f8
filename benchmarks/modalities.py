"""Build files like those of real scanners, byte by byte, the same every time.

What varies within a series varies as between real slices: UIDs, numbers, positions, times, pixels.
All content is made up.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from functools import cache, partial

from attributes import (
    ROOT_UID,
    Row,
    common_rows,
    ct_rows,
    ct_slice_rows,
    mr_rows,
    philips_rows,
    pixel_rows,
    siemens_rows,
    study_uid,
)

from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
    Encoding,
)
from dicomframe.testing.samples import element, encapsulated, item, make_file, sequence

JPEG_LOSSLESS_UID = "1.2.840.10008.1.2.4.70"
JPEG_BASELINE_UID = "1.2.840.10008.1.2.4.50"

_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
_ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
_ULTRASOUND_CINE = "1.2.840.10008.5.1.4.1.1.3.1"
_FRAMES = 100


def make_ct(instance: int, series: int = 1, *, pixels: bool = True) -> bytes:
    """Return a CT slice of 512 x 512 pixels of 16 bits; without `pixels` it ends before them."""
    rows = [
        *common_rows("CT", _CT, instance, series, "Sample Medical Systems", "Tomograph 64"),
        *ct_rows(instance),
        *ct_slice_rows(instance, series),
        (0x00270010, "LO", "SAMPLE_IMAG_01"),
        *((0x00271000 + at, "SL", 1000 * at) for at in range(6, 20)),
        (0x00271040, "SH", f"I{120.5 - 1.25 * instance:.3f}"),
        (0x00271041, "FL", struct.pack("<f", -120.5 + 1.25 * instance)),
        (0x00430010, "LO", "SAMPLE_PARM_01"),
        *((0x00431010 + at, "DS", f"{at}.0\\{at}.5\\0.0") for at in range(6)),
        (0x00431027, "SH", f"/{1.375 + instance % 7 / 100:.3f}:1"),
    ]
    return pack(
        _CT,
        _instance_uid(instance, series),
        rows,
        _requests(series),
        _words(512 * 512, instance, pixels=pixels),
    )


def make_implicit_mr(instance: int, series: int = 1) -> bytes:
    """Return an MR slice in implicit VR, with private blocks as one vendor writes them."""
    z = f"{-80 + 3.3 * instance:.5f}"
    rows = [
        *common_rows("MR", _MR, instance, series, "Sample Medical Systems", "Magnet 1.5"),
        *mr_rows(instance),
        (0x00200013, "IS", f"{instance}"),
        (0x00200032, "DS", f"-116.5\\-120.25\\{z}"),
        (0x00200037, "DS", "0.9998\\0.0\\-0.0171\\0.0\\1.0\\0.0"),
        (0x00200052, "UI", f"{study_uid(series)}.5"),
        (0x00201041, "DS", z),
        *pixel_rows(256, 256, signed=0),
        (0x00281050, "DS", f"{500 + instance % 9}"),
        (0x00281051, "DS", f"{1000 + instance % 11}"),
        (0x00281052, "DS", "0"),
        (0x00281053, "DS", "1.2007326"),
        *philips_rows(instance),
    ]
    private_item = item(
        *(
            element(tag, vr, value, encoding=IMPLICIT_LITTLE)
            for tag, vr, value in (
                (0x00180020, "CS", "SE"),
                (0x00180081, "DS", "15"),
                (0x00181314, "DS", "90"),
                (0x00280030, "DS", "0.9\\0.9"),
            )
        ),
        delimited=True,
        encoding=IMPLICIT_LITTLE,
    )
    private = sequence(0x20051083, private_item, delimited=True, encoding=IMPLICIT_LITTLE)
    extra = {**_requests(series, IMPLICIT_LITTLE), 0x20051083: private}
    pixels = element(0x7FE00010, "OW", _pattern(2 * 256 * 256, instance), encoding=IMPLICIT_LITTLE)
    return pack(
        _MR,
        _instance_uid(instance, series),
        rows,
        extra,
        pixels,
        IMPLICIT_LITTLE,
        IMPLICIT_LITTLE_UID,
    )


def make_private_mr(instance: int, series: int = 1) -> bytes:
    """Return an MR slice with 40 to 90 kB of private binary headers."""
    z = f"{-80 + 3.3 * instance:.8f}"
    noise = random.Random(1000 * series + instance)
    protocol = _text_block(series, 26_000 + 11_000 * (series % 5))
    rows = [
        *common_rows("MR", _MR, instance, series, "Sample Healthcare", "Magnet 3T"),
        *mr_rows(instance),
        (0x00200013, "IS", f"{instance}"),
        (0x00200032, "DS", f"-116.5\\-120.25\\{z}"),
        (0x00200037, "DS", "0.9998\\0.0\\-0.0171\\0.0\\1.0\\0.0"),
        (0x00200052, "UI", f"{study_uid(series)}.5"),
        (0x00201041, "DS", z),
        *pixel_rows(256, 256, signed=0),
        (0x00281050, "DS", f"{500 + instance % 9}"),
        (0x00281051, "DS", f"{1000 + instance % 11}"),
        (0x00281055, "LO", "Algo1"),
        *siemens_rows(instance),
        (0x00291010, "OB", b"SV10\4\3\2\1" + noise.randbytes(11_288)),
        (0x00291020, "OB", b"SV10\4\3\2\1" + protocol),
    ]
    pixels = _words(256 * 256, instance)
    return pack(_MR, _instance_uid(instance, series), rows, _requests(series), pixels)


def make_encapsulated_ct(instance: int, series: int = 1) -> bytes:
    """Return a CT slice whose pixels are one compressed fragment behind an offset table."""
    rows = [
        *common_rows("CT", _CT, instance, series, "Sample Medical Systems", "Tomograph 64"),
        *ct_rows(instance),
        *ct_slice_rows(instance, series),
        (0x00282110, "CS", "00"),
    ]
    frame = _noise(170_000 + instance % 64 * 100, instance)
    pixels = encapsulated(frame, offset_table=struct.pack("<L", 0))
    extra = _requests(series)
    return pack(_CT, _instance_uid(instance, series), rows, extra, pixels, uid=JPEG_LOSSLESS_UID)


def make_cine(instance: int, series: int = 1) -> bytes:
    """Return an ultrasound cine of 30 compressed frames, a fragment each, with an offset table."""
    frames = [_noise(18_000 + (instance * at) % 97 * 10, instance + at) for at in range(30)]
    starts = [0]
    for frame in frames[:-1]:
        starts.append(starts[-1] + 8 + len(frame))
    class_uid = _ULTRASOUND_CINE
    rows = [
        *common_rows("US", class_uid, instance, series, "Sample Sonics", "Sono 7"),
        (0x00181063, "DS", "33.3"),
        (0x00200013, "IS", f"{instance}"),
        (0x00280002, "US", 3),
        (0x00280004, "CS", "YBR_FULL_422"),
        (0x00280006, "US", 0),
        (0x00280008, "IS", "30"),
        (0x00280009, "AT", bytes.fromhex("18006310")),
        (0x00280010, "US", 480),
        (0x00280011, "US", 640),
        (0x00280100, "US", 8),
        (0x00280101, "US", 8),
        (0x00280102, "US", 7),
        (0x00280103, "US", 0),
        (0x00282110, "CS", "01"),
    ]
    pixels = encapsulated(*frames, offset_table=struct.pack("<30L", *starts))
    extra = {**_requests(series), 0x00186011: ultrasound_regions()}
    return pack(
        class_uid, _instance_uid(instance, series), rows, extra, pixels, uid=JPEG_BASELINE_UID
    )


def make_multiframe(instance: int, series: int = 1, *, delimited: bool = False) -> bytes:
    """Return an enhanced MR of 100 frames with functional groups of each frame.

    With `delimited` its sequences and items have undefined lengths.
    """
    rows = [
        *common_rows("MR", _ENHANCED_MR, instance, series, "Sample Healthcare", "Magnet 3T"),
        (0x00180023, "CS", "3D"),
        (0x00180087, "DS", "3"),
        (0x00181030, "LO", "Head routine"),
        (0x00185100, "CS", "HFS"),
        (0x00189073, "FD", struct.pack("<d", 192.5 + instance)),
        (0x00200013, "IS", f"{instance}"),
        (0x00200052, "UI", f"{study_uid(series)}.5"),
        (0x00280008, "IS", f"{_FRAMES}"),
        *pixel_rows(128, 128, signed=0),
        (0x00280301, "CS", "NO"),
        (0x00282110, "CS", "00"),
    ]
    put = partial(nest, delimited=delimited)
    frames = [_frame_groups(instance, number, put) for number in range(_FRAMES)]
    timing = [(0x00180080, "DS", "2300"), (0x00189240, "US", 1), (0x00189241, "US", 1)]
    extra = {
        **_requests(series),
        0x52009229: put(0x52009229, put(0x00189112, timing)),
        0x52009230: sequence(
            0x52009230,
            *(item(frame, delimited=delimited) for frame in frames),
            delimited=delimited,
        ),
    }
    pixels = _words(_FRAMES * 128 * 128, instance)
    return pack(_ENHANCED_MR, _instance_uid(instance, series), rows, extra, pixels)


def _instance_uid(instance: int, series: int) -> str:
    return f"{study_uid(series)}.1.{instance}"


def pack(
    class_uid: str,
    instance_uid: str,
    rows: Iterable[Row],
    extra: dict[int, bytes],
    pixels: bytes,
    encoding: Encoding = EXPLICIT_LITTLE,
    uid: str = EXPLICIT_LITTLE_UID,
) -> bytes:
    """Return a file: `rows` in tag order, ready elements by tag, and Pixel Data at the end."""
    elements = {tag: element(tag, vr, value, encoding=encoding) for tag, vr, value in rows}
    elements |= extra
    group = b"".join(
        [
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", class_uid),
            element(0x00020003, "UI", instance_uid),
            element(0x00020010, "UI", uid),
            element(0x00020012, "UI", f"{ROOT_UID}.9"),
            element(0x00020013, "SH", "SAMPLE_1"),
        ]
    )
    meta = element(0x00020000, "UL", len(group)) + group
    body = b"".join(elements[tag] for tag in sorted(elements))
    return make_file(body, pixels, transfer_syntax=uid, meta=meta)


def _requests(series: int, encoding: Encoding = EXPLICIT_LITTLE) -> dict[int, bytes]:
    """Return the sequences that point to other objects of the study."""
    reference: list[Row] = [(0x00081150, "UI", _CT), (0x00081155, "UI", f"{study_uid(series)}.9.1")]
    steps: list[Row] = [
        (0x00400007, "LO", "Routine"),
        (0x00400009, "SH", f"STEP{series}"),
        (0x00401001, "SH", f"REQ{series}"),
    ]
    return {
        0x00081140: nest(0x00081140, reference, encoding=encoding),
        0x00400275: nest(0x00400275, steps, encoding=encoding),
    }


def nest(
    tag: int,
    content: bytes | Iterable[Row],
    *,
    delimited: bool = False,
    encoding: Encoding = EXPLICIT_LITTLE,
) -> bytes:
    """Return a sequence of one item."""
    if not isinstance(content, bytes):
        content = b"".join(element(*row, encoding=encoding) for row in content)
    inner = item(content, delimited=delimited, encoding=encoding)
    return sequence(tag, inner, delimited=delimited, encoding=encoding)


def _frame_groups(instance: int, number: int, put: partial[bytes]) -> bytes:
    """Return the functional groups of one frame (PS3.3 section C.7.6.16)."""
    moment = f"20240311101{number // 60 % 10}{number % 60:02d}.{instance % 1000:03d}000"
    content: list[Row] = [
        (0x00189074, "DT", moment),
        (0x00189151, "DT", moment),
        (0x00189220, "FD", struct.pack("<d", 40.5)),
        (0x00209056, "SH", "1"),
        (0x00209057, "UL", number + 1),
        (0x00209128, "UL", 1),
        (0x00209157, "UL", struct.pack("<2L", 1, number + 1)),
    ]
    echo: list[Row] = [(0x00189082, "FD", struct.pack("<d", 2.98))]
    position: list[Row] = [(0x00200032, "DS", f"-116.5\\-120.25\\{-80 + 1.1 * number:.5f}")]
    orientation: list[Row] = [(0x00200037, "DS", "0.9998\\0.0\\-0.0171\\0.0\\1.0\\0.0")]
    measures: list[Row] = [
        (0x00180050, "DS", "1.1"),
        (0x00180088, "DS", "1.1"),
        (0x00280030, "DS", "0.898\\0.898"),
    ]
    window: list[Row] = [
        (0x00281050, "DS", f"{500 + number % 13}"),
        (0x00281051, "DS", f"{1000 + number % 17}"),
    ]
    rescale: list[Row] = [
        (0x00281052, "DS", "0"),
        (0x00281053, "DS", "1"),
        (0x00281054, "LO", "US"),
    ]
    return b"".join(
        [
            put(0x00189114, echo),
            put(0x00209111, content),
            put(0x00209113, position),
            put(0x00209116, orientation),
            put(0x00289110, measures),
            put(0x00289132, window),
            put(0x00289145, rescale),
        ]
    )


def ultrasound_regions() -> bytes:
    """Return how a picture of an ultrasound is calibrated."""
    return nest(
        0x00186011,
        [
            (0x00186012, "US", 1),
            (0x00186014, "US", 1),
            (0x00186016, "UL", 2),
            (0x00186018, "UL", 0),
            (0x0018601A, "UL", 0),
            (0x0018601C, "UL", 639),
            (0x0018601E, "UL", 479),
            (0x00186024, "US", 3),
            (0x00186026, "US", 3),
            (0x0018602C, "FD", struct.pack("<d", 0.0312)),
            (0x0018602E, "FD", struct.pack("<d", 0.0312)),
        ],
    )


def _words(count: int, seed: int, *, pixels: bool = True) -> bytes:
    """Return Pixel Data of `count` words; its header alone without `pixels`."""
    if pixels:
        return element(0x7FE00010, "OW", _pattern(2 * count, seed))
    return element(0x7FE00010, "OW", b"", length=2 * count)


def _pattern(count: int, seed: int) -> bytes:
    period = bytes((seed + at) % 251 for at in range(251))
    return (period * (count // 251 + 1))[:count]


@cache
def _million() -> bytes:
    return random.Random(0).randbytes(1 << 20)


def _noise(count: int, seed: int) -> bytes:
    """Return what compressed data looks like, an even number of bytes."""
    start = seed * 7919 % ((1 << 20) - count)
    return b"\xff\xd8" + _million()[start : start + count // 2 * 2 - 4] + b"\xff\xd9"


@cache
def _text_block(series: int, count: int) -> bytes:
    """Return a protocol as a vendor keeps it: text within a binary block."""
    lines = (f"sSlice[{at}].dThickness = {series + at / 7:.6f}\n" for at in range(count // 20))
    return "".join(lines).encode()[:count]
