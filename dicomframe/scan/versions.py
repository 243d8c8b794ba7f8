"""Tell two versions of one file apart by what its store says of its content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

__all__ = ["modified_of", "version_of"]

# What file systems of fsspec call the time of the last change, the plainest name first.
_TIMES = ("LastModified", "last_modified", "modification_time", "mtime", "modified", "updated",
          "created")  # fmt: skip
_MOST_SECONDS = 1e11  # what is more counts milliseconds


def version_of(etag: str) -> int:
    """Return a number of 64 bits for an ETag, the same in any process.

    Neither the quotes around an ETag nor the ``W/`` of a weak one are part of it.

    >>> version_of('"5d41402abc4b2a76b9719d911017c592"') == version_of(
    ...     "5d41402abc4b2a76b9719d911017c592"
    ... )
    True
    """
    tag = etag.strip().removeprefix("W/").strip('"')
    digest = blake2b(tag.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def modified_of(info: Mapping[str, Any]) -> int | None:
    """Return when a file was modified, in microseconds since 1970; None if its store tells not.

    >>> modified_of({"name": "a.dcm", "mtime": 1.5})
    1500000
    >>> modified_of({"LastModified": datetime(1970, 1, 1, 0, 0, 2)})
    2000000
    """
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            value = value if value.tzinfo else value.replace(tzinfo=UTC)
            return round(value.timestamp() * 1_000_000)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return round(value * (1_000_000 if value < _MOST_SECONDS else 1000))
    return None
