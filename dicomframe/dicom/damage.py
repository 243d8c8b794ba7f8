"""Why a file is no sound DICOM file: the reasons a corrupt row can have."""

from __future__ import annotations

REASONS = ("unreadable", "empty", "not_dicom", "truncated", "malformed", "unsupported", "too_large")
"""Every reason, storage first, then the bytes, then the limits."""


class Damage(Exception):
    """Carry the reason, one line for a person and the place of the trouble.

    Parameters
    ----------
    reason : str
        One of `REASONS`.
    detail : str
        One line: tags, VRs, lengths, offsets; never a value of an element.
    offset : int or None
        Bytes from the start of the file to the trouble.
    """

    def __init__(self, reason: str, detail: str, offset: int | None = None) -> None:
        super().__init__(reason, detail, offset)
        self.reason, self.detail, self.offset = reason, detail, offset


def malformed(detail: str, offset: int) -> Damage:
    """Return the damage of bytes that break the rules of PS3.5 or PS3.10."""
    return Damage("malformed", detail, offset)


def truncated(detail: str, offset: int) -> Damage:
    """Return the damage of a file that ends too early."""
    return Damage("truncated", detail, offset)


def too_large(limit: str, value: int, offset: int) -> Damage:
    """Return the damage of a file that passes a limit."""
    return Damage("too_large", f"the data set passes the limit {limit} of {value}", offset)


def tag_name(tag: int) -> str:
    """Return a tag as people write it, ``(0010,0020)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
