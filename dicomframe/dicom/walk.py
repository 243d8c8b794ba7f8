"""The plain walk: a data set's bytes to the members of its DICOM JSON object.

A walk goes over one data set, element by element, without recursion. It keeps a stack of the
sequences that are open, and three things to do next: `_run_plain`, the loop in which the time
goes, takes plain elements as far as it can; `_take_element` takes one element of any kind;
`_take_item` goes from item to item of the innermost sequence. The last two return how many bytes
they need from where they stand, having changed nothing, or 0 when they are done.
"""

from __future__ import annotations

from collections.abc import Generator

from dicomframe.dicom.damage import Damage, tag_name
from dicomframe.dicom.elements import (
    BY_CONTEXT,
    DELIMITER,
    GROUP_LENGTH,
    INVALID_VR,
    INVALID_VR_BYTES,
    LAST_NOTED,
    PIXELS,
    PLAIN,
    Around,
    Context,
    Entry,
    make_entry,
    measure_invalid_vr,
)
from dicomframe.dicom.encodings import (
    IMPLICIT_LITTLE,
    Encoding,
    read_tag,
)
from dicomframe.dicom.fragments import UNDEFINED, FragmentChain, walk_fragments
from dicomframe.dicom.scopes import (
    ITEM_BEGINS,
    DataSet,
    Job,
    Scopes,
    Step,
    cut_header,
    past_bound,
    unclosed,
)
from dicomframe.dicom.trailing import MOST_PADDING_BYTES, TAIL_BYTES, is_padding, is_trailing
from dicomframe.dicom.values import UnfitValue, encode_inline_binary
from dicomframe.dicom.window import Request, Window, too_large

_ITEM = 0xFFFEE000
_SEQUENCE_END = 0xFFFEE0DD
_FRAGMENTED_VRS = frozenset({"OB", "OW"})
_FRAGMENTS = -1
_TRACED_BYTES = 256


