"""Find one element among the members of a DICOM JSON object."""

from __future__ import annotations

from bisect import bisect_left


def find_member(members: list[bytes], tag: int) -> bytes | None:
    """Return the member of `tag`, ``"GGGGEEEE":{...}``, or None; `members` are in tag order."""
    found = members[_find(members, b'"%08X"' % tag)]
    return found[0] if found else None


def replace_member(members: list[bytes], member: bytes) -> None:
    """Put `member` where its tag belongs, in the place of one with the same tag."""
    members[_find(members, member[:10])] = [member]


def _find(members: list[bytes], key: bytes) -> slice:
    at = bisect_left(members, key)
    return slice(at, at + (at < len(members) and members[at].startswith(key)))
