"""What a run that wrote both frames has to tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["RunReport"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class RunReport:
    """Tell what one run read and wrote.

    Attributes
    ----------
    path
        The dataset, as a URL without credentials.
    dicom
        The rows of the frame of sound files.
    corrupt
        The rows of the other frame by their reasons.
    bytes_read, bytes_written
        Of the files, and of the Parquet files.
    seconds
        What reading and writing took, up to the moment that the parts go to their places.
    omitted
        Values of Pixel Data that are null because Parquet holds none of 2 GiB or more.

    Examples
    --------
    >>> print(RunReport("file:///out", 8, {"empty": 1, "truncated": 2}, 5_100_000, 900_000, 1.25))
    11 files: 8 dicom and 3 corrupt (1 empty, 2 truncated); 5.1 MB read, 900.0 kB written in 1.2 s
    """

    path: str
    dicom: int
    corrupt: Mapping[str, int]
    bytes_read: int
    bytes_written: int
    seconds: float
    omitted: int = 0

    @property
    def files(self) -> int:
        """The rows of both frames."""
        return self.dicom + sum(self.corrupt.values())

    def __str__(self) -> str:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.corrupt.items())
        return (
            f"{self.files:,} files: {self.dicom:,} dicom and {self.files - self.dicom:,} corrupt"
            f"{f' ({reasons})' if reasons else ''}; {_in_units(self.bytes_read)} read, "
            f"{_in_units(self.bytes_written)} written in {self.seconds:.1f} s"
            + (f"; {self.omitted:,} values too large for Parquet are null" if self.omitted else "")
        )

    def to_json(self, parts: list[dict[str, object]]) -> str:
        """Return the report and the part files of the dataset as JSON."""
        told = {name: value for name, value in asdict(self).items() if name != "path"}
        return json.dumps({**told, "parts": parts}, indent=1)


def _in_units(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    power = min(len(_UNITS) - 1, (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {_UNITS[power]}"
