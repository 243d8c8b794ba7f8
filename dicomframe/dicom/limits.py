"""How far a file is followed before it is called too large."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one file may cost, whatever it claims.

    Attributes
    ----------
    header_bytes : int
        Bytes of element headers and values read for one data set, bulk values not counted.
    inflated_bytes : int
        Bytes that a deflated data set may inflate to.
    inflated_ratio : int
        How many times its own size a deflated data set may inflate to, past 64 MiB.
    nesting_depth : int
        Sequences within sequences.
    elements : int
        Data elements and items of one data set, nested ones included.
    inline_binary_bytes : int
        Longer binary values become a BulkDataURI (PS3.18 section F.2.2).
    inline_text_bytes : int
        Longer text and number values become a BulkDataURI.
    """

    header_bytes: int = 64 << 20
    inflated_bytes: int = 2 << 30
    inflated_ratio: int = 100
    nesting_depth: int = 64
    elements: int = 1_000_000
    inline_binary_bytes: int = 1 << 10
    inline_text_bytes: int = 256 << 10

    def most_inline_bytes(self, vr: str) -> int:
        """Return how long a value may be that stands in the metadata itself."""
        if vr in _BINARY_VRS:
            return self.inline_binary_bytes
        return self.inline_text_bytes if vr != "SQ" else UNBOUNDED


_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
UNBOUNDED = 1 << 62
"""More than any length can be."""

DEFAULT_LIMITS = Limits()
"""What holds where nothing else is said."""
