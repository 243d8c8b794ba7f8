"""Write a file that appears whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dicomframe.cli.failures import CommandError

__all__ = ["open_whole"]


@contextmanager
def open_whole(path: Path, option: str) -> Iterator[BinaryIO]:
    """Yield a hidden file that takes the place of `path` at the end of a block without error.

    Raises
    ------
    CommandError
        It cannot be written; the message names `option`.
    """
    place = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.partial")
    try:
        with place.open("xb") as sink:
            yield sink
        place.replace(path)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise CommandError(
            f"cannot write {str(path)!r} ({cause[:1].lower()}{cause[1:]}); give another file to "
            f"{option}"
        ) from error
    finally:
        place.unlink(missing_ok=True)
