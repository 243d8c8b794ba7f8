"""Wanted attributes: how they are written, and their typed values."""

from __future__ import annotations

import base64
import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import get_entry

from dicomframe.dicom.dictionary import lookup_vr
from dicomframe.dicom.elements import PIXEL_TAGS
from dicomframe.dicom.header import Header
from dicomframe.errors import UnknownTagError

Kind = Literal[
    "integer", "unsigned", "decimal", "age", "date", "datetime", "time", "name", "text",
    "binary", "json",
]  # fmt: skip
"""How the values of a column are read; the scan layer gives each an Arrow type."""

_VRS_OF_KIND: dict[Kind, str] = {
    "integer": "IS,SS,US,SL,UL,SV,US or SS,US or OW,US or SS or OW",
    "unsigned": "UV",
    "decimal": "DS,FL,FD",
    "age": "AS",
    "date": "DA",
    "datetime": "DT",
    "time": "TM",
    "name": "PN",
    "json": "SQ",
    "binary": "OB,OD,OF,OL,OV,OW,UN,OB or OW",
}
_KIND_OF_VR = {vr: kind for kind, vrs in _VRS_OF_KIND.items() for vr in vrs.split(",")}
_PART = re.compile(r"(?P<tag>[^\[\].]+)(?:\[(?P<item>\d+)\])?")
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_HEX_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_DIGITS = re.compile(r"[+-]?[0-9]+")
_DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)")
_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?")
_MOMENT = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"([+-]\d{4})?"
)


@dataclass(frozen=True, slots=True)
class TagColumn:
    """Describe one typed column.

    Attributes
    ----------
    name : str
        The column.
    path : tuple of int
        Tags and item numbers in turn, from the data set inwards: ``(tag, item, tag)``.
    kind : str
        How values are read.
    many : bool
        Whether the attribute's VM can pass 1 and the column so holds lists.
    """

    name: str
    path: tuple[int, ...]
    kind: Kind
    many: bool


def parse_tags(
    tags: str | Iterable[str] | Mapping[str, str] | None, reserved: Iterable[str] = ()
) -> tuple[TagColumn, ...]:
    """Return the columns that `tags` asks for.

    Parameters
    ----------
    tags : list of str or dict of str to str, optional
        Keywords of PS3.6 (``"PatientAge"``), tags in hexadecimal (``"00101010"``) or paths into
        sequences (``"RequestAttributesSequence[0].ScheduledProcedureStepID"``); or the columns'
        names with such a path each.
    reserved : iterable of str
        Names that a column cannot have.

    Raises
    ------
    UnknownTagError
        A tag is not in PS3.6, or its column's name is taken.

    Examples
    --------
    >>> parse_tags(["PatientAge"])
    (TagColumn(name='PatientAge', path=(1052688,), kind='age', many=False),)
    """
    if tags is None:
        return ()
    if isinstance(tags, str):
        tags = [tags]
    pairs = list(tags.items()) if isinstance(tags, Mapping) else [(tag, tag) for tag in tags]
    columns = []
    taken = {name.casefold() for name in reserved}  # engines compare names without case
    for name, path in pairs:
        if not isinstance(name, str) or not isinstance(path, str):
            raise UnknownTagError(
                f"tags must be strings, found {path!r}; write keywords such as 'PatientID', "
                f"hexadecimal tags such as '00100020', or paths into sequences"
            )
        if name.casefold() in taken:
            raise UnknownTagError(
                f"two columns would be named {name!r}; give other names with a dict of column "
                f"name to tag"
            )
        taken.add(name.casefold())
        columns.append(_parse_path(name, path))
    return tuple(columns)


def _parse_path(name: str, text: str) -> TagColumn:
    path: list[int] = []
    parts = text.split(".")
    kind: Kind = "text"
    many = False
    for position, part in enumerate(parts):
        match = _PART.fullmatch(part.strip())
        tag = _parse_tag(match["tag"], text) if match else None
        if match is None or tag is None:
            raise UnknownTagError(
                f"{text!r} is no path; write it as 'RequestAttributesSequence[0].CodeValue'"
            )
        found = describe(tag)
        kind, many = ("json", False) if found is None else _kind_of(*found)
        path.append(tag)
        is_last = position == len(parts) - 1
        if not is_last and kind != "json":
            raise UnknownTagError(f"{part!r} in {text!r} is no sequence")
        if is_last and match["item"] is not None:
            raise UnknownTagError(
                f"{text!r} ends with an item; name an attribute inside it, or leave {part!r} "
                f"without an item for its whole DICOM JSON"
            )
        if not is_last:
            if match["item"] is None:
                raise UnknownTagError(
                    f"{part!r} in {text!r} needs an item, such as {match['tag'] + '[0]'!r}"
                )
            path.append(int(match["item"]))
    if len(path) == 1 and path[0] in PIXEL_TAGS:
        raise UnknownTagError(f"{text!r} is no column of tags; ask for it with pixels='bytes'")
    return TagColumn(name, tuple(path), kind, many)


