"""Files of other formats, and files with a strange preamble, group 0002 or transfer syntax."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
    Encoding,
)
from dicomframe.testing.bad_files.parts import (
    FIRST,
    NAME,
    PATIENT,
    BadFile,
    implicit,
    make_secret_ct,
)
from dicomframe.testing.samples import (
    DEFLATED_UID,
    JPEG_UID,
    deflate,
    deflate_bomb,
    element,
    encapsulated,
    file_meta,
    item,
    make_file,
)

_MISMATCH = ("transfer_syntax_mismatch:00020010",)
_META_LENGTH = ("group_length:00020000",)
_CT = make_secret_ct()
_DATA_SET = _CT[_CT.index(b"\x08\0\x05\0CS") :]
_DEFLATED = make_secret_ct(transfer_syntax=DEFLATED_UID)
_STREAM_AT = 132 + len(file_meta(DEFLATED_UID))


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("ct.dcm"), _CT)
    return stream.getvalue()


def _preamble(start: bytes) -> bytes:
    return start.ljust(128, b"\0") + _CT[128:]


def _tiff_preamble() -> bytes:
    """Put a TIFF header into the preamble whose directory stands there too (PS3.10 section 7.1)."""
    entries = [(256, 16), (257, 16), (259, 1), (273, len(_CT) - 512), (279, 512)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return _preamble(b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4))


def _meta_length(change: int) -> bytes:
    meta = bytearray(file_meta())
    meta[8:12] = (int.from_bytes(meta[8:12], "little") + change).to_bytes(4, "little")
    return make_file(FIRST, NAME, meta=bytes(meta))


def _meta_written(encoding: Encoding, uid: str = EXPLICIT_LITTLE_UID) -> bytes:
    return make_file(FIRST, NAME, meta=element(0x00020010, "UI", uid, encoding=encoding))


def _acr_nema() -> bytes:
    body = implicit(0x00080060, "MR")
    names = implicit(0x00100010, PATIENT) + implicit(0x00100020, "1")
    return implicit(0x00080000, len(body).to_bytes(4, "little")) + body + names


def _bomb(name: str, what: str, tag: int, vr: str, block: bytes, blocks: int) -> BadFile:
    head = FIRST, NAME, element(tag, vr, length=blocks * len(block))
    return BadFile(name, what, lambda: deflate_bomb(*head, block=block, blocks=blocks), "too_large")


BEGINNINGS = (
    BadFile("empty", "no bytes", bytes, "empty"),
    BadFile("one_byte", "one byte", lambda: b"x", "not_dicom"),
    BadFile("zeros", "nothing but zeros", lambda: bytes(1000), "not_dicom"),
    BadFile("ones", "nothing but 0xFF", lambda: b"\xff" * 1000, "not_dicom"),
    BadFile("noise", "random bytes", lambda: random.Random(1).randbytes(5000), "not_dicom"),  # noqa: S311
    BadFile("text", "a letter", lambda: b"Dear Ms. " + PATIENT.encode() * 50, "not_dicom"),
    BadFile(
        "html",
        "the page of a server that is down",
        lambda: b"<!DOCTYPE html><html><body>503</body></html>" + bytes(200),
        "not_dicom",
    ),
    BadFile("xml", "an XML document", lambda: b"<?xml version='1.0'?>" * 40, "not_dicom"),
    BadFile("json", "DICOM JSON", lambda: b'{"00080060":{"vr":"CS"}}' * 20, "not_dicom"),
    BadFile(
        "dump",
        "the text of a dump",
        lambda: b"(0010,0010) PN [" + PATIENT.encode() + b"]\n" + b"(0010,0020) LO [1]\n" * 20,
        "not_dicom",
    ),
    BadFile(
        "jpeg", "a JPEG image", lambda: b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500), "not_dicom"
    ),
    BadFile("png", "a PNG image", lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), "not_dicom"),
    BadFile("tiff", "a TIFF image", lambda: b"II*\0\x08\0\0\0" + bytes(500), "not_dicom"),
    BadFile("pdf", "a PDF document", lambda: b"%PDF-1.7\n" + b"1 0 obj\n" * 50, "not_dicom"),
    BadFile(
        "zip", "a ZIP archive with a sound file in it, with `archives=False`", _zip, "not_dicom"
    ),
    BadFile(
        "gzip",
        "a sound file, compressed, with `archives=False`",
        lambda: gzip.compress(_CT, mtime=0),
        "not_dicom",
    ),
    BadFile("magic_at_0", "`DICM` at byte 0", lambda: _CT[128:], "not_dicom"),
    BadFile("preamble_of_127", "`DICM` one byte too early", lambda: _CT[1:], "not_dicom"),
    BadFile(
        "preamble_twice", "a preamble before the preamble", lambda: bytes(128) + _CT, "not_dicom"
    ),
    BadFile("tiff_polyglot", "a TIFF image too: its header is the preamble", _tiff_preamble),
    BadFile(
        "pe_polyglot",
        "a Windows program too: its header is the preamble",
        lambda: _preamble(b"MZ" + bytes(58) + len(_CT).to_bytes(4, "little")),
    ),
    BadFile("html_polyglot", "the preamble is HTML", lambda: _preamble(b"<html><!--")),
    BadFile(
        "no_preamble",
        "group 0002 at byte 0",
        lambda: file_meta() + FIRST + NAME,
        warnings=("no_preamble:0",),
    ),
    BadFile(
        "no_file_meta",
        "a preamble and no group 0002",
        lambda: make_file(FIRST, NAME, meta=b""),
        warnings=("no_file_meta:0",),
    ),
    BadFile(
        "data_set_alone",
        "explicit VR from byte 0 on, as a PACS may store it",
        lambda: FIRST + NAME,
        warnings=("no_preamble:0", "no_file_meta:0"),
    ),
    BadFile(
        "acr_nema",
        "implicit VR from byte 0 on, with group lengths, as before 1993",
        _acr_nema,
        warnings=("no_preamble:0", "no_file_meta:0"),
    ),
    BadFile(
        "data_set_alone_big_endian",
        "big endian from byte 0 on",
        lambda: (
            element(0x00080060, "CS", "MR", encoding=EXPLICIT_BIG)
            + element(0x00100010, "PN", PATIENT, encoding=EXPLICIT_BIG)
        ),
        warnings=("no_preamble:0", "no_file_meta:0"),
    ),
    BadFile("magic_alone", "the file ends after `DICM`", lambda: _CT[:132], "truncated"),
    BadFile(
        "magic_and_noise",
        "noise after `DICM`",
        lambda: _CT[:132] + b"\xde\xad\xbe\xef" * 9,
        "malformed",
    ),
    BadFile("magic_and_zeros", "zeros after `DICM`", lambda: _CT[:132] + bytes(500), "malformed"),
    BadFile("meta_alone", "group 0002 and no data set", make_file, "truncated"),
    BadFile("meta_and_zeros", "zeros after group 0002", lambda: make_file(bytes(100)), "malformed"),
    BadFile(
        "meta_length_short",
        "the length of group 0002 is too small",
        lambda: _meta_length(-6),
        warnings=_META_LENGTH,
    ),
    BadFile(
        "meta_length_long",
        "the length of group 0002 is too large",
        lambda: _meta_length(8),
        warnings=_META_LENGTH,
    ),
    BadFile(
        "meta_length_zero",
        "the length of group 0002 is 0",
        lambda: make_file(FIRST, NAME, meta=element(0x00020000, "UL", 0) + file_meta()[12:]),
        warnings=_META_LENGTH,
    ),
    BadFile(
        "meta_length_past_end",
        "group 0002 is to end behind the file",
        lambda: _meta_length(1 << 30),
        warnings=_META_LENGTH,
    ),
    BadFile(
        "meta_length_missing",
        "group 0002 without its length",
        lambda: make_file(FIRST, NAME, meta=file_meta()[12:]),
    ),
    BadFile("meta_implicit", "group 0002 in implicit VR", lambda: _meta_written(IMPLICIT_LITTLE)),
    BadFile("meta_big_endian", "group 0002 in big endian", lambda: _meta_written(EXPLICIT_BIG)),
    BadFile(
        "meta_element_past_end",
        "an element of group 0002 ends behind the file",
        lambda: make_file(FIRST, NAME, meta=element(0x00020016, "AE", PATIENT, length=60000)),
        "truncated",
    ),
    BadFile(
        "meta_invalid_vr",
        "an element of group 0002 with a VR that is none",
        lambda: make_file(
            FIRST, NAME, meta=file_meta(EXPLICIT_LITTLE_UID, element(0x00020016, "ZZ", PATIENT))
        ),
        warnings=("invalid_vr:00020016",),
    ),
    BadFile(
        "syntax_missing",
        "group 0002 without a transfer syntax",
        lambda: make_file(FIRST, NAME, meta=file_meta("")),
    ),
    BadFile(
        "syntax_empty",
        "an empty transfer syntax",
        lambda: make_file(FIRST, NAME, meta=file_meta("", element(0x00020010, "UI"))),
    ),
    BadFile(
        "syntax_unknown",
        "a transfer syntax that nobody knows, explicit VR behind it",
        lambda: make_file(FIRST, NAME, transfer_syntax="1.9.9.9"),
    ),
    BadFile(
        "syntax_text",
        "a transfer syntax that is no UID",
        lambda: make_file(FIRST, NAME, transfer_syntax=PATIENT),
    ),
    BadFile(
        "syntax_unknown_and_noise",
        "a transfer syntax that nobody knows, noise behind it",
        lambda: make_file(b"\xde\xad\xbe\xef" * 9, transfer_syntax="1.9.9.9"),
        "unsupported",
    ),
    BadFile(
        "syntax_known_and_noise",
        "noise for a data set",
        lambda: make_file(b"\xde\xad\xbe\xef" * 9),
        "malformed",
    ),
    BadFile(
        "syntax_xml",
        "XML encapsulation",
        lambda: make_file(b"<?xml?>", transfer_syntax="1.2.840.10008.1.2.6.2"),
        "unsupported",
    ),
    BadFile(
        "syntax_video_flow",
        "a SMPTE ST 2110 flow",
        lambda: make_file(FIRST, NAME, transfer_syntax="1.2.840.10008.1.2.7.1"),
        "unsupported",
    ),
    BadFile(
        "syntax_twice",
        "two transfer syntaxes, of which the second lies",
        lambda: make_file(
            FIRST,
            NAME,
            meta=file_meta(EXPLICIT_LITTLE_UID, element(0x00020010, "UI", IMPLICIT_LITTLE_UID)),
        ),
    ),
    BadFile(
        "declared_explicit_written_implicit",
        "declared explicit, written implicit",
        lambda: make_secret_ct(encoding=IMPLICIT_LITTLE),
        warnings=_MISMATCH,
    ),
    BadFile(
        "declared_implicit_written_explicit",
        "declared implicit, written explicit",
        lambda: make_secret_ct(transfer_syntax=IMPLICIT_LITTLE_UID),
        warnings=_MISMATCH,
    ),
    BadFile(
        "declared_big_written_little",
        "declared big endian, written little endian",
        lambda: make_secret_ct(transfer_syntax=EXPLICIT_BIG_UID),
        warnings=_MISMATCH,
    ),
    BadFile(
        "declared_little_written_big",
        "declared little endian, written big endian",
        lambda: make_secret_ct(encoding=EXPLICIT_BIG),
        warnings=_MISMATCH,
    ),
    BadFile(
        "declared_jpeg_written_implicit",
        "declared JPEG, which is explicit, written implicit",
        lambda: make_file(
            implicit(0x00080060, "MR"),
            implicit(0x00100010, PATIENT),
            transfer_syntax=JPEG_UID,
        ),
        warnings=_MISMATCH,
    ),
    BadFile(
        "declared_deflated_written_plain",
        "declared deflated, written plain",
        lambda: _DEFLATED[:_STREAM_AT] + _DATA_SET,
        "malformed",
    ),
    BadFile(
        "declared_plain_written_deflated",
        "declared plain, written deflated",
        lambda: make_file(_DEFLATED[_STREAM_AT:]),
        "malformed",
    ),
    BadFile(
        "deflate_cut",
        "the deflate stream is cut",
        lambda: _DEFLATED[: (_STREAM_AT + len(_DEFLATED)) // 2],
        "truncated",
    ),
    BadFile(
        "deflate_cut_at_start",
        "one byte of the deflate stream",
        lambda: _DEFLATED[: _STREAM_AT + 1],
        "truncated",
    ),
    BadFile(
        "deflate_damaged",
        "the deflate stream is damaged",
        lambda: _DEFLATED[: _STREAM_AT + 40] + b"\xff" * 60 + _DEFLATED[_STREAM_AT + 100 :],
        "malformed",
    ),
    BadFile(
        "deflate_with_zlib_header",
        "a zlib stream, which has a header",
        lambda: _DEFLATED[:_STREAM_AT] + zlib.compress(_DATA_SET),
        "malformed",
    ),
    BadFile(
        "deflate_of_cut_data_set",
        "a whole stream of a data set that is cut",
        lambda: make_file(_DATA_SET[:-100], transfer_syntax=DEFLATED_UID),
        "truncated",
    ),
    BadFile(
        "deflate_of_noise",
        "a whole stream of noise",
        lambda: make_file(b"\xde\xad\xbe\xef" * 9, transfer_syntax=DEFLATED_UID),
        "malformed",
    ),
    BadFile(
        "deflate_of_nothing",
        "a whole stream of no bytes",
        lambda: make_file(transfer_syntax=DEFLATED_UID),
        "truncated",
    ),
    BadFile(
        "deflate_and_more",
        "bytes behind the deflate stream",
        lambda: _DEFLATED[:_STREAM_AT] + zlib.compress(_DATA_SET, wbits=-15) + b"behind",
        warnings=("trailing_bytes:6",),
    ),
    BadFile(
        "deflated_frames",
        "deflated frames: the data set itself is plain",
        lambda: make_file(
            FIRST, NAME, encapsulated(deflate(bytes(512))), transfer_syntax="1.2.840.10008.1.2.8.1"
        ),
    ),
    _bomb("bomb_of_pixels", "90 MiB of Pixel Data in 90 kB", 0x7FE00010, "OW", bytes(1 << 20), 90),
    _bomb("bomb_of_2_gib", "2 GiB of Pixel Data in 2 MB", 0x7FE00010, "OW", bytes(1 << 20), 2048),
    _bomb(
        "bomb_of_items",
        "13 million empty items in 130 kB",
        0x00400275,
        "SQ",
        item() * (1 << 17),
        100,
    ),
)
