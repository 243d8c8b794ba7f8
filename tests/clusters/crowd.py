"""Files by the thousand, no two alike, some of them slow to read and some of them broken."""

from __future__ import annotations

from pathlib import Path

from dicomframe.testing.samples import deflate_bomb, element, file_meta, make_ct

FILES = 2_400
PARTITIONS = 24
TAGS = ["PatientID", "InstanceNumber", "StudyDate"]

_PREFIX = len(bytes(128) + b"DICM" + file_meta())
_BLOCK = bytes(1 << 16)
_BLOCKS = 48


def write_crowd(folder: Path) -> None:
    """Write `FILES` files: of ten neighbours one is slow, of twenty one is cut and one no DICOM."""
    for number in range(FILES):
        place = folder / f"{number // 100:03d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05d}.dcm").write_bytes(_make(number))


def _make(number: int) -> bytes:
    whole = make_ct(number % 100, number // 100)
    match number % 20:
        case 3:
            return whole[: -(number % 500) - 1]
        case 7:
            return b"These are notes number %d." % number
        case 5 | 15:
            # Three megabytes to inflate, and behind Pixel Data, so that nobody can stop before.
            noise = element(0x7FE11001, "OB", length=len(_BLOCK) * _BLOCKS)
            return deflate_bomb(whole[_PREFIX:], noise, block=_BLOCK, blocks=_BLOCKS)
        case _:
            return whole
