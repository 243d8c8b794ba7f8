"""Spell a document as a row of HBase: its key, its columns and the bytes of its values."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from dicomframe.sinks.plugin import Document

__all__ = ["FAMILIES", "make_cells", "make_key"]

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "i": {"VERSIONS": "1"},
    "m": {"VERSIONS": "1", "COMPRESSION": "GZ"},
    "t": {"VERSIONS": "1"},
}
"""The column families, as they are made: the reference to the image, metadata, typed fields."""


def make_key(document: Document) -> str:
    """Return the key of a row: two hexadecimal digits of a hash, a hyphen and the id.

    UIDs of one device begin alike, and would all go to one region without the digits. Of an id
    that is no UID, what is neither letter, digit, dot, hyphen nor underscore is ``=`` and two
    hexadecimal digits, so that a key needs no escape in a URL.
    """
    digits = hashlib.sha256(document.id.encode()).hexdigest()[:2]
    return f"{digits}-{_UNSAFE.sub(lambda found: f'={ord(found[0]):02x}', document.id)}"


def make_cells(document: Document) -> dict[str, bytes]:
    """Return the values by column."""
    cells = {"i:origin": document.origin.encode()}
    if document.metadata is not None:
        cells["m:json"] = document.metadata.encode()
    cells |= {f"t:{name}": spell(value) for name, value in document.values.items()}
    return cells


def spell(value: Any) -> bytes:
    """Return a value as bytes that sort as the values do; a list is JSON, which does not.

    Text is UTF-8. An integer has 8 bytes, big-endian, with the sign bit flipped. A float is its
    IEEE 754 double, big-endian, with the sign bit flipped if it is positive and all bits if not.

    Raises
    ------
    OverflowError
        An integer is beyond 64 bits.

    Examples
    --------
    >>> spell(23.5).hex(), spell(-1).hex()
    ('c037800000000000', '7fffffffffffffff')
    >>> spell(-2.5) < spell(-0.5) < spell(0.0) < spell(20.0) < spell(25.0)
    True
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if isinstance(value, float):
        (bits,) = struct.unpack(">Q", struct.pack(">d", value))
        return int.to_bytes(bits ^ (_ALL if bits & _SIGN else _SIGN), 8, "big")
    return int.to_bytes(int(value) + _SIGN, 8, "big")


_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
