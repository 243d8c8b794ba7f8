"""The beginning of a file: preamble, group 0002, and where the data set starts (PS3.10)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from dicomframe.dicom.damage import Damage, tag_name
from dicomframe.dicom.dictionary import VRS, lookup_vr
from dicomframe.dicom.elements import INVALID_VR_BYTES, make_entry, measure_invalid_vr, table_of
from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UID_OF_ENCODING,
    Encoding,
    detect_encoding,
    encoding_of,
    is_plausible,
    read_tag,
)
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.text import DEFAULT_CHARSET
from dicomframe.dicom.values import UnfitValue
from dicomframe.dicom.window import Request, Window

_MAGIC_AT = 128
_HEAD_BYTES = 12


@dataclass(slots=True)
class FileMeta:
    """Hold what stands before the data set.

    Attributes
    ----------
    data_set_at : int
        Where in the file the data set begins.
    has_preamble : bool
        Whether the file begins with 128 bytes and ``DICM``.
    values : dict
        VR and value field of each element of group 0002, by tag.
    places : list of tuple
        Tag, beginning and beginning of the value of each, in the order of the file.
    group_length_lies : bool
        Whether (0002,0000) tells another end of the group than the one that is there.
    invalid_vrs : list of int
        Tags whose VR is none.
    """

    data_set_at: int
    has_preamble: bool
    values: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    places: list[tuple[int, int, int]] = field(default_factory=list)
    group_length_lies: bool = False
    invalid_vrs: list[int] = field(default_factory=list)

    @property
    def transfer_syntax(self) -> str:
        """The UID in (0002,0010), empty if there is none."""
        return self.values.get(0x00020010, ("UI", b""))[1].rstrip(b" \0").decode("latin-1")

    def find(self, tag: int) -> bytes | None:
        """Return an element of group 0002 as a member of a DICOM JSON object, None without it."""
        vr, raw = self.values.get(tag, (None, b""))
        if vr is None:
            return None
        entry = make_entry(tag, vr, EXPLICIT_LITTLE)
        try:
            return entry.prefix + entry.encode(raw, DEFAULT_CHARSET)
        except UnfitValue:
            return None


def read_file_meta(window: Window) -> Generator[Request, bytes, FileMeta]:
    """Read up to the data set; the window begins with the file.

    Raises
    ------
    Damage
        ``not_dicom``, or ``truncated`` inside group 0002.
    """
    has_preamble = window.buffer[_MAGIC_AT : _MAGIC_AT + 4] == b"DICM"
    start = _MAGIC_AT + 4 if has_preamble else 0
    meta = FileMeta(start, has_preamble)
    if has_preamble and start == window.size:
        raise Damage("truncated", "the file ends after the magic word DICM", start)
    encoding = _meta_encoding(window.buffer[start : start + _HEAD_BYTES])
    if encoding is None:
        if not has_preamble and not _begins_data_set(window):
            raise Damage("not_dicom", _describe_start(window.buffer), 0)
        return meta
    yield from _read_group(window, meta, encoding)
    return meta


def _meta_encoding(head: bytes) -> Encoding | None:
    """Return how group 0002 is written, None if it does not begin here."""
    if head[:2] == b"\x02\0":
        return EXPLICIT_LITTLE if head[4:6] in VRS or len(head) < 6 else IMPLICIT_LITTLE
    if head[:2] == b"\0\x02" and head[4:6] in VRS:
        return EXPLICIT_BIG
    return None


def _read_group(
    window: Window, meta: FileMeta, encoding: Encoding
) -> Generator[Request, bytes, None]:
    order = encoding.order
    group = b"\x02\0" if order == "little" else b"\0\x02"
    table, key_bytes = table_of(encoding), 6 if encoding.explicit else 4
    declared_end = None
    at = meta.data_set_at
    while True:
        near = at - window.base
        head = window.buffer[near : near + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES and at + len(head) < window.size:
            yield from window.fill(at, _HEAD_BYTES)
            continue
        if head[:2] != group:
            break
        _, tag, _, _, vr, length_at, header_bytes, _ = table[head[:key_bytes]]
        if len(head) < header_bytes:
            raise Damage("truncated", f"the file ends inside {tag_name(tag)}", at)
        length = int.from_bytes(head[length_at:header_bytes], order)
        if encoding.explicit and head[4:6] not in VRS:
            rest, room = window.peek(at, INVALID_VR_BYTES), window.size - at
            if rest is None:
                yield from window.fill(at, INVALID_VR_BYTES)
                continue
            header_bytes, length = measure_invalid_vr(rest, room, encoding, tag, at)
            vr = lookup_vr(tag) or "UN"
            meta.invalid_vrs.append(tag)
        stop = at + header_bytes + length
        if stop > window.size:
            raise Damage("truncated", f"the file ends inside {tag_name(tag)}", at)
        value = window.buffer[near + header_bytes : near + header_bytes + length]
        if len(value) < length:
            yield from window.fill(at, header_bytes + length)
            continue
        meta.values.setdefault(tag, (vr, value))
        meta.places.append((tag, at, at + header_bytes))
        if tag == 0x00020000 and length == 4:
            declared_end = stop + int.from_bytes(value, order)
        at = stop
    meta.data_set_at = at
    meta.group_length_lies = declared_end is not None and declared_end != at
    if at >= window.size:
        is_cut = declared_end is not None and declared_end > window.size
        detail = "the file ends with group 0002 and holds no data set"
        raise Damage("truncated", "the file ends inside group 0002" if is_cut else detail, at)


def _begins_data_set(window: Window) -> bool:
    """Tell whether a file with no preamble begins with two elements of a data set.

    The first must be a known one of group 0008 (or 0004, a directory); the second, if the file
    reaches it, must be plausible and come later in tag order.
    """
    buffer, size = window.buffer, window.size
    if len(buffer) < _HEAD_BYTES:
        return False
    encoding = detect_encoding(buffer, size, None)
    if encoding is None:
        return False
    order = encoding.order
    group = int.from_bytes(buffer[:2], order)
    if group not in (0x0004, 0x0008):
        return False
    entry = table_of(encoding)[buffer[: 6 if encoding.explicit else 4]]
    length = int.from_bytes(buffer[entry.length_at : entry.header_bytes], order)
    second_at = entry.header_bytes + length
    second = buffer[second_at : second_at + _HEAD_BYTES]
    if len(second) < _HEAD_BYTES:
        return encoding.explicit or length < 0xFFFF
    return read_tag(buffer, order) < read_tag(second, order) and is_plausible(
        second, size - second_at, encoding
    )


def settle_encoding(
    window: Window, start: int, meta: FileMeta, uid: str, inspection: Inspection | None
) -> tuple[Encoding, str]:
    """Return how the data set is really written, and the transfer syntax that this makes it."""
    declared = encoding_of(uid) if uid else None
    if uid and declared is None:
        raise Damage("unsupported", "the transfer syntax holds no data elements to walk", start)
    head = window.buffer[start - window.base :][:12]
    if len(head) < 8:
        raise Damage("truncated", "the file ends inside its first data element", start)
    written = detect_encoding(head, window.size - start, declared)
    if written is None:
        if uid and uid not in UID_OF_ENCODING.values() and not uid.startswith("1.2.840.10008."):
            raise Damage("unsupported", "the transfer syntax is not known", start)
        raise Damage("malformed", "the data set does not begin with a data element", start)
    if inspection is not None:
        if not meta.has_preamble:
            inspection.add_number("no_preamble", 0)
        if not meta.values:
            inspection.add_number("no_file_meta", 0)
        if meta.group_length_lies:
            inspection.add("group_length", 0x00020000)
        for tag in meta.invalid_vrs:
            inspection.add("invalid_vr", tag)
        if declared is not None and declared != written:
            inspection.add("transfer_syntax_mismatch", 0x00020010)
    if not uid or (declared != written and uid in UID_OF_ENCODING.values()):
        uid = UID_OF_ENCODING[written]
    return written, uid


_SIGNATURES = {
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip stream",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"<!DOC": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"MZ": "a PE program",
    b"\x7fELF": "an ELF program",
}


def _describe_start(buffer: bytes) -> str:
    found = next((name for mark, name in _SIGNATURES.items() if buffer.startswith(mark)), None)
    looks = f"; it begins like {found}" if found else ""
    return f"no DICM at byte 128 and no data element at byte 0{looks}"
