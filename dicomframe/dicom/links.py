"""What a template is made of: bytes that stay, and how what varies between them is taken."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from typing import NamedTuple, TypeAlias

from dicomframe.dicom.elements import Around, Entry
from dicomframe.dicom.values import PLAIN_ENDS


class Mode:
    """How what varies is taken, as a plain number.

    Text and numbers that are plain as they stand, other values encoded; passed over; item by item.
    The last two end a data set.
    """

    TEXT, NUMBERS, VALUE, SILENT, SEQUENCE, PIXELS, END = range(7)


class Slot(NamedTuple):
    """How an element is taken whose value varies.

    Attributes
    ----------
    mode : int
        A `Mode`.
    entry : Entry
        What its tag and VR decide.
    length_bytes : int
        Of the length field, which varies too; 0 if the length stays.
    longest : int
        A longer value stays in the file; where the length stays, the length.
    around : Around
        What the value depends on besides its bytes.
    place : object
        Where the data set stands behind it: links learned at equal places serve each other.
        None if they must not.
    elements, depth : int
        At an `END`: what the whole item counts against these limits.
    """

    mode: int
    entry: Entry
    length_bytes: int
    longest: int
    around: Around
    place: Hashable | None = None
    elements: int = 0
    depth: int = 0


class Part(NamedTuple):
    """One element within a link.

    Attributes
    ----------
    tag : int
        The element.
    head, field : int
        Bytes before what varies if anything does, and of that.
    text, json : bytes
        What they became.
    slot : Slot or None
        How it varies; None if it must not.
    """

    tag: int
    head: int
    field: int
    text: bytes
    json: bytes
    slot: Slot | None


Lesson: TypeAlias = tuple[int, int, list[Part]]
"""Where in the buffer elements begin and end that a template is to learn; the last may vary."""


class Link:
    """A run that stays, its JSON, and what varies behind it; then `after` comes.

    `parts` tells of the elements in the run; it ends with the head of the last one, which varies
    as its `slot` tells. `members` finds them by tag, once one was asked for. `at_hand` is what
    `follow` needs: a plain tuple, which is the fastest to take apart. `weight` is what it keeps,
    about, in bytes.
    """

    __slots__ = ("after", "at_hand", "members", "parts", "run", "slot", "text", "weight")

    def __init__(self, run: bytes, parts: list[Part], slot: Slot, after: list[Link]) -> None:
        self.run = run
        self.parts = parts
        self.slot = slot
        self.after = after
        self.members: dict[int, Part] = {}
        if len(parts[-1].json) > _PART_BYTES:  # it varies, and is not needed
            parts[-1] = parts[-1]._replace(json=b"")
        self.text = text = b"".join([each for part in parts for each in part[3:5]][:-1])
        self.weight = len(run) + 3 * len(text) + _PART_BYTES * (1 + len(parts))
        mode, entry, length_bytes, longest = slot[:4]
        if mode >= Mode.SEQUENCE:
            length_bytes = longest = 0  # whoever takes it looks at that
        opening, closing = PLAIN_ENDS[entry.encode] if mode < Mode.VALUE else (b"", b"")
        form = ("<" if entry.encoding.order == "little" else ">") + f"{len(run)}s"
        form += "H" if length_bytes == 2 else "L"
        unpack = struct.Struct(form).unpack_from if length_bytes else None
        head, texts = (run, len(run) + length_bytes), (text, text + opening, closing)
        self.at_hand = (*head, unpack, mode, *texts, longest, after)


_PART_BYTES = 300
