"""Which template to try: what was learned, by series, within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from dicomframe.dicom.items import Items
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.template import Template, take_apart

_SERIES = b"\x20\0\x0e\0"
_MOST_TEMPLATES = 4


class Series:
    """Keep templates by series, the last ones used, within a budget of bytes.

    A series begins with the bytes of its first file. The second one makes a template of the two;
    a file that does not fit loosens it, or begins another one beside it. A series that keeps
    missing is given up.
    """

    def __init__(self, most_bytes: int = 48 << 20, most_misses: int = 8) -> None:
        self._most_bytes = most_bytes
        self._most_misses = most_misses
        self._bytes = 0
        self._hint_at = 132
        self._known: OrderedDict[bytes, _Learned] = OrderedDict()

    def find(self, head: bytes) -> tuple[bytes, Sequence[Template]]:
        """Return the hint in the first bytes of a file and the templates of its series."""
        at = self._hint_at
        if head[at : at + 4] != _SERIES:
            at = head.find(_SERIES, 132)
            if at < 0:
                return b"", ()
            self._hint_at = at
        length_at = at + (6 if head[at + 4 : at + 6] == b"UI" else 4)
        length = int.from_bytes(head[length_at : length_at + 2], "little")
        hint = head[at : at + 8 + min(length, 64)]
        learned = self._known.get(hint)
        if learned is None:
            return hint, ()
        self._known.move_to_end(hint)
        return hint, learned.templates

    def learn(self, hint: bytes, head: bytes, size: int, limits: Limits, items: Items) -> None:
        """Learn from a file that no template fits; `head` ends with Pixel Data or the file."""
        learned = self._known.get(hint)
        if learned is None:
            learned = self._known[hint] = _Learned([], (head, size))
            self._count(len(head))
            return
        if learned.misses >= self._most_misses:
            return
        learned.misses += 1
        if learned.first is not None:
            template = take_apart(*learned.first, limits)
            self._count(-len(learned.first[0]))
            learned.first = None
            if template is not None:
                self._keep(learned, template)
        for template in learned.templates:
            loosened = template.loosen(head, size, items)
            if loosened is not None:
                learned.templates.remove(template)
                self._count(-template.bytes)
                self._keep(learned, loosened)
                return
        if len(learned.templates) < _MOST_TEMPLATES:
            learned.first = (head, size)
            self._count(len(head))

    def _keep(self, learned: _Learned, template: Template) -> None:
        learned.templates.append(template)
        self._count(template.bytes)

    def _count(self, count: int) -> None:
        self._bytes += count
        while self._bytes > self._most_bytes and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= dropped.bytes


@dataclass(slots=True)
class _Learned:
    templates: list[Template]
    first: tuple[bytes, int] | None
    misses: int = 0

    @property
    def bytes(self) -> int:
        kept = sum(template.bytes for template in self.templates)
        return kept + (len(self.first[0]) if self.first else 0)