class Walk(Scopes):
    """Walk the data set of one file, from `position` to the end, within the limits.

    Attributes
    ----------
    pixels : tuple of int or None
        Where the value of Pixel Data starts and stops in the file.
    chain : FragmentChain or None
        The fragments of that value, if it is encapsulated.
    only_group : int or None
        The walk ends where another group begins, if one is set.
    """

    def __init__(self, job: Job, position: int, encoding: Encoding) -> None:
        super().__init__(job, position, encoding)
        self.pixels: tuple[int, int] | None = None
        self.chain: FragmentChain | None = None
        self.only_group: int | None = None
        self._pixel_tag = 0
        self._fragmented = (make_entry(0, "OB", encoding), 0)
        self._has_invalid_vr = False

    def run(self) -> Generator[Request, bytes, None]:
        """Walk to the end; yields the ranges it needs and is sent their bytes.

        Raises
        ------
        Damage
            ``truncated``, ``malformed`` or ``too_large``.
        """
        is_plain = self._inspection is None and self.only_group is None
        while not self._done:
            if self._between_items:
                need = self._take_item()
            else:
                if is_plain and self.pixels is None:
                    self._run_plain()
                need = self._take_element()
            if need == _FRAGMENTS:
                yield from self._take_fragments()
            elif need:
                if self.elements + len(self._data_set.members) > self._limits.elements:
                    raise too_large("elements", self._limits.elements, self.position)
                yield from self._window.fill(self.position, need)

    def resume(self, context: Context, last_tag: int = -1) -> None:
        """Be told of what stood before `position`; to be called before anything is taken."""
        self._root.context = context
        self._root.last_tag = last_tag

    def take(self) -> bool:
        """Take one element of the root with all that it holds; False if it is not at hand.

        If there is a trace, which tells of the root alone, some plain ones may come before it.
        """
        if self.trace is not None:
            self._run_plain()
        need = self._take_element()
        trace, self.trace = self.trace, None
        while self._sequences and not need:
            if self._between_items:
                need = self._take_item()
            else:
                self._run_plain()
                need = self._take_element()
        self.trace = trace
        return not need

    def trace_all(self) -> list[Step | bytes] | None:
        """Walk what is at hand whole; return what was met, None if it is broken."""
        self.trace = []
        try:
            for _ in self.run():
                return None
        except Damage:
            return None
        return self.trace

    def _run_plain(self) -> None:
        """Take plain elements that lie whole in the window; stop before any other.

        With a trace those that are noted count as others, and a few are taken at once.
        """
        data_set, encoding, trace = self._data_set, self._encoding, self.trace
        buffer, base = self._window.buffer, self._window.base
        table = self._table
        context, last_tag, append = data_set.context, data_set.last_tag, data_set.members.append
        charset, order = context.charset, encoding.order
        longest = self._limits.most_inline_bytes_of_any
        position = self.position - base
        limit = min(data_set.bound - base, len(buffer))
        last_start = limit - 12 if trace is None else min(limit - 12, position + _TRACED_BYTES)
        most_kind = LAST_NOTED if trace is None else PLAIN
        around: Around | None = None
        key_bytes = 6 if encoding.explicit else 4
        try:
            while position <= last_start:
                entry = table[buffer[position : position + key_bytes]]
                kind, tag, prefix, encode, _, length_at, header_bytes, unpack_length = entry
                start = position + header_bytes
                (length,) = unpack_length(buffer, position + length_at)
                stop = start + length
                if kind > most_kind or stop > limit or length > longest or tag <= last_tag:
                    break
                raw = buffer[start:stop]
                append(prefix + encode(raw, charset))
                if kind:
                    context.note(kind, tag, raw, order)
                if trace is not None:
                    around = around or context.around(encoding)
                    where = len(self._sequences), base + position, base + start, length
                    trace.append(Step(*where, entry, encoding, around, False))
                last_tag = tag
                position = stop
        except UnfitValue:
            pass
        self.position = base + position
        data_set.last_tag = last_tag

    def _take_element(self) -> int:
        """Take one element, whatever it is."""
        window, data_set, at = self._window, self._data_set, self.position
        if at >= data_set.bound:
            self._end_data_set()
            return 0
        head = window.peek(at, 12)
        if head is None:
            return 12
        is_root = data_set is self._root
        explicit, order = self._encoding
        if is_root and self.only_group not in (None, read_tag(head, order) >> 16):
            self._end_data_set()
            return 0
        if at + 8 > data_set.bound:
            rest = head[: data_set.bound - at]
            if not is_root or not is_padding(rest, self._encoding):
                raise cut_header(at, data_set.bound, window.size)
            self._end_at_trailing()
            return 0
        entry = self._table[head[: 6 if explicit else 4]]
        if entry.kind == DELIMITER:
            self._take_delimiter(entry.tag, int.from_bytes(head[4:8], order))
            return 0
        if is_root and (entry.kind == INVALID_VR or entry.tag <= data_set.last_tag or self.pixels):
            tail = window.peek(at, TAIL_BYTES)
            if tail is None:
                return TAIL_BYTES
            if not tail.strip(b"\0"):
                tail = window.peek(at, MOST_PADDING_BYTES)
                if tail is None:
                    return MOST_PADDING_BYTES
            if is_trailing(tail, at, self._encoding, after_pixels=self.pixels is not None):
                self._end_at_trailing()
                return 0
        header_bytes, content = entry.header_bytes, self._encoding
        length = int.from_bytes(head[entry.length_at : header_bytes], order)
        self._has_invalid_vr = entry.kind == INVALID_VR
        if entry.kind == INVALID_VR:
            start, room = window.peek(at, INVALID_VR_BYTES), data_set.bound - at
            if start is None:
                return INVALID_VR_BYTES
            header_bytes, length = measure_invalid_vr(start, room, content, entry.tag, at)
        if self._inspection is not None:
            self._inspection.see_header(entry, length, at, is_root=is_root, explicit=explicit)
        if entry.kind >= BY_CONTEXT:
            vr = data_set.context.resolve_vr(entry.tag) or "UN"
            if explicit and entry.kind == BY_CONTEXT:
                content = IMPLICIT_LITTLE  # the bytes of UN (PS3.5 section 6.2.2)
            if length == UNDEFINED and vr not in _FRAGMENTED_VRS:
                vr = "SQ"
            entry = make_entry(entry.tag, vr, content)
        return self._take_value(entry, at + header_bytes, length, content)

    def _take_value(self, entry: Entry, start: int, length: int, content: Encoding) -> int:
        """Take an element whose header is read and whose VR is settled."""
        window, data_set, inspection = self._window, self._data_set, self._inspection
        kind, tag, vr = entry.kind, entry.tag, entry.vr
        if self.trace is not None:
            around = data_set.context.around(self._encoding)
            where = len(self._sequences), self.position, start, length
            self.trace.append(Step(*where, entry, content, around, self._has_invalid_vr))
        is_pixels = kind == PIXELS and data_set is self._root
        if is_pixels and tag == self._pixel_tag:
            raise Damage("malformed", f"{tag_name(tag)} comes a second time", self.position)
        if length == UNDEFINED:
            if vr in _FRAGMENTED_VRS:
                self._fragmented = (entry, start)
                return _FRAGMENTS
            if vr != "SQ":
                raise Damage(
                    "malformed",
                    f"{tag_name(tag)} of VR {vr} has an undefined length",
                    self.position,
                )
            self._open_sequence(entry, start, data_set.bound, content, delimited=True)
            return 0
        stop = start + length
        if stop > data_set.bound:
            raise past_bound(
                f"{tag_name(tag)} of VR {vr}", length, self.position, stop, window.size
            )
        if vr == "SQ" and content == self._encoding:
            self._open_sequence(entry, start, stop, content, delimited=False)
            return 0
        if is_pixels or length > self._limits.most_inline_bytes(vr):
            window.pass_over(length)
            turned_vr = vr if content.order == "big" and not is_pixels else None
            member = entry.prefix + self._bulk.rest(start, length, turned_vr)
            data_set.append(tag, member, inspection)
            if is_pixels:
                self._note_pixels(tag, start, stop)
        else:
            if stop > window.base + len(window.buffer):
                return stop - self.position
            raw = window.buffer[start - window.base : stop - window.base]
            if kind == GROUP_LENGTH:
                if inspection is not None:
                    inspection.see_group_length(tag, raw, stop, content.order)
            else:
                data_set.append(tag, self._encode(entry, raw, start, content), inspection)
        self.position = stop
        return 0

    def _encode(self, entry: Entry, raw: bytes, start: int, content: Encoding) -> bytes:
        kind, tag, prefix, encode, vr = entry[:5]
        context = self._data_set.context
        if vr == "SQ":  # a UN of defined length that the dictionary knows to hold a sequence
            member = self._embed_sequence(entry, raw, start, content)
            if member is not None:
                return member
            entry = make_entry(tag, "UN", content)
            if len(raw) > self._limits.inline_binary_bytes:
                return entry.prefix + self._bulk.rest(start, len(raw))
            return entry.prefix + encode_inline_binary(raw, context.charset)
        if kind != PLAIN:
            context.note(kind, tag, raw, content.order)
        if self._inspection is not None:
            self._inspection.see_value(tag, vr, raw, context.charset)
        try:
            return prefix + encode(raw, context.charset)
        except UnfitValue:
            unknown = make_entry(tag, "UN", content)
            return unknown.prefix + encode_inline_binary(raw, context.charset)

    def _take_fragments(self) -> Generator[Request, bytes, None]:
        """Take an encapsulated value up to its delimiter."""
        entry, start = self._fragmented
        window, data_set, tag = self._window, self._data_set, entry.tag
        chain = yield from walk_fragments(window, start, data_set.bound, tag, self._limits.elements)
        window.pass_over(chain.following - start)
        if not self._encoding.explicit:
            entry = make_entry(tag, "OB", self._encoding)  # PS3.5 section A.4
        member = entry.prefix + self._bulk.rest(start, chain.stop - start)
        data_set.append(tag, member, self._inspection)
        if entry.kind == PIXELS and data_set is self._root:
            self._note_pixels(tag, start, chain.stop)
            self.chain = self.chain or chain
        if chain.odd and self._inspection is not None:
            self._inspection.add("odd_length", tag)
        self.position = chain.following

    def _take_item(self) -> int:
        """Begin the next item of the innermost sequence, or end the sequence."""
        sequence, at = self._sequences[-1], self.position
        if at >= sequence.bound:
            if sequence.delimited:
                raise unclosed(sequence.entry.tag, at, self._window.size)
            self._end_sequence()
            return 0
        head = self._window.peek(at, 8)
        if head is None:
            return 8
        if at + 8 > sequence.bound:
            raise cut_header(at, sequence.bound, self._window.size)
        tag = read_tag(head, self._encoding.order)
        length = int.from_bytes(head[4:8], self._encoding.order)
        if tag == _ITEM:
            self.elements += 1
            if self.elements > self._limits.elements:
                raise too_large("elements", self._limits.elements, at)
            delimited = length == UNDEFINED
            bound = sequence.bound if delimited else at + 8 + length
            if bound > sequence.bound:
                what = f"an item of {tag_name(sequence.entry.tag)}"
                raise past_bound(what, length, at, bound, self._window.size)
            parent = sequence.parent
            context = Context(parent.context.charset, signed=parent.context.signed)
            self._data_set = DataSet(bound, context, delimited=delimited)
            self._between_items = False
            if self.trace is not None:
                self.trace.append(ITEM_BEGINS)
        elif tag != _SEQUENCE_END or length:
            raise Damage(
                "malformed",
                f"{tag_name(sequence.entry.tag)} holds {tag_name(tag)} where an item must begin",
                at,
            )
        elif sequence.delimited:
            self._end_sequence()
        elif self._inspection is not None:
            self._inspection.add("stray_delimiter", tag)
        self.position = at + 8
        return 0

    def _embed_sequence(
        self, entry: Entry, raw: bytes, start: int, content: Encoding
    ) -> bytes | None:
        """Walk a sequence inside a UN value; None if the value holds none."""
        stop = start + len(raw)
        window = Window(raw, start, stop, self._limits)
        inner = Walk(Job(window, self._bulk, self._limits), start, content)
        inner._depth = self._depth + len(self._sequences)
        context = self._data_set.context
        inner._root.context = Context(context.charset, signed=context.signed)
        inner._open_sequence(entry, start, stop, content, delimited=False)
        try:
            for _ in inner.run():
                return None
        except Damage as damage:
            if damage.reason == "too_large":
                raise
            return None
        self.elements += inner.elements
        return inner.members[0]

    def _note_pixels(self, tag: int, start: int, stop: int) -> None:
        if self.pixels is None:
            self.pixels = (start, stop)
            self._pixel_tag = tag
