"""What the tests of the parser share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from at_hand import read

from dicomframe.dicom.header import Header


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
