"""A walk that knows the items of sequences: they are alike, and so are those of the next file's."""

from __future__ import annotations

from dataclasses import dataclass, field

from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.fragments import ITEM, SEQUENCE_ENDS, UNDEFINED
from dicomframe.dicom.lessons import learn_item
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.links import Around, Slot
from dicomframe.dicom.memo import Memo, MemoWalk
from dicomframe.dicom.scopes import Job, Sequence
from dicomframe.dicom.template import Template, Trail

_LONGEST_ITEM_BYTES = 8192
_MOST_LESSONS = 32


@dataclass(slots=True)
class Lessons:
    """What was learned of the items of one sequence in one context."""

    around: Around
    template: Template = field(default_factory=Template)
    count: int = 0

    def match(self, trail: Trail, buffer: bytes) -> Slot | None:
        """Go along the item at which `trail` stands; return what it counts, None if it is new."""
        while True:
            if trail.follow(buffer):
                return trail.passed[-1].slot
            if self.count >= _MOST_LESSONS or not self.template.split(trail, buffer):
                return None


class Items:
    """Keep lessons by context; what they cost is counted by the memo."""

    def __init__(self, memo: Memo) -> None:
        self.memo = memo
        self._lessons: dict[Around, Lessons] = {}
        memo.forgets.append(self._lessons.clear)

    def lessons(self, around: Around) -> Lessons:
        """Return what is known for a context, nothing at first."""
        lessons = self._lessons.get(around)
        if lessons is None:
            self.memo.spend(_LONGEST_ITEM_BYTES)
            lessons = self._lessons[around] = Lessons(around)
        return lessons

    def forget(self) -> None:
        """Begin anew."""
        self._lessons.clear()

    def learn(
        self, lessons: Lessons, trail: Trail, raw: bytes, told: bytes, limits: Limits
    ) -> None:
        """Learn from an item that was walked: its bytes, and the JSON object that they made."""
        if lessons.count < _MOST_LESSONS and trail.position >= 0:
            lessons.count += 1
            before = lessons.template.bytes
            learn_item(lessons.template, trail, lessons.around, raw, told, limits)
            self.memo.spend(lessons.template.bytes - before)


class ItemWalk(MemoWalk):
    """Walk one data set with a memo and with templates of items."""

    def __init__(self, items: Items, job: Job, position: int, encoding: Encoding) -> None:
        super().__init__(items.memo, job, position, encoding)
        self._items = items
        self._begun: list[tuple[int, Trail]] = []

    def _take_item(self) -> int:
        window, sequence, at = self._window, self._sequences[-1], self._at
        near = at - window.base
        is_item = near >= 0 and at < sequence.bound and window.buffer.startswith(ITEM, near)
        if not is_item or self._inspection is not None:
            return super()._take_item()
        lessons = sequence.learned
        if not isinstance(lessons, Lessons):
            context = sequence.parent.context
            around = Around(sequence.entry.tag, self._encoding, context.charset, context.signed)
            lessons = sequence.learned = self._items.lessons(around)
        while (trail := self._take_like(lessons, sequence)) is None:
            if not window.buffer.startswith(ITEM, self._at - window.base):
                return 0
        at = self._at
        if at >= sequence.bound:
            return 0
        need = super()._take_item()
        if not need:
            if trail.position >= 0:
                trail.position -= at - window.base
            self._begun.append((at, trail))
        return need

    def _take_like(self, lessons: Lessons, sequence: Sequence) -> Trail | None:
        """Take one item that is like those before, or return where it differs."""
        base = self._window.base
        trail = Trail(lessons.template.links, self._at - base)
        end = lessons.match(trail, self._window.buffer)
        if end is None:
            return trail
        depth = self._depth + len(self._sequences) + end.depth
        elements = self._elements + end.elements + 1
        stop = base + trail.position
        if (
            stop > sequence.bound
            or depth > self._limits.nesting_depth
            or elements > self._limits.elements
        ):
            trail.position = -1
            return trail
        sequence.items.append(b"".join(trail.pieces))
        self._elements = elements
        self._at = stop
        return None

    def _end_data_set(self) -> None:
        data_set = self._data_set
        super()._end_data_set()
        if self._begun and data_set is not self._root:
            at, trail = self._begun.pop()
            start = at - self._window.base
            stop = self._at + (8 if data_set.delimited else 0) - self._window.base
            sequence = self._sequences[-1]
            lessons = sequence.learned
            is_short = start >= 0 and stop - start <= _LONGEST_ITEM_BYTES
            if is_short and isinstance(lessons, Lessons):
                raw = self._window.buffer[start:stop]
                self._items.learn(lessons, trail, raw, sequence.items[-1], self._limits)


class FileSource:
    """Give a template of files what it needs of one file."""

    __slots__ = ("_items", "_job", "bulk")

    def __init__(self, items: Items, job: Job) -> None:
        self._items = items
        self._job = job
        self.bulk = job.bulk

    def take_sequence(self, at: int, slot: Slot) -> tuple[bytes, int] | None:
        """Return the member of the sequence whose length field is at `at`, and where it ends."""
        around, entry, buffer = slot.around, slot.entry, self._job.window.buffer
        length = entry.unpack_length(buffer, at)[0]
        start = at + entry.length_bytes
        stop = len(buffer) if length == UNDEFINED else start + length
        trail = Trail(self._items.lessons(around).template.links, start, None, stop)
        if start < stop and trail.follow(buffer):
            position = trail.position
            if length == UNDEFINED:
                stop = position if buffer.startswith(SEQUENCE_ENDS, position) else -1
            if position == stop:
                member = b'%b,"Value":[%b]}' % (entry.prefix, b"".join(trail.pieces))
                return member, position + (8 if length == UNDEFINED else 0)
        walk = ItemWalk(self._items, self._job, start - entry.header_bytes, around.encoding)
        walk.resume(around.context())
        return (walk.members[0], walk.position) if walk.take() else None
