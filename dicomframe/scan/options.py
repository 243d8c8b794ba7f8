"""What a read asks for: the options that travel to every worker."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.errors import InvalidOptionError
from dicomframe.scan.tags import TagColumn
from dicomframe.scan.transfer import DEFAULT_TRANSFER, Transfer

BATCH_BYTES = 32 << 20
"""How many bytes of Pixel Data one record batch holds, and how many of metadata, unless one value
alone is larger."""

Pixels = Literal["bytes", "reference", "none"]
"""How Pixel Data comes: its bytes, its place in the file, or not at all."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Hold what one read asks for; it pickles small and knows no engine."""

    tags: tuple[TagColumn, ...] = ()
    pixels: Pixels = "bytes"
    warnings: bool = False
    limits: Limits = DEFAULT_LIMITS
    batch_bytes: int = BATCH_BYTES
    transfer: Transfer = DEFAULT_TRANSFER
    archives: bool = True
    counts_bytes: bool = False
    """Both frames get the columns `bytes_read` and `requests`: what a read cost."""


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


def check_limits(limits: object) -> tuple[Limits, int]:
    """Return the limits of the parser and the bytes of one batch that `limits` sets.

    Parameters
    ----------
    limits : dict of str to int, or None
        The fields of `Limits`, and ``batch_bytes``; what is left out keeps its default.

    Raises
    ------
    InvalidOptionError
        A limit is not known, or no whole number of at least 1.
    """
    names = [*(field.name for field in dataclasses.fields(Limits)), "batch_bytes"]
    chosen = _check_numbers("limits", limits, names)
    batch_bytes = chosen.pop("batch_bytes", BATCH_BYTES)
    return dataclasses.replace(DEFAULT_LIMITS, **chosen), batch_bytes


def check_transfer(transfer: object) -> Transfer:
    """Return how remote files are fetched; what `transfer` leaves out keeps its default.

    Raises
    ------
    InvalidOptionError
        A name is no field of `Transfer`, or a value no whole number of at least 1.
    """
    names = [field.name for field in dataclasses.fields(Transfer)]
    return dataclasses.replace(DEFAULT_TRANSFER, **_check_numbers("transfer", transfer, names))


def _check_numbers(option: str, given: object, names: list[str]) -> dict[str, int]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidOptionError(
            f"{option} must be a dict of names to whole numbers, found {type(given).__name__}; "
            f"the names are {', '.join(names)}"
        )
    for name, value in given.items():
        if name not in names:
            raise InvalidOptionError(
                f"{option} must be among {', '.join(names)}, "
                f"found {name!r}{did_you_mean(str(name), names)}"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidOptionError(
                f"{name!r} of {option} must be a whole number of at least 1, found {value!r}"
            )
    return dict(given)


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
