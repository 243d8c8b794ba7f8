"""What a run that indexed files has to tell, while it runs and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["IndexProgress", "IndexReport", "TellProgress"]


class IndexProgress(NamedTuple):
    """Tell how far a run is.

    Attributes
    ----------
    step
        ``"listing"`` files, ``"reading"`` those that are new or changed, ``"merging"`` rows.
    done
        How many of them.
    total
        How many there are; None while that is not known.
    """

    step: Literal["listing", "reading", "merging"]
    done: int
    total: int | None


TellProgress: TypeAlias = Callable[[IndexProgress], object]
"""What is called, on the driver, with how far a run is."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Tell what a run has found and what the catalogue holds now.

    Attributes
    ----------
    new, changed, vanished, unchanged
        The listed files, compared with those of the catalogue below the same paths; one that
        could not be read before and is tried again counts as changed.
    dicom
        The rows of sound files in the whole catalogue.
    corrupt
        Its other rows by their reasons.
    bytes_read
        Of the files.
    seconds
        What the run took.
    state
        The number of the catalogue's state; that of before where nothing had changed.
    resumed
        Files of which the rows were there already, of a run that was interrupted.

    Examples
    --------
    >>> print(IndexReport(2, 1, 1, 996, 990, {"empty": 8}, 5_100_000, 1.25, 3))
    2 new, 1 changed, 1 vanished, 996 unchanged files; 990 dicom and 8 corrupt rows in state 3
    """

    new: int
    changed: int
    vanished: int
    unchanged: int
    dicom: int
    corrupt: Mapping[str, int]
    bytes_read: int
    seconds: float
    state: int
    resumed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.new:,} new, {self.changed:,} changed, {self.vanished:,} vanished, "
            f"{self.unchanged:,} unchanged files; {self.dicom:,} dicom and "
            f"{sum(self.corrupt.values()):,} corrupt rows in state {self.state}"
        )
