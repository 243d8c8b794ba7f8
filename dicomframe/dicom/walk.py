"""The plain walk: a data set's bytes to the members of its DICOM JSON object.

A walk goes over one data set, element by element, without recursion. It knows the innermost data
set or sequence that is open, which knows what holds it, and three things to do next: `_run_plain`,
the loop in which the time goes, takes plain elements as far as it can; `_take_element` takes one
element of any kind; `_take_item` begins the next item of a sequence. Where bytes are not at hand,
the last two raise `NotAtHand`, having changed nothing, and are called again when they are.
"""

from __future__ import annotations

from dataclasses import replace

from dicomframe.dicom.damage import Damage, malformed, tag_name
from dicomframe.dicom.elements import Around, Context, Entry, Kind, make_entry, table_of
from dicomframe.dicom.encodings import IMPLICIT_LITTLE, TRIAL_BYTES, measure_invalid_vr, read_tag
from dicomframe.dicom.fragments import UNDEFINED, FragmentChain, walk_fragments
from dicomframe.dicom.limits import UNBOUNDED
from dicomframe.dicom.memo import LONGEST_VALUE_BYTES, Memo, headers_of
from dicomframe.dicom.scopes import ITEM, SEQUENCE_END, DataSet, Job, Scopes, Sequence, Step
from dicomframe.dicom.trailing import MOST_PADDING_BYTES, TAIL_BYTES, is_padding, is_trailing
from dicomframe.dicom.values import UnfitValue, encode_inline_binary
from dicomframe.dicom.window import NotAtHand, Reading, Window

_FRAGMENTED_VRS = frozenset({"OB", "OW"})


