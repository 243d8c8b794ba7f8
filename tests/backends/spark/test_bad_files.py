"""Every named bad file, read by Spark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_every_bad_file_gets_what_is_promised(
    spark: Any, check_bad_files: Callable[[str], None]
) -> None:
    check_bad_files("spark")
