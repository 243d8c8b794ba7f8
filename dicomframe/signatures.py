"""What files of other kinds begin with."""

from __future__ import annotations

__all__ = ["describe_start"]

_KINDS = {
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


def describe_start(head: bytes) -> str:
    """Tell for a message what a file begins like, empty if that is not known.

    >>> describe_start(b"%PDF-1.7")
    '; it begins like a PDF file'
    """
    names = [name for start, name in _KINDS.items() if head.startswith(start)]
    return f"; it begins like {names[0]}" if names else ""
