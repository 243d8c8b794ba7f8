"""What is open during a walk: data sets, the sequences between them, and how they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage, malformed, tag_name, too_large, truncated
from dicomframe.dicom.elements import Around, Context, Entry
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.inspection import NO_INSPECTION, Inspection
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.window import Window

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class Job(NamedTuple):
    """What a walk is given: the bytes of one file, and how to treat them.

    Attributes
    ----------
    window : Window
        The bytes at hand.
    bulk : BulkWriter
        Tells of values that stay in the file.
    limits : Limits
        How far to go.
    inspection : Inspection
        Where to tell what is strange.
    """

    window: Window
    bulk: BulkWriter
    limits: Limits
    inspection: Inspection = NO_INSPECTION


@dataclass(slots=True, eq=False, repr=False)
class DataSet:
    """A data set that is open: the root, or an item.

    Attributes
    ----------
    bound : int
        Where it ends at the latest, bytes from the start of the file.
    delimited : bool
        Whether a delimiter ends it.
    context : Context
        What later elements depend on; an item begins with some of that of what holds it.
    members : list of bytes
        The members of its JSON object so far.
    last_tag : int
        The highest tag so far.
    """

    bound: int
    delimited: bool
    context: Context
    members: list[bytes] = field(default_factory=list)
    last_tag: int = -1
    _disorder: bool = False

    def append(self, tag: int, member: bytes, inspection: Inspection) -> None:
        """Add the member of an element, in order or not; group lengths are left out (F.2.2)."""
        if not tag & 0xFFFF:
            return
        if tag <= self.last_tag:
            self._disorder = True
            if tag < self.last_tag:
                inspection.add("tag_order", tag)
        else:
            self.last_tag = tag
        self.members.append(member)

    def put_in_order(self, inspection: Inspection) -> None:
        """Bring the members into tag order and keep the first of each tag."""
        if not self._disorder:
            return
        unique: dict[bytes, bytes] = {}
        for member in self.members:
            if unique.setdefault(member[:10], member) is not member:
                inspection.add("duplicate_tag", int(member[1:9], 16))
        self.members = [unique[key] for key in sorted(unique)]


@dataclass(slots=True, eq=False, repr=False)
class Sequence:
    """A sequence that is open, and what to go back to when it ends.

    Attributes
    ----------
    entry : Entry
        The element.
    bound : int
        Where it ends at the latest, bytes from the start of the file.
    delimited : bool
        Whether a delimiter ends it.
    parent : DataSet
        What holds it.
    encoding_before : Encoding
        The encoding around it; inside a UN of undefined length it is another.
    items : list of bytes
        The JSON objects of the items so far.
    learned : object
        What a walk that learns keeps at hand for the items to come.
    """

    entry: Entry
    bound: int
    parent: DataSet
    encoding_before: Encoding
    delimited: bool
    items: list[bytes] = field(default_factory=list)
    learned: object = None

    def member(self) -> bytes:
        """Return the member of the whole sequence (PS3.18 section F.2.2)."""
        value = b',"Value":[%b]' % b",".join(self.items) if self.items else b""
        return b"%b%b}" % (self.entry.prefix, value)


class Step(NamedTuple):
    """Where an element lies and how it is read, told to those who learn from a walk."""

    at: int
    value_at: int
    length: int
    entry: Entry
    content: Encoding
    around: Around
    has_invalid_vr: bool

    @property
    def length_at(self) -> int:
        """Where its length field begins."""
        return self.value_at - self.entry.length_bytes


ITEM_BEGINS, ITEM_ENDS, SEQUENCE_ENDS = b"{", b"}", b"]"
"""What a trace holds between the steps."""


class Scopes:
    """Keep what is open in a walk over one data set, and close it.

    Attributes
    ----------
    trace : list of Step and bytes, or None
        What a walk met, for those who learn from it.
    position : int
        Where in the file it stands.
    elements : int
        The number of elements and items so far, nested ones included.
    """

    def __init__(self, job: Job, position: int, encoding: Encoding) -> None:
        self._window, self._bulk, self._limits, self._inspection = job
        self.trace: list[Step | bytes] | None = None
        self.position = position
        self._encoding = encoding
        self._root = DataSet(job.window.size, False, Context())
        self._data_set = self._root
        self._sequences: list[Sequence] = []
        self._between_items = False
        self._depth = 0  # of sequences around the whole
        self.elements = 0
        self._done = False

    @property
    def members(self) -> list[bytes]:
        """The members of the JSON object, one for each element, in tag order."""
        return self._root.members

    @property
    def context(self) -> Context:
        """What was noted in the data set."""
        return self._root.context

    def _open_sequence(
        self, entry: Entry, start: int, bound: int, content: Encoding, *, delimited: bool
    ) -> None:
        if self._depth + len(self._sequences) >= self._limits.nesting_depth:
            raise too_large("nesting_depth", self._limits.nesting_depth, self.position)
        sequence = Sequence(entry, bound, self._data_set, self._encoding, delimited)
        self._sequences.append(sequence)
        self._encoding = content
        self._between_items = True
        self.position = start

    def _end_sequence(self) -> None:
        sequence = self._sequences.pop()
        self._data_set = sequence.parent
        self._data_set.append(sequence.entry.tag, sequence.member(), self._inspection)
        self._encoding = sequence.encoding_before
        self._between_items = False
        if self.trace is not None:
            self.trace.append(SEQUENCE_ENDS)

    def _end_data_set(self) -> None:
        """End the innermost data set: put its members in order, keep the first of each tag."""
        data_set = self._data_set
        self.elements += len(data_set.members)
        if self.elements > self._limits.elements:
            raise too_large("elements", self._limits.elements, self.position)
        data_set.put_in_order(self._inspection)
        if data_set is self._root:
            self._inspection.see_end(self.position)
            self._done = True
            return
        if data_set.delimited and self.position >= data_set.bound:
            raise unclosed(self._sequences[-1].entry.tag, self.position, self._window.size)
        self._sequences[-1].items.append(b"{%b}" % b",".join(data_set.members))
        self._between_items = True
        if self.trace is not None:
            self.trace.append(ITEM_ENDS)

    def _end_at_trailing(self) -> None:
        self._inspection.add_number("trailing_bytes", self._window.size - self.position)
        self._end_data_set()

    def _take_delimiter(self, tag: int, length: int) -> None:
        delimited, at = self._data_set.delimited, self.position
        if tag == ITEM_END and delimited and not length:
            self._end_data_set()
        elif tag not in (ITEM_END, SEQUENCE_END) or delimited or length:
            raise malformed(f"{tag_name(tag)} stands where an element must begin", at)
        else:
            self._inspection.add("stray_delimiter", tag)
        self.position = at + 8


def past_bound(what: str, length: int, at: int, stop: int, size: int) -> Damage:
    """Return the damage of a declared length that leaves the file or what encloses it."""
    declares = f"{what} declares {length} bytes and"
    if stop > size:
        return truncated(f"{declares} the file ends {stop - size} bytes too early", at)
    return malformed(f"{declares} so leaves its sequence", at)


def unclosed(tag: int, at: int, size: int) -> Damage:
    """Return the damage of a sequence or item whose delimiter does not come."""
    if at >= size:
        return truncated(f"the file ends inside {tag_name(tag)}", at)
    return malformed(f"{tag_name(tag)} has no delimiter", at)


def cut_header(at: int, bound: int, size: int) -> Damage:
    """Return the damage of an end inside the first bytes of an element."""
    if bound >= size:
        return truncated("the file ends inside the header of an element", at)
    return malformed("an item ends inside the header of an element", at)
