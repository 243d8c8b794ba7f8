"""What the tests of the parser share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dicomframe.dicom.header import Header, read_header


def read(data: bytes, **options: Any) -> Header:
    """Read a file that is at hand, sending just the bytes that are asked for."""
    reading = read_header(len(data), "file:///x.dcm", **options)
    try:
        start, stop = next(reading)
        while True:
            assert 0 <= start < stop <= len(data)
            start, stop = reading.send(data[start:stop])
    except StopIteration as end:
        header: Header = end.value
        return header


@pytest.fixture(name="read")
def read_fixture() -> Callable[..., Header]:
    return read


@pytest.fixture
def data_set_of() -> Callable[..., dict[str, Any]]:
    """Read a file and return its metadata without the transfer syntax."""

    def data_set_of(data: bytes, **options: Any) -> dict[str, Any]:
        data_set: dict[str, Any] = json.loads(read(data, **options).metadata)
        data_set.pop("00083002")
        return data_set

    return data_set_of
