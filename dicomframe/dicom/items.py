"""Item templates: the items of one sequence are alike, and so are those of the next file's.

An item is compared as a whole: all its bytes but the values that vary, the lengths of everything
inside it included. It is learned from two items of equal length; one that differs elsewhere
loosens what was learned. A template holds for what an item takes from around it: the tag of its
sequence, the encoding, the character set and Pixel Representation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.elements import GROUP_LENGTH, PIXEL_TAGS, PLAIN
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.fragments import ITEM
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.memo import Memo, MemoWalk
from dicomframe.dicom.scopes import ITEM_BEGINS, ITEM_ENDS, Sequence, Step
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import Encoder, UnfitValue
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Window

_LONGEST_ITEM_BYTES = 8192
_MOST_TEMPLATES = 6
_MOST_LESSONS = 24


class _Context(NamedTuple):
    """What an item takes from around it."""

    tag: int
    encoding: Encoding
    charset: Charset
    signed: bool


class _Leaf(NamedTuple):
    """An element with a value, within an item."""

    at: int
    stop: int
    prefix: bytes
    encode: Encoder
    charset: Charset
    can_vary: bool


class _Segment(NamedTuple):
    """Bytes that stay, their JSON, and the value behind them."""

    run: bytes
    run_bytes: int
    text: bytes
    length: int
    encode: Encoder
    charset: Charset


class ItemTemplate:
    """What items of one length share.

    Attributes
    ----------
    size : int
        Bytes of the item, its header and its delimiter included.
    elements, depth : int
        What it counts against the limits of the same names.
    """

    def __init__(self, raw: bytes, tokens: list[bytes | _Leaf], elements: int, depth: int) -> None:
        self.size = len(raw)
        self.elements = elements
        self.depth = depth
        self._raw = raw
        self._tokens = tokens
        self._varying: set[int] = set()
        self._compile()

    def _compile(self) -> None:
        raw, at, text = self._raw, 0, b""
        self._segments: list[_Segment] = []
        for number, token in enumerate(self._tokens):
            if isinstance(token, bytes):
                text += token
            elif number not in self._varying:
                text += token.prefix + token.encode(raw[token.at : token.stop], token.charset)
            else:
                run, length = raw[at : token.at], token.stop - token.at
                segment = (run, len(run), text + token.prefix, length)
                self._segments.append(_Segment(*segment, token.encode, token.charset))
                at, text = token.stop, b""
        self._last_run, self._last_text = raw[at:], text

    def loosen(self, raw: bytes) -> bool:
        """Let what differs in another item vary; False if that may not be."""
        if len(raw) != self.size:
            return False
        at = 0
        varying = set(self._varying)
        for number, token in enumerate(self._tokens):
            if isinstance(token, bytes):
                continue
            mine, other = self._raw[token.at : token.stop], raw[token.at : token.stop]
            if mine != other:
                if not token.can_vary:
                    return False
                varying.add(number)
            if self._raw[at : token.at] != raw[at : token.at]:
                return False
            at = token.stop
        if self._raw[at:] != raw[at:]:
            return False
        self._varying = varying
        self._compile()
        return True

    def match(self, buffer: bytes, at: int) -> bytes | None:
        """Return the JSON of the item that begins at `at` of `buffer`, None if it differs."""
        texts: list[bytes] = []
        append = texts.append
        try:
            for run, run_bytes, text, length, encode, charset in self._segments:
                if not buffer.startswith(run, at):
                    return None
                start = at + run_bytes
                at = start + length
                append(text)
                append(encode(buffer[start:at], charset))
        except UnfitValue:
            return None
        if not buffer.startswith(self._last_run, at):
            return None
        append(self._last_text)
        return b"".join(texts)


@dataclass(slots=True)
class Lessons:
    """What was learned of the items of one sequence in one context; the last used comes first."""

    context: _Context
    templates: list[ItemTemplate] = field(default_factory=list)
    first: bytes = b""
    count: int = 0


class Items:
    """Keep item templates by context; what they cost is counted by the memo."""

    def __init__(self, memo: Memo) -> None:
        self.memo = memo
        self._lessons: dict[_Context, Lessons] = {}
        memo.forgets.append(self._lessons.clear)

    def lessons(self, context: _Context) -> Lessons:
        """Return what is known for a context, nothing at first."""
        lessons = self._lessons.get(context)
        if lessons is None:
            self.memo.spend(_LONGEST_ITEM_BYTES)
            lessons = self._lessons[context] = Lessons(context)
        return lessons

    def learn(self, lessons: Lessons, raw: bytes, json: bytes) -> None:
        """Learn from an item that was walked: its bytes, and the JSON object that they made."""
        if lessons.count >= _MOST_LESSONS:
            return
        lessons.count += 1
        if any(template.loosen(raw) for template in lessons.templates):
            return
        if _are_alike(raw, lessons.first):
            template = _make_template(lessons.context, raw, json)
            if template is not None and template.loosen(lessons.first):
                self.memo.spend(8 * len(raw))
                lessons.templates.insert(0, template)
                del lessons.templates[_MOST_TEMPLATES:]
        lessons.first = raw


def _are_alike(raw: bytes, other: bytes) -> bool:
    """Tell whether two items have one length and half of their bytes in common."""
    count = len(raw)
    if count != len(other):
        return False
    differences = int.from_bytes(raw, "little") ^ int.from_bytes(other, "little")
    return 2 * differences.to_bytes(count, "little").count(0) >= count


def _make_template(context: _Context, raw: bytes, json: bytes) -> ItemTemplate | None:
    """Return the template that fits one item alone; None for an item with something special.

    What it makes of the item is held against what the walk made.
    """
    is_delimited = raw[4:8] == b"\xff\xff\xff\xff"
    stop = len(raw) - 8 if is_delimited else len(raw)
    window = Window(raw[:stop], 0, stop, DEFAULT_LIMITS)
    walk = Walk(window, 8, context.encoding, BulkWriter("", inflated=False), DEFAULT_LIMITS)
    trace = walk.trace_item(context.charset, signed=context.signed)
    if trace is None:
        return None
    tokens: list[bytes | _Leaf] = [b"{"]
    last_tags = [-1]
    depth = 0
    for number, step in enumerate(trace):
        if not isinstance(step, Step):
            if step == ITEM_BEGINS:
                tokens.append(b",{" if tokens[-1] == b"}" else b"{")
                last_tags.append(-1)
            elif step == ITEM_ENDS:
                tokens.append(b"}")
                last_tags.pop()
            elif trace[number - 1] == ITEM_ENDS:
                tokens.append(b"]}")
            continue
        entry = step.entry
        tag = entry.tag
        is_special = tag <= last_tags[-1] or tag in PIXEL_TAGS or entry.kind == GROUP_LENGTH
        if is_special or step.has_invalid_vr:
            return None
        comma = b"" if last_tags[-1] < 0 else b","
        last_tags[-1] = tag
        if entry.vr == "SQ":
            if step.content != context.encoding:
                return None
            depth = max(depth, step.depth + 1)
            has_items = trace[number + 1] == ITEM_BEGINS
            tokens.append(comma + entry.prefix + (b',"Value":[' if has_items else b"}"))
            continue
        if step.length > DEFAULT_LIMITS.most_inline_bytes(entry.vr):
            return None
        place = (step.value_at, step.value_at + step.length, comma + entry.prefix)
        tokens.append(_Leaf(*place, entry.encode, step.charset, entry.kind == PLAIN))
    tokens.append(b"}")
    try:
        template = ItemTemplate(raw, tokens, walk.elements, depth)
    except UnfitValue:
        return None
    return template if template.match(raw, 0) == json else None


class ItemWalk(MemoWalk):
    """Walk one data set with a memo and with templates of items."""

    def __init__(
        self,
        items: Items,
        window: Window,
        position: int,
        encoding: Encoding,
        bulk: BulkWriter,
        limits: Limits,
        inspection: Inspection | None = None,
    ) -> None:
        super().__init__(items.memo, window, position, encoding, bulk, limits, inspection)
        self._items = items
        self._begun: list[int] = []
        self._is_used = limits == DEFAULT_LIMITS and inspection is None

    def _take_item(self) -> int:
        window, sequence, at = self._window, self._sequences[-1], self._at
        near = at - window.base
        is_item = near >= 0 and at < sequence.bound and window.buffer.startswith(ITEM, near)
        if not is_item or not self._is_used:
            return super()._take_item()
        lessons = sequence.learned
        if not isinstance(lessons, Lessons):
            parent, tag = sequence.parent, sequence.entry.tag
            context = _Context(tag, self._encoding, parent.charset, parent.context.signed)
            lessons = sequence.learned = self._items.lessons(context)
        while self._take_like(lessons, sequence):
            if not window.buffer.startswith(ITEM, self._at - window.base):
                return 0
        at = self._at
        if at >= sequence.bound:
            return 0
        need = super()._take_item()
        if not need:
            self._begun.append(at)
        return need

    def _take_like(self, lessons: Lessons, sequence: Sequence) -> bool:
        """Take one item that is like those before."""
        at = self._at
        most_elements = self._limits.elements - self._elements
        most_depth = self._limits.nesting_depth - self._depth - len(self._sequences)
        for number, template in enumerate(lessons.templates):
            stop = at + template.size
            if (
                stop <= sequence.bound
                and template.elements < most_elements
                and template.depth <= most_depth
            ):
                json = template.match(self._window.buffer, at - self._window.base)
                if json is not None:
                    sequence.items.append(json)
                    self._elements += template.elements + 1
                    self._at = stop
                    if number:
                        lessons.templates.insert(0, lessons.templates.pop(number))
                    return True
        return False

    def _end_data_set(self) -> None:
        data_set = self._data_set
        super()._end_data_set()
        if self._begun and data_set is not self._root:
            start = self._begun.pop() - self._window.base
            stop = self._at + (8 if data_set.delimited else 0) - self._window.base
            sequence = self._sequences[-1]
            if start >= 0 and stop - start <= _LONGEST_ITEM_BYTES:
                raw, lessons = self._window.buffer[start:stop], sequence.learned
                if isinstance(lessons, Lessons):
                    self._items.learn(lessons, raw, sequence.items[-1])
