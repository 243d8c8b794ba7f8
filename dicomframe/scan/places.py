"""Where the value of Pixel Data lies: what a later read needs to find it again."""

from __future__ import annotations

import re
from typing import NamedTuple


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
