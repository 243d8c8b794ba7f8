"""Where an encapsulated value ends: the chain of its fragments (PS3.5 section A.4)."""

from __future__ import annotations

from typing import NamedTuple

from dicomframe.dicom.damage import Damage, malformed, tag_name, too_large, truncated
from dicomframe.dicom.window import Reading, Window

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
SEQUENCE_ENDS = SEQUENCE_END + bytes(4)


class FragmentChain(NamedTuple):
    """Tell where a chain ends and what is strange about it.

    Attributes
    ----------
    stop : int
        Where the sequence delimiter begins, of 8 bytes: the value ends there.
    offset_table : tuple of int
        Where the value of the first item, the Basic Offset Table, starts and stops.
    odd : bool
        Whether a fragment has an odd length.
    starts : list of int
        Where the fragments begin, from the end of the offset table on.
    """

    stop: int
    offset_table: tuple[int, int]
    odd: bool
    starts: list[int]


def walk_fragments(window: Window, position: int, bound: int, tag: int) -> Reading[FragmentChain]:
    """Walk item by item to the sequence delimiter; the fragments themselves are not read.

    Parameters
    ----------
    window : Window
        The bytes at hand; it stays where it is. Its limits say how many fragments there may be.
    position : int
        Where the first item begins in the file.
    bound : int
        The end of what encloses the value.
    tag : int
        The element, for messages.

    Raises
    ------
    Damage
        ``truncated``, ``malformed`` or ``too_large``.
    """
    name, at, table, odd = tag_name(tag), position, (position, position), False
    starts: list[int] = []
    while True:
        if at + 8 > bound:
            raise _cut_off(name, at, bound, window.size)
        head = window.buffer[at - window.base : at - window.base + 8]
        if len(head) < 8:
            head = yield (at, at + 8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == SEQUENCE_END:
            if length:
                raise malformed(f"the sequence delimiter of {name} has a length", at)
            return FragmentChain(at, table, odd, starts)
        if head[:4] != ITEM or length == UNDEFINED:
            raise malformed(f"among the fragments of {name} there is no item and no delimiter", at)
        stop = at + 8 + length
        if stop > bound:
            raise _cut_off(name, at, bound, window.size)
        if at == position:
            table = (at + 8, stop)
        else:
            starts.append(at - table[1])
            if len(starts) > window.limits.elements:
                raise too_large("elements", window.limits.elements, at)
        odd = odd or bool(length & 1)
        at = stop


def _cut_off(name: str, at: int, bound: int, size: int) -> Damage:
    if bound < size:
        return malformed(f"the fragments of {name} leave their item", at)
    return truncated(f"the file ends inside the fragments of {name}", at)
