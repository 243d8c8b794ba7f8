"""What PS3.6 and the known private dictionaries say of a tag."""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import get_entry, get_private_entry

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs with a 16-bit length in explicit VR encodings (PS3.5 section 7.1.2)."""

LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs with two reserved bytes and a 32-bit length (PS3.5 section 7.1.2)."""

VRS = SHORT_VRS | LONG_VRS

_HEX_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


@lru_cache(maxsize=16384)
def lookup_vr(tag: int) -> str | None:
    """Return the VR that PS3.6 gives `tag`, such as ``"US or SS"``; None if unknown."""
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return None
    try:
        vr = get_entry(tag)[0]
    except KeyError:
        return None
    return None if vr == "NONE" else vr


@lru_cache(maxsize=16384)
def lookup_private_vr(tag: int, creator: str) -> str | None:
    """Return the VR of a private element from its creator's dictionary; None if unknown."""
    try:
        return get_private_entry(tag, creator)[0]
    except KeyError:
        return None


def is_private_creator(tag: int) -> bool:
    """Tell whether `tag` reserves a private block (PS3.5 section 7.8.1)."""
    return tag >> 16 & 1 == 1 and 0x10 <= tag & 0xFFFF <= 0xFF


def keywords() -> dict[str, int]:
    """Return the tag of every keyword of PS3.6, without the repeating groups."""
    return {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}


def describe(tag: int) -> tuple[str, str] | None:
    """Return the VR and the VM of a public `tag`, or None if PS3.6 does not know it."""
    vr = lookup_vr(tag)
    return None if vr is None or tag & 0xFFFF == 0 else (vr, get_entry(tag)[1])


def parse_hex_tag(text: str) -> int | None:
    """Return the tag written as ``00100020``, ``0010,0020`` or ``(0010,0020)``."""
    match = _HEX_TAG.fullmatch(text)
    return int(match[1] + match[2], 16) if match else None
