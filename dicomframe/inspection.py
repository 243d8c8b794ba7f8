"""What is strange in a file that is whole: the codes of the column ``warnings``."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import date
from functools import partial

from dicomframe.dicom.dictionary import lookup_vr
from dicomframe.dicom.elements import Entry, Kind
from dicomframe.dicom.fragments import UNDEFINED
from dicomframe.dicom.members import find_member
from dicomframe.dicom.observer import Observer
from dicomframe.dicom.text import DEFAULT_CHARSET, Charset
from dicomframe.dicom.values import ByteOrder, word_bytes

WARNINGS = (
    "invalid_value",
    "invalid_vr",
    "vr_mismatch",
    "odd_length",
    "undecodable_text",
    "duplicate_tag",
    "tag_order",
    "group_length",
    "no_preamble",
    "no_file_meta",
    "transfer_syntax_mismatch",
    "missing_pixel_data",
    "short_pixel_data",
    "long_pixel_data",
    "offset_table",
    "stray_delimiter",
    "trailing_bytes",
)
"""Every code; a warning is a code, a colon, and a tag (8 hex digits) or a number."""

_META_WARNINGS: tuple[str, ...] = ("group_length", "invalid_vr")
_MOST_WARNINGS = 100
_DEFAULT = DEFAULT_CHARSET.encodings
_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_LINE_VRS = frozenset({"LO", "PN", "SH", "UC"})
_ONE_VALUE_VRS = frozenset({"LT", "ST", "UT", "UR"})
_TIME = r"(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_DAY = rf"(?:0[1-9]|[12]\d|3[01])(?:{_TIME})?"
_MOMENT = rf"\d{{4}}(?:(?:0[1-9]|1[0-2])(?:{_DAY})?)?(?:[+-]\d{{4}})?"
_compile = partial(re.compile, flags=re.ASCII)
_VALUE = {
    "AE": _compile(r"[ -\[\]-~]{1,16}"),
    "AS": _compile(r"\d{3}[DWMY]"),
    "CS": _compile(r"[A-Z0-9 _]{1,16}"),
    "DA": _compile(r"\d{8}|\d{4}\.\d\d\.\d\d"),
    "DS": _compile(r"(?=.{1,16}$) *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? *"),
    "DT": _compile(_MOMENT),
    "IS": _compile(r"(?=.{1,12}$) *[+-]?\d+ *"),
    "TM": _compile(_TIME),
    "UI": _compile(r"(?=.{1,64}$)(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*"),
}
_CONTROL = re.compile(r"[\x00-\x1a\x1c-\x1f\x7f]")
_LONGEST = {"LO": 64, "LT": 10240, "SH": 16, "ST": 1024}


class Inspection(Observer):
    """Collect warnings about one file, each once, a hundred at the most.

    They stand in the order in which they were met. Of group 0002, which comes first, the lengths
    and the VRs alone are judged.
    """

    is_on = True

    def __init__(self) -> None:
        super().__init__()
        self._codes = _META_WARNINGS
        self._group_end: tuple[int, int] | None = None

    def begin_data_set(self) -> None:
        """Be told that group 0002 is over."""
        self._codes = WARNINGS
        self._group_end = None

    def add(self, code: str, subject: int, form: str = "08X") -> None:
        """Tell of something strange about an element, by its tag, or of so many bytes (``"d"``)."""
        warning = f"{code}:{subject:{form}}"
        is_new = len(self.warnings) < _MOST_WARNINGS and warning not in self.warnings
        if is_new and code in self._codes:
            self.warnings.append(warning)

    def see_header(self, entry: Entry, length: int, at: int, *, is_root: bool) -> None:
        """Look at the header of an element that begins at byte `at` of the file."""
        tag = entry.tag
        if is_root and self._group_end is not None and tag >> 16 != self._group_end[0] >> 16:
            self.see_end(at)
        if entry.kind == Kind.INVALID_VR:
            self.add("invalid_vr", tag)
        elif entry.encoding.explicit and entry.vr != "UN":
            expected = lookup_vr(tag)
            if expected is not None and entry.vr not in expected.split(" or "):
                self.add("vr_mismatch", tag)
        if length & 1 and length != UNDEFINED:
            self.add("odd_length", tag)

    def see_end(self, at: int) -> None:
        """Look at the end of a group or of the data set, against the last group length."""
        if self._group_end is not None and at != self._group_end[1]:
            self.add("group_length", self._group_end[0])
        self._group_end = None

    def see_group_length(self, tag: int, raw: bytes, stop: int, order: ByteOrder) -> None:
        """Look at a group length (PS3.5 section 7.2)."""
        self._group_end = (tag, stop + int.from_bytes(raw, order))

    def see_value(self, tag: int, vr: str, raw: bytes, charset: Charset) -> None:
        """Look at a value (PS3.5 section 6.2)."""
        if vr in _VALUE or vr in _TEXT_VRS or vr == "UR":
            self._see_text(tag, vr, raw.rstrip(b" \0"), charset)
        elif len(raw) % (4 if vr == "AT" else word_bytes(vr)):
            self.add("invalid_value", tag)
        if tag == 0x00080005 and not charset.known:
            self.add("invalid_value", tag)

    def _see_text(self, tag: int, vr: str, raw: bytes, charset: Charset) -> None:
        text = raw.decode("latin-1")
        if vr in _TEXT_VRS:
            try:
                text = charset.decode(raw, is_name=vr == "PN", errors="strict")
                if charset.known and charset.encodings == _DEFAULT:
                    raw.decode("ascii")
            except UnicodeError:
                self.add("undecodable_text", tag)
                return
        values = [text] if vr in _ONE_VALUE_VRS else text.split("\\")
        for value in values:
            if value and not _is_valid(vr, value.strip(" ") if vr in ("AE", "CS") else value):
                self.add("invalid_value", tag)

    def see_pixels(self, members: list[bytes], length: int | None, *, encapsulated: bool) -> None:
        """Look at the length of Pixel Data against what describes it (PS3.3 section C.7.6.3)."""
        rows, columns = _number(members, 0x00280010), _number(members, 0x00280011)
        if not rows or not columns:
            return
        if length is None:
            self.add("missing_pixel_data", 0x7FE00010)
        elif not encapsulated:
            bits = _number(members, 0x00280100)
            samples, frames = _number(members, 0x00280002, 1), _number(members, 0x00280008, 1)
            values = rows * columns * samples * frames
            if find_member(members, 0x00280004) == _YBR_FULL_422:
                values = values * 2 // 3
            expected = (values * bits + 7) // 8
            expected += expected & 1
            if bits and length < expected:
                self.add("short_pixel_data", expected - length, "d")
            elif bits and length > expected:
                self.add("long_pixel_data", length - expected, "d")

    def see_offset_table(self, table: bytes, starts: list[int]) -> None:
        """Look at a Basic Offset Table: each entry must be the start of a fragment (A.4)."""
        offsets = {int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)}
        if len(table) % 4 or not offsets <= set(starts):
            self.add("offset_table", 0x7FE00010)


_YBR_FULL_422 = b'"00280004":{"vr":"CS","Value":["YBR_FULL_422"]}'


def _number(members: list[bytes], tag: int, default: int = 0) -> int:
    member = find_member(members, tag)
    try:
        return int(json.loads(b"{%b}" % member)[f"{tag:08X}"]["Value"][0]) if member else default
    except (KeyError, IndexError, TypeError, ValueError):
        return default


def _is_valid(vr: str, value: str) -> bool:
    if vr in _VALUE:
        if _VALUE[vr].fullmatch(value) is None:
            return False
        if vr == "DA":
            with suppress(ValueError):
                return bool(date.fromisoformat(value.replace(".", "")))
            return False
        return vr != "IS" or -(2**31) <= int(value) < 2**31
    if vr in _LINE_VRS and _CONTROL.search(value):
        return False
    if vr == "PN":
        groups = value.split("=")
        return len(groups) <= 3 and all(len(group) <= 64 for group in groups)
    return len(value) <= _LONGEST.get(vr, len(value))
