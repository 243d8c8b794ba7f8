"""Read files whose bytes are at hand, for the tests of the parser."""

from __future__ import annotations

from typing import Any

from dicomframe.dicom.header import Header, Parser
from dicomframe.dicom.window import feed
from dicomframe.inspection import Inspection


def read(data: bytes, *, warnings: bool = False, **options: Any) -> Header:
    """Return the header of a file, sending just the bytes that are asked for."""
    if warnings:
        options["observe"] = Inspection

    def fetch(start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= len(data)
        return data[start:stop]

    return feed(Parser(**options).read(len(data), "file:///x.dcm"), fetch)
