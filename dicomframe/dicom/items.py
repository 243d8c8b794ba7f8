"""A walk that knows the items of sequences: they are alike, and so are those of the next file's."""

from __future__ import annotations

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.elements import Around, Context
from dicomframe.dicom.fragments import ITEM
from dicomframe.dicom.lessons import take_item_lessons
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.links import Slot
from dicomframe.dicom.memo import Memo
from dicomframe.dicom.scopes import DataSet, Job, Sequence
from dicomframe.dicom.template import Template, Trail
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Window

_LONGEST_ITEM_BYTES = 8192


class Items(dict[tuple[int, Around], Template]):
    """Keep templates of items by what is around them; what they cost is counted by the memo."""

    def __init__(self, memo: Memo) -> None:
        super().__init__()
        self.memo = memo
        memo.forgets.append(self.clear)

    def __missing__(self, key: tuple[int, Around]) -> Template:
        self.memo.spend(_LONGEST_ITEM_BYTES)
        return self.setdefault(key, Template())

    def walk_sequence(
        self, buffer: bytes, size: int, bulk: BulkWriter, limits: Limits, at: int, slot: Slot
    ) -> tuple[bytes, int]:
        """Return the member of a sequence in the root of a data set, and where it ends.

        Or nothing and -1, if it holds fragments.

        Parameters
        ----------
        buffer : bytes
            The first bytes of the file.
        size : int
            How many it has.
        bulk : BulkWriter
            Tells of values that stay in the file.
        limits : Limits
            How far to go.
        at : int
            Where the first item of the sequence begins.
        slot : Slot
            What is known of it.

        Raises
        ------
        NotAtHand
            Not all of it is at hand.
        Damage
            What the walk raises.
        """
        job = Job(Window(buffer, 0, size, limits), bulk)
        context = Context(*slot.around, noted=dict(slot.place.noted) if slot.place else {})
        walk = ItemWalk(self, job, at - slot.entry.header_bytes, context)
        walk.take()
        return (walk.root.members[0], walk.position) if walk.root.members else (b"", -1)


class ItemWalk(Walk):
    """Walk one data set with a memo and with templates of items."""

    def __init__(self, items: Items, job: Job, position: int, context: Context) -> None:
        super().__init__(job, position, context, items.memo)
        self._items = items
        self._begun: list[tuple[int, Trail]] = []

    def _take_item(self, sequence: Sequence) -> None:
        window, template = self._window, self._items[sequence.entry.tag, sequence.around]
        trail = None
        while trail is None and not self._observer.is_on and self.position < sequence.bound:
            if not window.buffer.startswith(ITEM, self.position - window.base):
                break
            trail = self._take_like(template, sequence)
        at = self.position
        super()._take_item(sequence)
        if trail is not None:
            trail.position -= at - window.base if trail.position >= 0 else 0
            self._begun.append((at, trail))

    def _take_like(self, template: Template, sequence: Sequence) -> Trail | None:
        """Take one item that is like those before, or return where it differs."""
        base, limits = self._window.base, self._limits
        trail = Trail(template.links, self.position - base)
        if not template.match(trail, self._window.buffer):
            return trail
        end = trail.passed[-1].slot
        depth, elements = self._depth + end.depth, self.elements + end.elements + 1
        stop = base + trail.position
        if stop > sequence.bound or depth > limits.nesting_depth or elements > limits.elements:
            trail.position = -1
            return trail
        sequence.items.append(b"".join(trail.pieces))
        self.elements, self.position = elements, stop
        return None

    def _end_data_set(self, data_set: DataSet) -> None:
        super()._end_data_set(data_set)
        sequence = data_set.sequence
        if not self._begun or sequence is None:
            return
        at, trail = self._begun.pop()
        start = at - self._window.base
        stop = self.position + (8 if data_set.delimited else 0) - self._window.base
        template = self._items[sequence.entry.tag, sequence.around]
        is_short = start >= 0 and stop - start <= _LONGEST_ITEM_BYTES
        if template.pays and is_short and trail.position >= 0:
            raw, before = self._window.buffer[start:stop], template.bytes
            lessons = take_item_lessons(sequence.around, raw, sequence.items[-1], self._limits)
            template.learn(trail, raw, lessons)
            self._items.memo.spend(template.bytes - before)
