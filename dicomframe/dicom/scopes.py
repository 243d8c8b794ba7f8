"""What is open during a walk: data sets, the sequences between them, and how they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dicomframe.dicom.bulk import NO_BULK, BulkWriter
from dicomframe.dicom.damage import Damage, malformed, tag_name, too_large, truncated
from dicomframe.dicom.elements import Around, Context, Entry
from dicomframe.dicom.observer import NO_OBSERVER, Observer
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
    observer : Observer
        Where to tell what is strange.
    """

    window: Window
    bulk: BulkWriter = NO_BULK
    observer: Observer = NO_OBSERVER


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
    sequence : Sequence or None
        What it is an item of.
    members : list of bytes
        The members of its JSON object so far.
    last_tag : int
        The highest tag so far.
    disorder : bool
        Whether a tag came too late, or twice.
    """

    bound: int
    delimited: bool
    context: Context
    sequence: Sequence | None = None
    members: list[bytes] = field(default_factory=list)
    last_tag: int = -1
    disorder: bool = False

    def append(self, tag: int, member: bytes, observer: Observer) -> None:
        """Add the member of an element, in order or not; group lengths are left out (F.2.2)."""
        if not tag & 0xFFFF:
            return
        if tag <= self.last_tag:
            self.disorder = True
            if tag < self.last_tag:
                observer.add("tag_order", tag)
        else:
            self.last_tag = tag
        self.members.append(member)

    def put_in_order(self, observer: Observer) -> None:
        """Bring the members into tag order and keep the first of each tag."""
        if not self.disorder:
            return
        unique: dict[bytes, bytes] = {}
        for member in self.members:
            if unique.setdefault(member[:10], member) is not member:
                observer.add("duplicate_tag", int(member[1:9], 16))
        self.members = [unique[key] for key in sorted(unique)]


@dataclass(slots=True, eq=False, repr=False)
class Sequence:
    """A sequence that is open.

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
    around : Around
        What its items take from there.
    items : list of bytes
        The JSON objects of the items so far.
    """

    entry: Entry
    bound: int
    delimited: bool
    parent: DataSet
    around: Around
    items: list[bytes] = field(default_factory=list)

    def member(self) -> bytes:
        """Return the member of the whole sequence (PS3.18 section F.2.2)."""
        value = b',"Value":[%b]' % b",".join(self.items) if self.items else b""
        return b"%b%b}" % (self.entry.prefix, value)


class Step(NamedTuple):
    """Where an element lies and how it is read, told to those who learn from a walk."""

    depth: int
    at: int
    cut: int
    value_at: int
    length: int
    entry: Entry
    around: Around
    has_invalid_vr: bool


class Scopes:
    """Keep what is open in a walk over one data set, and close it.

    Attributes
    ----------
    root : DataSet
        The whole; its members are those of the JSON object, one for each element, in tag order.
    trace : list of Step or None
        What a walk met, for those who learn from it.
    position : int
        Where in the file it stands.
    elements : int
        The number of elements and items so far, nested ones included.
    disorder : bool
        Whether one of the data sets that have ended was in disorder.
    """

    def __init__(self, job: Job, position: int, context: Context) -> None:
        self._window, self._bulk, self._observer = job
        self._limits = job.window.limits
        self.trace: list[Step] | None = None
        self.position = self._start = position
        self.root = DataSet(job.window.size, False, context)
        self._scope: DataSet | Sequence | None = self.root
        self._depth = self.elements = 0
        self.disorder = False

    def _count(self, more: int) -> int:
        """Return how many elements there are with so many more."""
        if self.elements + more > self._limits.elements:
            # of where it was noticed nobody is to know: that changes with how much is at hand
            raise too_large("elements", self._limits.elements, self._start)
        return self.elements + more

    def _open_sequence(self, sequence: Sequence, start: int) -> None:
        if self._depth >= self._limits.nesting_depth:
            raise too_large("nesting_depth", self._limits.nesting_depth, self.position)
        self._depth += 1
        self._scope = sequence
        self.position = start

    def _end_sequence(self, sequence: Sequence) -> None:
        self._depth -= 1
        self._scope = sequence.parent
        sequence.parent.append(sequence.entry.tag, sequence.member(), self._observer)

    def _end_data_set(self, data_set: DataSet) -> None:
        """End the innermost data set: put its members in order, keep the first of each tag."""
        self.elements = self._count(len(data_set.members))
        self.disorder = self.disorder or data_set.disorder
        data_set.put_in_order(self._observer)
        self._scope = sequence = data_set.sequence
        if sequence is None:
            self._observer.see_end(self.position)
            return
        if data_set.delimited and self.position >= data_set.bound:
            raise self._unclosed(sequence)
        sequence.items.append(b"{%b}" % b",".join(data_set.members))

    def _end_at_trailing(self) -> None:
        self._observer.add("trailing_bytes", self._window.size - self.position, "d")
        self._end_data_set(self.root)

    def _take_delimiter(self, data_set: DataSet, tag: int, length: int) -> None:
        delimited, at = data_set.delimited, self.position
        if tag == ITEM_END and delimited and not length:
            self._end_data_set(data_set)
        elif tag not in (ITEM_END, SEQUENCE_END) or delimited or length:
            raise malformed(f"{tag_name(tag)} stands where an element must begin", at)
        else:
            self._observer.add("stray_delimiter", tag)
        self.position = at + 8

    def _past_bound(self, what: str, length: int, stop: int) -> Damage:
        """Return the damage of a declared length that leaves the file or what encloses it."""
        declares, early = f"{what} declares {length} bytes and", stop - self._window.size
        if early > 0:
            return truncated(f"{declares} the file ends {early} bytes too early", self.position)
        return malformed(f"{declares} so leaves its sequence", self.position)

    def _unclosed(self, sequence: Sequence) -> Damage:
        """Return the damage of a sequence or item whose delimiter does not come."""
        name = tag_name(sequence.entry.tag)
        if self.position >= self._window.size:
            return truncated(f"the file ends inside {name}", self.position)
        return malformed(f"{name} has no delimiter", self.position)

    def _cut_header(self, bound: int) -> Damage:
        """Return the damage of an end inside the first bytes of an element."""
        if bound >= self._window.size:
            return truncated("the file ends inside the header of an element", self.position)
        return malformed("an item ends inside the header of an element", self.position)
