"""Where a value lies that stayed in its file: what a later read needs to find it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from dicomframe.dicom.values import swap_words


class PixelPlace(NamedTuple):
    """Tell where the value of Pixel Data lies, and in which content of its file.

    Attributes
    ----------
    offset, length
        Bytes; in the inflated data set if `inflated`.
    size
        The length of the file when its header was read.
    version
        What the store told of its content then, None if nothing.
    """

    offset: int
    length: int
    inflated: bool
    size: int
    version: int | None

    def __str__(self) -> str:
        version = "" if self.version is None else str(self.version)
        return f"{self.offset},{self.length},{int(self.inflated)},{self.size},{version}"

    @classmethod
    def parse(cls, text: str) -> PixelPlace:
        """Return the place that `text` was made from."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ValueError("a place of Pixel Data must come from a column pixel_place")
        offset, length, inflated, size, version = match.groups()
        return cls(
            int(offset),
            int(length),
            inflated == "1",
            int(size),
            int(version) if version else None,
        )


_PLACE = re.compile(r"(\d+),(\d+),([01]),(\d+),(\d*)")


@dataclass(frozen=True, slots=True)
class BulkURI:
    """Hold the parts of a BulkDataURI, ``origin#offset=...&length=...``.

    Attributes
    ----------
    origin : str
        The URL of the file.
    offset, length : int
        Bytes; where the value begins and how long it is.
    inflated : bool
        Whether `offset` counts within the inflated data set of a deflated file.
    swap : int
        Bytes of a word to turn from big endian to little endian; 1 if there is nothing to turn.
    """

    origin: str
    offset: int
    length: int
    inflated: bool = False
    swap: int = 1

    @classmethod
    def parse(cls, uri: str) -> BulkURI | None:
        """Return the parts of `uri`, None if it is no BulkDataURI of ours."""
        origin, _, fragment = uri.rpartition("#")
        match = _FRAGMENT.fullmatch(fragment)
        if not origin or match is None:
            return None
        return cls(
            origin,
            int(match["offset"]),
            int(match["length"]),
            match["inflated"] is not None,
            int(match["swap"] or 1),
        )

    def to_little_endian(self, raw: bytes) -> bytes:
        """Return the value as bulk data is ordered (PS3.18 section 8.7.3.3)."""
        return swap_words(raw, self.swap) if self.swap > 1 else raw


_FRAGMENT = re.compile(
    r"offset=(?P<offset>\d+)&length=(?P<length>\d+)(?P<inflated>&inflated=1)?(?:&swap=(?P<swap>[248]))?"
)
