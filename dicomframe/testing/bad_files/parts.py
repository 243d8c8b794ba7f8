"""What a named bad file is, and the sound parts of which many of them are made."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
    Encoding,
)
from dicomframe.testing.samples import JPEG_UID, UNDEFINED, element, make_ct, make_file


@dataclass(frozen=True, slots=True)
class BadFile:
    """Hold a bad or strange file and what it gets.

    Attributes
    ----------
    name : str
        What it is called in tests and documents.
    what : str
        What is bad or strange, in one line.
    build : callable
        Makes its bytes, the same ones every time.
    reason : str or None
        Why it is corrupt; None if it is sound.
    warnings : tuple of str
        What a sound one is warned of, in the order in which it is met.
    """

    name: str
    what: str
    build: Callable[[], bytes]
    reason: str | None = None
    warnings: tuple[str, ...] = ()


PATIENT = "Secret^Sally"
"""A name that stands in the values of most files, and that no message may tell."""

FIRST = element(0x00080060, "CS", "MR")
NAME = element(0x00100010, "PN", PATIENT)


def implicit(tag: int, value: bytes | str = b"", length: int | None = None) -> bytes:
    """Return one element in implicit VR little endian."""
    return element(tag, "", value, length=length, encoding=IMPLICIT_LITTLE)


def make_secret_ct(
    *, encoding: Encoding = EXPLICIT_LITTLE, transfer_syntax: str = EXPLICIT_LITTLE_UID
) -> bytes:
    """Return a CT slice whose patient is `PATIENT`, if it is not deflated."""
    name = PATIENT.encode()
    data = make_ct(encoding=encoding, transfer_syntax=transfer_syntax)
    return data.replace(b"Sample^Sam^Q", name)


def make_between(*elements: bytes) -> bytes:
    """Return a file with these elements between a modality and a name."""
    return make_file(FIRST, *elements, NAME)


def make_implicit(*elements: bytes) -> bytes:
    """Return a file in implicit VR, these elements behind a modality."""
    first = implicit(0x00080060, "MR")
    return make_file(first, *elements, transfer_syntax=IMPLICIT_LITTLE_UID)


def make_jpeg(*elements: bytes) -> bytes:
    """Return a file in a syntax of fragments, these elements behind a name."""
    return make_file(FIRST, NAME, *elements, transfer_syntax=JPEG_UID)


def undefined(body: bytes, tag: int = 0x00081140, vr: str = "SQ") -> bytes:
    """Return an element of undefined length that holds just `body`, delimited or not."""
    return element(tag, vr, body, length=UNDEFINED)


def make_sorted(*elements: bytes) -> bytes:
    """Return a file with these elements, a modality and a name, in tag order."""
    return make_file(*sorted((FIRST, NAME, *elements), key=_tag_of))


def _tag_of(data: bytes) -> tuple[int, ...]:
    return struct.unpack("<HH", data[:4])
