"""What PS3.6 and the known private dictionaries say of a tag."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import get_entry, get_private_entry

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs with a 16-bit length in explicit VR encodings (PS3.5 section 7.1.2)."""

LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs with two reserved bytes and a 32-bit length (PS3.5 section 7.1.2)."""

VRS = SHORT_VRS | LONG_VRS


@lru_cache(maxsize=16384)
def lookup_vr(tag: int, creator: str = "") -> str | None:
    """Return the VR that PS3.6 gives `tag`, such as ``"US or SS"``; None if unknown.

    That of a private element is in the dictionary of its creator.
    """
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        vr = get_private_entry(tag, creator)[0] if tag >> 16 & 1 else get_entry(tag)[0]
    except KeyError:
        return None
    return None if vr == "NONE" else vr


def is_private_creator(tag: int) -> bool:
    """Tell whether `tag` reserves a private block (PS3.5 section 7.8.1)."""
    return tag >> 16 & 1 == 1 and 0x10 <= tag & 0xFFFF <= 0xFF
