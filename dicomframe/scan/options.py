"""What a read asks for: the options that travel to every worker."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from dicomframe.dicom.tags import TagColumn
from dicomframe.errors import InvalidOptionError

Pixels = Literal["bytes", "reference", "none"]
"""How Pixel Data comes: its bytes, its place in the file, or not at all."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Hold what one read asks for; it pickles small and knows no engine."""

    tags: tuple[TagColumn, ...] = ()
    pixels: Pixels = "bytes"
    warnings: bool = False
    counts_bytes: bool = False
    """Both frames get a column `bytes_read`, for a report of what a read cost."""


def check_pixels(pixels: str) -> Pixels:
    """Return `pixels` if it is a valid mode.

    Raises
    ------
    InvalidOptionError
        It is not; the message lists the valid modes and the closest.
    """
    for mode in get_args(Pixels):
        if pixels == mode:
            return mode  # type: ignore[no-any-return]
    raise InvalidOptionError(
        f"pixels must be one of {', '.join(map(repr, get_args(Pixels)))}, "
        f"found {pixels!r}{did_you_mean(str(pixels), get_args(Pixels))}"
    )


def check_flag(name: str, value: object) -> bool:
    """Return `value` if it is a bool.

    Raises
    ------
    InvalidOptionError
        It is not.
    """
    if isinstance(value, bool):
        return value
    raise InvalidOptionError(f"{name} must be True or False, found {value!r}")


def check_npartitions(npartitions: object) -> None:
    """Accept None or a whole number from 1.

    Raises
    ------
    InvalidOptionError
        It is neither.
    """
    if npartitions is None:
        return
    if isinstance(npartitions, bool) or not isinstance(npartitions, int) or npartitions < 1:
        raise InvalidOptionError(
            f"npartitions must be None or a whole number of at least 1, found {npartitions!r}"
        )


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `words`, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
