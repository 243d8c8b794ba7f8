"""What was learned of the files before, within a budget: which template a file is tried with."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.elements import Context
from dicomframe.dicom.items import Items, ItemWalk
from dicomframe.dicom.layouts import FileTemplate, Told
from dicomframe.dicom.lessons import START, repeat_lessons, take_lessons
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.memo import Memo
from dicomframe.dicom.scopes import Job
from dicomframe.dicom.template import Nested, Trail
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import NotAtHand, Window

FIRST_READ_BYTES = 16 << 10
MOST_FIRST_READ_BYTES = 256 << 10
_SERIES = b"\x20\0\x0e\0"
_MODEL = b"\x08\0\x90\x10"
_LONGEST_VALUE_BYTES = 64  # of UI and LO (PS3.5 section 6.2)
_MOST_BEGUN = 256
_TEMPLATE_BYTES = 300


class Learned:
    """What was learned from the files before; for one thread, in any order of files.

    It changes how fast headers are read and nothing else.

    Parameters
    ----------
    templates : bool
        Whether templates are used, or the memo alone.
    most_bytes : int
        What templates may keep; those used last are kept.

    Attributes
    ----------
    memo : Memo
        What elements became.
    items : Items
        Templates of the items of sequences.
    first_read_bytes : int
        How much to read of the next file at first.
    """

    def __init__(self, *, templates: bool = True, most_bytes: int = 48 << 20) -> None:
        self.memo = Memo()
        self.items = Items(self.memo)
        self.first_read_bytes = FIRST_READ_BYTES
        self.has_templates = templates
        self._limits = DEFAULT_LIMITS
        self._most_bytes, self._bytes = most_bytes, 0
        self._last = FileTemplate()
        self._hints_at: dict[bytes, int] = {}
        self._begun: dict[bytes, None] = {}
        self._templates: OrderedDict[bytes, FileTemplate] = OrderedDict()

    def begin(self) -> None:
        """Forget how far headers reach: other files begin."""
        self.first_read_bytes = FIRST_READ_BYTES

    def note_read(self, stop: int) -> None:
        """Let the next first read reach as far as this header did, and a little further.

        It grows at once and shrinks slowly, so that a mixture of series is read well too.
        """
        wanted, kept = stop + 512 + 4095 & -4096, self.first_read_bytes  # whole pages
        shrunk = kept - (kept - wanted + 7) // 8
        self.first_read_bytes = shrunk if wanted <= kept else min(wanted, MOST_FIRST_READ_BYTES)

    def walk(self, job: Job, position: int, context: Context) -> Walk:
        """Return a walk that uses what was learned of elements and items."""
        if self.has_templates:
            return ItemWalk(self.items, job, position, context)
        return Walk(job, position, context, self.memo)

    def match_at_once(
        self, head: bytes, size: int, bulk: BulkWriter, limits: Limits
    ) -> Told | None:
        """Take a file that is laid out like one of those last taken, ahead of any hint."""
        return self._last.take_at_once(head, size, bulk) if limits is self._limits else None

    def match(self, head: bytes, size: int, bulk: BulkWriter, limits: Limits) -> Trail | None:
        """Compare a file of `size` bytes with those before, and learn from it.

        Return the way it went to an end; None if it is to be walked.

        Raises
        ------
        NotAtHand
            More of the file would tell.
        """
        if limits is not self._limits and limits != self._limits:
            self._templates.clear()
            self.items.clear()
            self._bytes, self._last = 0, FileTemplate()
        self._limits = limits
        if not self.has_templates or len(head) // 8 >= limits.elements:
            return None  # elements are not counted here
        if not (hint := self._hint(head, _SERIES)):
            return None
        template, heir, tried = self._templates.get(hint), None, self._last
        if template is not None and template.pays:
            self._templates.move_to_end(hint)
            self._last = template
        else:
            if template is None and hint in self._begun:
                heir = self._find(hint)
            self._begun[hint] = None
            if len(self._begun) > _MOST_BEGUN:
                del self._begun[next(iter(self._begun))]
            template = self._find(self._hint(head, _MODEL))
            if not template.pays:
                return None
        known = Nested(self.items, partial(self.items.walk_sequence, head, size, bulk, limits))
        told = template.take_at_once(head, size, bulk) if template is not tried else None
        trail = told[0].lead(told[1], bulk) if told else Trail(template.links, START, bulk, known)
        before, is_known = template.bytes, told is not None
        try:
            is_known = is_known or template.match(trail, head)
            if not is_known and len(head) < size and trail.is_cut(head):
                raise NotAtHand(len(head) + 1)
            if not is_known and template.pays:
                lessons = take_lessons(trail, Window(head, 0, size, limits), self.walk)
                is_known = template.learn(trail, head, lessons)
        except NotAtHand as wanted:
            most = min(size, MOST_FIRST_READ_BYTES)
            if wanted.stop <= most > len(head) and limits.header_bytes > MOST_FIRST_READ_BYTES:
                raise NotAtHand(max(wanted.stop, min(4 * len(head), most))) from None
        except Damage:
            pass  # the walk will tell of it
        finally:
            self._count(template.bytes - before)
        if is_known and heir is not None:
            again = Trail(heir.links, START, bulk, known)
            heir.learn(again, head, repeat_lessons(trail, head))
            self._count(heir.bytes)
        return trail if is_known else None

    def _find(self, hint: bytes) -> FileTemplate:
        if hint not in self._templates:
            self._templates[hint] = FileTemplate()
            self._bytes += _TEMPLATE_BYTES
        self._templates.move_to_end(hint)
        return self._templates[hint]

    def _count(self, count: int) -> None:
        self._bytes += count
        while self._bytes > self._most_bytes and len(self._templates) > 1:
            _, dropped = self._templates.popitem(last=False)
            self._bytes -= dropped.bytes + _TEMPLATE_BYTES

    def _hint(self, head: bytes, tag: bytes) -> bytes:
        """Return what looks like an element of `tag`, looked for from the first place it had."""
        first = self._hints_at.get(tag, len(head))
        if (at := head.find(tag, first)) < 0:
            at = head.find(tag, START)
        if not 0 <= at <= len(head) - 8:
            return b""
        self._hints_at[tag] = min(at, first)
        length = head[at + (6 if head[at + 4] > _LONGEST_VALUE_BYTES else 4)]  # a VR is letters
        return head[at : at + 8 + length]
