"""Find one element among the members of a DICOM JSON object."""

from __future__ import annotations

from bisect import bisect_left


def find_member(members: list[bytes], tag: int) -> bytes | None:
    """Return the member of `tag`, ``"GGGGEEEE":{...}``, or None; `members` are in tag order."""
    key = b'"%08X"' % tag
    at = bisect_left(members, key)
    return members[at] if at < len(members) and members[at].startswith(key) else None


def replace_member(members: list[bytes], member: bytes) -> None:
    """Put `member` where its tag belongs, in the place of one with the same tag."""
    key = member[:10]
    at = bisect_left(members, key)
    if at < len(members) and members[at].startswith(key):
        members[at] = member
    else:
        members.insert(at, member)
