"""Read files by each layer of the parser, and compare what comes out."""

from __future__ import annotations

import json
from typing import Any

from at_hand import read

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Learned
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits

ALL_LIMITS = (
    DEFAULT_LIMITS,
    Limits(inline_binary_bytes=12, inline_text_bytes=6),
    Limits(nesting_depth=1, elements=30),
    Limits(inline_binary_bytes=2, inline_text_bytes=1, nesting_depth=2),
)
"""The usual ones, and some that made-up files pass."""


def outcome(data: bytes, **options: Any) -> tuple[Any, ...]:
    """Return all that can be learned of a file but its warnings."""
    try:
        header = read(data, **options)
    except Damage as damage:
        return damage.reason, damage.detail, damage.offset
    tags = [int(tag, 16) for tag in json.loads(header.metadata)]
    found = [header.find(tag) for tag in (*tags, *PROBES)]
    return header.metadata, header.pixel_offset, header.pixel_length, found


PROBES = (0x00020000, 0x00020010, 0x00020016, 0x00080000, 0x00080005, 0x00091001, 0x7FE00010)


def check_layers(files: list[bytes], limits: Limits = DEFAULT_LIMITS, rounds: int = 2) -> int:
    """Read all files again and again by each layer; return how often a template was used."""
    expected = [outcome(data, limits=limits) for data in files]
    memo, templates, cut = Learned(templates=False), Learned(), Learned()
    for data, told in zip(files, expected, strict=True):
        assert outcome(data, limits=limits, warnings=True) == told
    for _ in range(rounds):
        for number, (data, told) in enumerate(zip(files, expected, strict=True)):
            assert outcome(data, limits=limits, learned=memo) == told
            assert outcome(data, limits=limits, learned=templates) == told
            cut.first_read_bytes = 160 + 61 * number % 1500  # many a header goes on behind it
            assert outcome(data, limits=limits, learned=cut) == told
    return sum(_fits_template(data, limits, templates) for data in files)


def _fits_template(data: bytes, limits: Limits, learned: Learned) -> bool:
    try:
        return read(data, limits=limits, learned=learned).template is not None
    except Damage:
        return False
