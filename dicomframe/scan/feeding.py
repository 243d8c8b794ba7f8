"""Give the parser the bytes that it asks for, wherever they come from."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from dicomframe.dicom.header import Header, Learned, read_header
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.window import feed
from dicomframe.scan.ranges import FileReader

__all__ = ["Reading", "read_file_header"]

Reading: TypeAlias = Generator[tuple[int, int], bytes, Header]
"""A parser at work: it yields ranges of a file, is sent their bytes and returns the header."""


def read_file_header(
    file: FileReader,
    origin: str,
    *,
    warnings: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    learned: Learned | None = None,
) -> Header:
    """Read the header of an open file; `learned` is as for `read_header`.

    Raises
    ------
    Damage
        The file is no sound DICOM file.
    StorageFault
        Its bytes cannot be had.
    """
    reading = read_header(file.size, origin, warnings=warnings, limits=limits, learned=learned)
    return feed(reading, file.read)
