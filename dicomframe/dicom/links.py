"""What a template is made of: bytes that stay, and how what varies between them is taken."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, NamedTuple, TypeAlias

from dicomframe.dicom.elements import Around, Entry, make_unpack
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.values import PLAIN_ENDS


class Mode:
    """How what varies is taken, as a plain number.

    Text and numbers that are plain as they stand, other values encoded; passed over; item by item.
    The last two end a data set.
    """

    TEXT, NUMBERS, VALUE, SILENT, SEQUENCE, PIXELS, END = range(7)


class Place(NamedTuple):
    """All of what stood before in a file that decides how the rest is read.

    Attributes
    ----------
    encoding : Encoding
        Of the data set, or of group 0002.
    uid : str
        The transfer syntax.
    noted : tuple
        What later elements depend on, as `Context.noted` has it.
    tag : int
        The last element.
    comma : bytes
        What comes before the next member.
    """

    encoding: Encoding
    uid: str
    noted: tuple[tuple[int, tuple[int, bytes]], ...]
    tag: int
    comma: bytes


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
    place : Place or None
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
    place: Place | None = None
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
    """A run that stays, its JSON, and what varies behind it; then the links of `after` come.

    `parts` tells of the elements in the run; it ends with the head of the last one, which varies
    as its `slot` tells. `at_hand` is all that `Trail.follow` needs as a rule: a plain tuple is the
    fastest to take apart, and each object more must be fetched from memory first. `weight` is what
    it keeps, about, in bytes.
    """

    __slots__ = ("at_hand", "parts", "run", "slot", "text", "weight")

    def __init__(self, run: bytes, parts: list[Part], slot: Slot, after: Links) -> None:
        self.run, self.parts, self.slot = run, parts, slot
        if len(parts[-1].json) > _PART_BYTES:  # it varies, and is not needed
            parts[-1] = parts[-1]._replace(json=b"")
        self.text = text = b"".join([each for part in parts for each in part[3:5]][:-1])
        self.weight = len(run) + 3 * len(text) + _PART_BYTES * (1 + len(parts))
        mode, entry, size, longest = slot[:4]
        if mode > Mode.SEQUENCE:
            size = longest = 0  # whoever takes it looks at that
        unpack = make_unpack(entry.encoding.order, size, len(run)) if size else None
        opening, closing = PLAIN_ENDS[entry.encode] if mode < Mode.VALUE else (b"", b"")
        head_bytes, opened = len(run) + size, text + opening
        self.at_hand = run, head_bytes, unpack, mode, opened, closing, longest, after


def tell(passed: list[Link], pieces: list[bytes], number: int, behind: int) -> bytes:
    """Return what the value behind a link became that was passed; the link at `behind` comes next.

    Of each link passed there are three pieces of JSON: text, plain text, and what comes behind.
    """
    return b"".join(pieces[3 * number : 3 * behind])[len(passed[number].text) :]


def find_told(way: list[Link], pieces: list[bytes], outline: list[int], tag: int) -> bytes | None:
    """Return the member of `tag` in a data set that came to its end, None if there is none.

    `outline` tells which of the links passed are not those of items, and how many there are.
    """
    at = bisect_left(outline, tag, 0, len(outline) - 1, key=lambda at: way[at].parts[-1].tag)
    if outline[at] == len(way):
        return None
    parts = way[outline[at]].parts
    part = parts[bisect_left(parts, (tag,))]
    if part.tag != tag:
        return None
    json = tell(way, pieces, *outline[at : at + 2]) if part is parts[-1] else part.json
    return (part.text + json)[1:] or None


class Links(list[Link]):
    """The links that are known to come next at one place.

    Attributes
    ----------
    first : Link
        The first of them, if there is any.
    at_hand : tuple
        What that one has at hand; if there is none, what fits nothing.
    """

    __slots__ = ("at_hand", "first")

    def __init__(self) -> None:
        self.at_hand: tuple[Any, ...] = _NO_LINK

    def put_first(self, link: Link) -> None:
        """Insert a link ahead of all others."""
        self.insert(0, link)
        self.first, self.at_hand = link, link.at_hand

    def bring_forward(self, buffer: bytes, position: int) -> bool:
        """Let the link be the first whose run is at `position`; tell whether there is one."""
        room = len(buffer) - position
        for number, link in enumerate(self):
            if link.at_hand[1] <= room and buffer.startswith(link.run, position):
                self.put_first(self.pop(number))
                return True
        return False


_PART_BYTES = 300
_NO_LINK = None, 0, None, 0, b"", b"", 0, None  # its run is nowhere