class Walk(Scopes):
    """Walk the data set of one file, from `position` to the end, within the limits.

    With a memo the result is the same, and what elements became before is not made again.

    Attributes
    ----------
    pixels : tuple of int or None
        The tag of Pixel Data, where its value starts in the file, and its length.
    chain : FragmentChain or None
        The fragments of that value, if it is encapsulated.
    """

    def __init__(self, job: Job, position: int, context: Context, memo: Memo | None = None) -> None:
        super().__init__(job, position, context)
        self._memo = memo
        self.pixels: tuple[int, int, int] | None = None
        self.chain: FragmentChain | None = None
        self._only_group: int | None = None
        most_bytes = min(self._limits.inline_binary_bytes, self._limits.inline_text_bytes)
        self._is_plain = not self._observer.is_on and most_bytes >= LONGEST_VALUE_BYTES
        self._fragmented: tuple[DataSet, Entry, int] | None = None
        self._has_invalid_vr = False

    def run(self) -> Reading[None]:
        """Walk to the end; yields the ranges it needs and is sent their bytes.

        Raises
        ------
        Damage
            ``truncated``, ``malformed`` or ``too_large``.
        """
        while self._scope is not None:
            try:
                self._step(self._scope)
            except NotAtHand as wanted:
                yield from self._window.fill(self.position, wanted.stop)
            if self._fragmented is not None:
                yield from self._take_fragments(*self._fragmented)
                self._fragmented = None

    def only(self, group: int) -> None:
        """End where another group begins; of this one nothing can be asked for later."""
        self._only_group, self._is_plain = group, False
        most = {"inline_binary_bytes": UNBOUNDED, "inline_text_bytes": UNBOUNDED}
        self._limits = replace(self._limits, **most)

    def take(self) -> Step | None:
        """Take one element of the root with all that it holds; return where it lies.

        None if there is none. Fragments are left, and then it has not become a member.

        Raises
        ------
        NotAtHand
            What is needed of it is not at hand.
        """
        trace = self.trace = []
        self._take_element(self.root)
        self.trace = None
        while self._scope not in (self.root, None) and self._fragmented is None:
            self._step(self._scope)
        return trace[0] if trace else None

    def trace_all(self) -> list[Step] | None:
        """Walk what is at hand, whole, and return what was met; None if not all is sound."""
        self.trace = []
        try:
            return None if any(True for _ in self.run()) or self.disorder else self.trace
        except Damage:
            return None

    def _step(self, scope: DataSet | Sequence) -> None:
        if isinstance(scope, Sequence):
            self._take_item(scope)
            return
        if self._is_plain and self.pixels is None and self.trace is None:
            self._run_plain(scope)
        self._count(len(scope.members))
        self._take_element(scope)

    def _run_plain(self, data_set: DataSet) -> None:
        """Take plain elements that lie whole in the window; stop before any other."""
        buffer, base, memo = self._window.buffer, self._window.base, self._memo
        context, last_tag, append = data_set.context, data_set.last_tag, data_set.members.append
        encoding, charset = context.encoding, context.charset
        table = headers_of(encoding) if memo is None else memo[encoding, charset]
        position = self.position - base
        limit = min(data_set.bound - base, len(buffer))
        last_start = limit - 12
        try:
            while position <= last_start:
                start = position + 8
                length, kind, tag, prefix, encode, members = table[buffer[position:start]]
                stop = start + length
                if tag <= last_tag or stop > limit:
                    break
                raw = buffer[start:stop]
                member = members.get(raw)
                if member is None:
                    member = prefix + encode(raw, charset)
                    if memo is not None:
                        memo.remember(members, raw, member)
                append(member)
                if kind:
                    context.note(kind, tag, raw, encoding.order)
                last_tag = tag
                position = stop
        except UnfitValue:
            pass
        self.position = base + position
        data_set.last_tag = last_tag

    def _take_element(self, data_set: DataSet) -> None:
        """Take one element, whatever it is."""
        window, at, encoding = self._window, self.position, data_set.context.encoding
        is_root, bound, order = data_set is self.root, data_set.bound, encoding.order
        head = window.peek(at, 12) if at < bound else b""
        if at >= bound or (is_root and self._only_group not in (None, read_tag(head, order) >> 16)):
            return self._end_data_set(data_set)
        if at + 8 > bound:
            if not is_root or not is_padding(head[: bound - at], encoding):
                raise self._cut_header(bound)
            return self._end_at_trailing()
        entry = table_of(encoding)[head[: 6 if encoding.explicit else 4]]
        kind, tag = entry.kind, entry.tag
        self._has_invalid_vr = kind == Kind.INVALID_VR
        if kind == Kind.DELIMITER:
            return self._take_delimiter(data_set, tag, int.from_bytes(head[4:8], order))
        if is_root and (self._has_invalid_vr or tag <= data_set.last_tag or self.pixels):
            tail = window.peek(at, TAIL_BYTES)
            if not tail.strip(b"\0"):
                tail = window.peek(at, MOST_PADDING_BYTES)
            if is_trailing(tail, at, encoding, after_pixels=self.pixels is not None):
                return self._end_at_trailing()
        header_bytes = entry.header_bytes
        length = int.from_bytes(head[entry.length_at : header_bytes], order)
        if self._has_invalid_vr:
            rest = window.peek(at, TRIAL_BYTES)
            header_bytes, length = measure_invalid_vr(rest, bound - at, encoding, tag, at)
        if self._observer.is_on:
            self._observer.see_header(entry, length, at, is_root=is_root)
        if kind >= Kind.BY_CONTEXT:
            vr = data_set.context.resolve_vr(tag)
            if encoding.explicit and kind == Kind.BY_CONTEXT:
                encoding = IMPLICIT_LITTLE  # the bytes of UN (PS3.5 section 6.2.2)
            if length == UNDEFINED and vr not in _FRAGMENTED_VRS:
                vr = "SQ"
            entry = make_entry(tag, vr, encoding)
        return self._take_value(data_set, entry, at + header_bytes, length)

    def _take_value(self, data_set: DataSet, entry: Entry, start: int, length: int) -> None:
        """Take an element whose header is read and whose VR is settled."""
        window, at, context = self._window, self.position, data_set.context
        tag, vr = entry.tag, entry.vr
        if self.trace is not None:
            around = context.around(context.encoding)
            cut = start - entry.header_bytes + entry.length_at
            step = Step(self._depth, at, cut, start, length, entry, around, self._has_invalid_vr)
            self.trace.append(step)
        is_pixels = entry.kind == Kind.PIXELS and data_set is self.root
        if is_pixels and self.pixels is not None and tag == self.pixels[0]:
            raise malformed(f"{tag_name(tag)} comes a second time", at)
        is_delimited = length == UNDEFINED
        if is_delimited and vr in _FRAGMENTED_VRS:
            self._fragmented = data_set, entry, start
            return
        if is_delimited and vr != "SQ":
            raise malformed(f"{tag_name(tag)} of VR {vr} has an undefined length", at)
        stop = data_set.bound if is_delimited else start + length
        if stop > data_set.bound:
            raise self._past_bound(f"{tag_name(tag)} of VR {vr}", length, stop)
        if vr == "SQ" and (is_delimited or entry.encoding is context.encoding):
            around = context.around(entry.encoding)
            self._open_sequence(Sequence(entry, stop, is_delimited, data_set, around), start)
            return
        if is_pixels or length > self._limits.most_inline_bytes(vr):
            window.pass_over(length)
            turned_vr = vr if entry.encoding.order == "big" and not is_pixels else None
            member = entry.prefix + self._bulk.rest(start, length, turned_vr)
            data_set.append(tag, member, self._observer)
            if is_pixels:
                self.pixels = self.pixels or (tag, start, length)
        else:
            raw = window.peek(start, length)
            if entry.kind == Kind.GROUP_LENGTH:
                self._observer.see_group_length(tag, raw, stop, entry.encoding.order)
            else:
                member = self._encode(context, entry, raw, start)
                data_set.append(tag, member, self._observer)
        self.position = stop

    def _encode(self, context: Context, entry: Entry, raw: bytes, start: int) -> bytes:
        kind, tag, prefix, encode, vr = entry[:5]
        if vr == "SQ":  # a UN of defined length that the dictionary knows to hold a sequence
            member = self._embed_sequence(context.around(entry.encoding), entry, raw, start)
            prefix = make_entry(tag, "UN", entry.encoding).prefix
            if member is None and len(raw) > self._limits.inline_binary_bytes:
                return prefix + self._bulk.rest(start, len(raw))
            return member or prefix + encode_inline_binary(raw, context.charset)
        if kind != Kind.PLAIN:
            context.note(kind, tag, raw, entry.encoding.order)
        if self._observer.is_on:
            self._observer.see_value(tag, vr, raw, context.charset)
        try:
            return prefix + encode(raw, context.charset)
        except UnfitValue:
            prefix = make_entry(tag, "UN", entry.encoding).prefix
            return prefix + encode_inline_binary(raw, context.charset)

    def _take_fragments(self, data_set: DataSet, entry: Entry, start: int) -> Reading[None]:
        """Take an encapsulated value up to its delimiter."""
        window, tag = self._window, entry.tag
        chain = yield from walk_fragments(window, start, data_set.bound, tag)
        window.pass_over(chain.stop + 8 - start)
        entry = entry.of_fragments(data_set.context.encoding)
        member = entry.prefix + self._bulk.rest(start, chain.stop - start)
        data_set.append(tag, member, self._observer)
        if entry.kind == Kind.PIXELS and data_set is self.root:
            self.pixels = self.pixels or (tag, start, chain.stop - start)
            self.chain = self.chain or chain
        if chain.odd:
            self._observer.add("odd_length", tag)
        self.position = chain.stop + 8

    def _take_item(self, sequence: Sequence) -> None:
        """Begin the next item of the innermost sequence, or end the sequence."""
        at, order = self.position, sequence.around.encoding.order
        if at >= sequence.bound:
            if sequence.delimited:
                raise self._unclosed(sequence)
            self._end_sequence(sequence)
            return
        head, owner = self._window.peek(at, 8), sequence.entry.tag
        if at + 8 > sequence.bound:
            raise self._cut_header(sequence.bound)
        tag, length = read_tag(head, order), int.from_bytes(head[4:8], order)
        if tag == ITEM:
            self.elements = self._count(1)
            delimited = length == UNDEFINED
            bound = sequence.bound if delimited else at + 8 + length
            if bound > sequence.bound:
                raise self._past_bound(f"an item of {tag_name(owner)}", length, bound)
            self._scope = DataSet(bound, delimited, sequence.around.context(), sequence)
        elif tag != SEQUENCE_END or length:
            raise malformed(f"{tag_name(owner)} holds {tag_name(tag)} where an item must begin", at)
        elif sequence.delimited:
            self._end_sequence(sequence)
        else:
            self._observer.add("stray_delimiter", tag)
        self.position = at + 8

    def _embed_sequence(self, around: Around, entry: Entry, raw: bytes, start: int) -> bytes | None:
        """Walk a sequence inside a UN value; None if the value holds none."""
        stop = start + len(raw)
        window = Window(raw, start, stop, self._limits)
        inner = Walk(Job(window, self._bulk), start, around.context())
        inner._depth = self._depth
        inner._open_sequence(Sequence(entry, stop, False, inner.root, around), start)
        try:
            for _ in inner.run():
                return None
        except Damage as damage:
            if damage.reason == "too_large":
                raise
            return None
        self.elements += inner.elements
        return inner.root.members[0]