def _parse_tag(text: str, whole: str) -> int:
    tag = keywords().get(text)
    if tag is None:
        tag = _parse_hex_tag(text)
        if tag is not None and (describe(tag) is not None or tag >> 16 & 1):
            return tag
    if tag is None:
        close = difflib.get_close_matches(text, keywords(), n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        where = "" if text == whole else f" in {whole!r}"
        raise UnknownTagError(
            f"{text!r}{where} is neither a keyword of PS3.6 nor a tag of 8 hexadecimal digits{hint}"
        )
    if describe(tag) is None:
        raise UnknownTagError(f"{text!r} is no tag of PS3.6; private tags have an odd group")
    return tag


@lru_cache(maxsize=1)
def keywords() -> dict[str, int]:
    """Return the tag of every keyword of PS3.6, without the repeating groups."""
    return {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}


def describe(tag: int) -> tuple[str, str] | None:
    """Return the VR and the VM of a public `tag`, or None if PS3.6 does not know it."""
    vr = lookup_vr(tag)
    return None if vr is None or tag & 0xFFFF == 0 else (vr, get_entry(tag)[1])


def _parse_hex_tag(text: str) -> int | None:
    """Return the tag written as ``00100020``, ``0010,0020`` or ``(0010,0020)``."""
    match = _HEX_TAG.fullmatch(text)
    return int(match[1] + match[2], 16) if match else None


def _kind_of(vr: str, vm: str) -> tuple[Kind, bool]:
    kind = _KIND_OF_VR.get(vr, "text")
    return kind, vm != "1" and kind not in ("json", "binary")


def typed_values(header: Header, columns: Sequence[TagColumn]) -> list[Any]:
    """Return the value of each column in one file, None where there is none that fits."""
    values: list[Any] = []
    for column in columns:
        member = header.find(column.path[0])
        if member is None:
            values.append(None)
        elif len(column.path) > 1 or len(member) > _LONGEST_KEPT:
            values.append(_typed_value(member, column))
        else:
            # A member begins with its tag, which settles the kind: neighbours share most of them.
            value = _kept.get(member, _UNKNOWN)
            if value is _UNKNOWN:
                if len(_kept) >= _MOST_KEPT:
                    _kept.clear()
                value = _kept[member] = _typed_value(member, column)
            values.append(value)
    return values


_LONGEST_KEPT = 512
_MOST_KEPT = 4096
_UNKNOWN = object()
_kept: dict[bytes, Any] = {}


def _typed_value(member: bytes, column: TagColumn) -> Any:
    """Return the value of a top-level member, or of an element inside it."""
    data_set = json.loads(b"{%b}" % member)
    path = column.path
    for tag, item in zip(path[:-1:2], path[1::2], strict=True):
        items = data_set.get(f"{tag:08X}", {}).get("Value", ())
        if item >= len(items) or not isinstance(items[item], dict):
            return None  # no such item, or the file has another VR there
        data_set = items[item]
    element = data_set.get(f"{path[-1]:08X}")
    if element is None:
        return None
    if column.kind == "json":
        found = element.get("Value", element if element.keys() > {"vr"} else None)
        return None if found is None else json.dumps(found, ensure_ascii=False)
    if column.kind == "binary":
        inline = element.get("InlineBinary")
        return None if inline is None else base64.b64decode(inline)
    values = element.get("Value")
    if not values:
        return None
    if element["vr"] in ("DS", "IS"):
        values = [None if _is_no_number(value) else value for value in values]
    typed = [_convert(value, column.kind) for value in values]
    if column.many:
        return typed
    return typed[0] if len(typed) == 1 else None


def _is_no_number(value: Any) -> bool:
    """Tell whether a DS or IS stayed text for another reason than having many digits."""
    return isinstance(value, str) and _DIGITS.fullmatch(value) is None


def _convert(value: Any, kind: Kind) -> Any:
    """Return one value in the column's type, None if it cannot have it."""
    if value is None:
        return None
    try:
        return _CONVERTERS[kind](value)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None  # another value, or one of another VR than PS3.6 gives the tag


def _to_integer(value: Any) -> int | None:
    number = int(value) if isinstance(value, str) else value
    return int(number) if number == int(number) and -(2**63) <= number < 2**63 else None


def _to_unsigned(value: Any) -> int | None:
    number = int(value)
    return number if 0 <= number < 2**64 else None


def _to_age(value: str) -> float:
    """AS: three digits and a unit, in years of 365.25 days (PS3.5 section 6.2)."""
    text = value.strip()
    if len(text) != 4 or not text[:3].isdigit():
        raise ValueError
    return int(text[:3]) * _YEARS[text[3]]


def _to_date(value: str) -> date | None:
    match = _DATE.fullmatch(value.strip())
    return date(int(match[1]), int(match[3]), int(match[4])) if match else None


def _to_datetime(value: str) -> datetime | None:
    """DT: what is left out is the first month, day, or a zero; an offset is applied."""
    match = _MOMENT.fullmatch(value.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction = int((match[7] or "").ljust(6, "0"))
    moment = datetime(year, month or 1, day or 1, hour, minute, second, fraction)
    if match[8]:
        sign = -1 if match[8][0] == "-" else 1
        moment -= sign * timedelta(hours=int(match[8][1:3]), minutes=int(match[8][3:]))
    return moment


def _to_time(value: str) -> str | None:
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    if hour > 23 or minute > 59 or second > 60:
        return None
    return f"{hour:02d}:{minute:02d}:{second:02d}.{(match[4] or '').ljust(6, '0')}"


def _to_name(value: Mapping[str, str]) -> str | None:
    return value.get("Alphabetic")


_CONVERTERS: dict[Kind, Any] = {
    "integer": _to_integer,
    "unsigned": _to_unsigned,
    "decimal": float,
    "age": _to_age,
    "date": _to_date,
    "datetime": _to_datetime,
    "time": _to_time,
    "name": _to_name,
    "text": str,
}
