"""Every named bad file, read by Dask."""

from __future__ import annotations

from collections.abc import Callable


def test_every_bad_file_gets_what_is_promised(check_bad_files: Callable[[str], None]) -> None:
    check_bad_files("dask")
