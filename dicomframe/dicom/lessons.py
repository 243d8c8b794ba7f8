"""What a template learns from a walk: the links of one data set, element by element."""

from __future__ import annotations

import json
from typing import NamedTuple

from dicomframe.dicom.bulk import NO_BULK
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.elements import GROUP_LENGTH, PIXEL_TAGS, PLAIN, Context, make_entry
from dicomframe.dicom.elements import PIXELS as PIXELS_KIND
from dicomframe.dicom.elements import SEQUENCE as SEQUENCE_KIND
from dicomframe.dicom.encodings import DEFLATED_UIDS, EXPLICIT_LITTLE, Encoding, encoding_of
from dicomframe.dicom.file_meta import FileMeta, read_file_meta, settle_encoding
from dicomframe.dicom.fragments import UNDEFINED
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.links import (
    END,
    PIXELS,
    SAME_LENGTH,
    SEQUENCE,
    SILENT,
    VALUE,
    Around,
    Link,
    Part,
    Slot,
)
from dicomframe.dicom.scopes import ITEM_BEGINS, ITEM_ENDS, Job, Step
from dicomframe.dicom.template import Template, Trail
from dicomframe.dicom.text import DEFAULT_CHARSET
from dicomframe.dicom.values import UnfitValue
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Window

START = 128
"""Where a file with a preamble begins to say something."""

_AVAILABLE_SYNTAX = 0x00083002
_CLASSES = frozenset({0x00020002, 0x00080016})
"""What kind of object a file holds: a template may know many, each by links of its own."""
_LAST_TAG = 1 << 32
_MOST_NOTED = 256


class Place(NamedTuple):
    """All of what stood before in a file that decides how the rest is read.

    Attributes
    ----------
    encoding : Encoding
        Of the data set, or of group 0002.
    uid : str
        The transfer syntax, once group 0002 is over.
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


class _Unfit(Exception):
    """A file that is not for templates."""


class _Chain:
    """Make links out of elements, one behind the other, for a template."""

    def __init__(self, template: Template, links: list[Link], buffer: bytes, at: int) -> None:
        self.template = template
        self._buffer = buffer
        self._begin(links, at)

    def _begin(self, links: list[Link], at: int) -> None:
        self._links = links
        self._run_at = self._at = at
        self._parts: list[Part] = []
        self._texts: list[bytes] = []

    def add(
        self, tag: int, cut: int, stop: int, text: bytes, json: bytes, slot: Slot | None
    ) -> None:
        """Add an element that may vary from `cut` to `stop`: its JSON is `text` and `json`."""
        self._parts.append(Part(tag, cut - self._at, stop - cut, len(text), len(json), slot))
        self._texts += (text, json)
        self._at = stop

    def add_all(self, parts: list[Part], text: bytes, stop: int) -> None:
        """Add elements of another link."""
        self._parts += parts
        self._texts.append(text)
        self._at = stop

    def end(self, tag: int, cut: int, stop: int, text: bytes, json: bytes, slot: Slot) -> bool:
        """Add an element that varies, and so ends a link; tell whether others come behind it."""
        self.add(tag, cut, stop, text, json, slot)
        after = self.template.at(slot.place)
        run, text = self._buffer[self._run_at : cut], b"".join(self._texts[:-1])
        self.template.add(self._links, Link(run, text, self._parts, slot, after))
        self._begin(after, stop)
        return bool(after)

    def put(
        self, tag: int, cut: int, stop: int, text: bytes, json: bytes, slot: Slot | None
    ) -> bool:
        """Add an element; tell whether from here on others are known."""
        tells_place = b'"BulkDataURI":' in json
        if tells_place and slot is None:
            raise _Unfit
        if slot is not None and (tells_place or self.template.places.get(slot.place)):
            return self.end(tag, cut, stop, text, json, slot)
        self.add(tag, cut, stop, text, json, slot)
        return False


def learn_file(template: Template, trail: Trail, window: Window, limits: Limits) -> bool:
    """Add links from where a file stands to where it is known again; False if it cannot be."""
    if template.is_full or not START <= trail.position <= len(window.buffer):
        return False
    place = trail.passed[-1].slot.place if trail.passed else None
    chain = _Chain(template, trail.links, window.buffer, trail.position)
    try:
        if isinstance(place, Place) and place.uid:
            context = Context()
            for tag, (kind, raw) in place.noted:
                context.note(kind, tag, raw, place.encoding.order)
            return _learn_data_set(chain, place, context, trail.position, window, limits)
        return _learn_meta(chain, trail.position, window, limits)
    except (Damage, _Unfit):
        return False


def _learn_meta(chain: _Chain, position: int, window: Window, limits: Limits) -> bool:
    """Add the elements of group 0002 from `position` on, and what follows."""
    try:
        next(read_file_meta(Job(window, NO_BULK, limits)))
        return False
    except StopIteration as end:
        meta: FileMeta = end.value
    uid, at = meta.transfer_syntax, meta.data_set_at
    if not meta.has_preamble or meta.walk is None or uid in DEFLATED_UIDS:
        return False
    encoding, syntax = settle_encoding(window, at, meta, uid, None)
    noted = tuple(meta.walk.context.noted.items())
    stop, last_tag = START + 4, -1
    for step in meta.walk.trace or ():
        if not isinstance(step, Step) or not _is_usual(step, stop, last_tag):
            return False
        tag, stop = step.entry.tag, step.value_at + step.length
        last_tag, slot = tag, None
        if step.entry.kind in (PLAIN, GROUP_LENGTH):
            here = Place(step.content, "", noted if tag > 0x00020010 else (), tag, b"{")
            slot = _slot(SILENT, step, 0, here)
        is_new = step.at >= position or position == START
        if is_new and chain.put(tag, step.length_at, stop, b"", b"", slot):
            return True
    place = Place(encoding, syntax, (), -1, b"{")
    # in another syntax than the declared one, the first element tells by its length how it is read
    declared = encoding_of(uid) if uid else encoding
    is_settled = encoding.explicit and declared == encoding
    return encoding.order == "little" and _learn_data_set(
        chain, place, Context(), at, window, limits, is_settled=is_settled
    )


def _learn_data_set(
    chain: _Chain,
    place: Place,
    context: Context,
    at: int,
    window: Window,
    limits: Limits,
    *,
    is_settled: bool = True,
) -> bool:
    """Add the elements of a data set from `at` on."""
    encoding, uid, _, last_tag, comma = place
    walk = Walk(Job(window, NO_BULK, limits), at, encoding)
    walk.resume(context, last_tag)
    syntax = b'"%08X":{"vr":"UI","Value":[%b]}' % (_AVAILABLE_SYNTAX, json.dumps(uid).encode())
    is_told = last_tag >= _AVAILABLE_SYNTAX
    while len(context.noted) <= _MOST_NOTED:
        walk.trace = []
        walk.take()
        step = walk.trace[0] if walk.trace else None
        tag = step.entry.tag if isinstance(step, Step) else _LAST_TAG
        if not is_told and tag >= _AVAILABLE_SYNTAX:
            chain.add(_AVAILABLE_SYNTAX, at, at, comma, syntax, None)
            comma, is_told = b",", True
        if not isinstance(step, Step):
            if at == window.size == len(window.buffer):
                chain.end(_LAST_TAG, at, at, b"}", b"", _END)
                return True
            return False
        cut, stop = step.length_at, walk.position
        if not _is_usual(step, at, last_tag):
            return False
        entry, text, told, mode, varies = step.entry, comma, b"", VALUE, False
        if entry.kind == PIXELS_KIND and entry.vr != "SQ":
            chain.end(tag, cut, step.value_at, text, b"", _slot(PIXELS, step, 0, None))
            return True
        if entry.kind == PIXELS_KIND or stop == at or stop > len(window.buffer):
            return False
        if entry.kind == GROUP_LENGTH or tag == _AVAILABLE_SYNTAX:
            mode, text, varies = SILENT, b"", entry.vr == "UL"
        else:
            told, comma = walk.members[-1], b","
            if entry.kind == SEQUENCE_KIND:
                mode, varies = SEQUENCE, step.content == encoding
            elif entry.kind == PLAIN and told.startswith(entry.prefix):
                text, told, varies = text + entry.prefix, told[len(entry.prefix) :], True
        slot = None
        if varies and is_settled and tag not in _CLASSES:
            here = Place(encoding, uid, tuple(context.noted.items()), tag, comma)
            slot = _slot(mode, step, limits.most_inline_bytes(entry.vr), here)
        if chain.put(tag, cut, stop, text, told, slot):
            return True
        last_tag, at, is_settled = tag, stop, True
    return False


def _is_usual(step: Step, at: int, last_tag: int) -> bool:
    """Tell whether an element begins where the one before stopped, in order and with a VR."""
    return step.at == at and step.entry.tag > last_tag and not step.has_invalid_vr


def _slot(mode: int, step: Step, longest: int, place: Place | None) -> Slot:
    around = Around(step.entry.tag, step.encoding, step.charset, step.signed)
    return Slot(mode, step.entry, longest, around, place)


_NOTHING = make_entry(0, "UN", EXPLICIT_LITTLE)
_END = Slot(END, _NOTHING, 0, Around(0, EXPLICIT_LITTLE, DEFAULT_CHARSET, False))


def learn_series(template: Template, trail: Trail, buffer: bytes) -> None:
    """Begin the template of a series with a file that went along the template of a device.

    What varies between series stays within one, so it becomes part of the runs.
    """
    chain = _Chain(template, template.links, buffer, START)
    position = START
    for number, link in enumerate(trail.passed):
        (*parts, tail), slot = link.parts, link.slot
        cut = position + len(link.run)
        text_at = len(link.text) - tail.text
        chain.add_all(parts, link.text[:text_at], cut - tail.head)
        text = link.text[text_at:]
        if slot.mode in (PIXELS, END):
            chain.end(tail.tag, cut, cut, text, b"", slot)
            return
        length = slot.entry.unpack_length(buffer, cut)[0]
        if length == UNDEFINED:
            chain.end(tail.tag, cut, cut, text, b"", slot)
            return  # where the sequence ends is for `learn_file` to tell
        position = cut + slot.entry.length_bytes + length
        chain.put(tail.tag, cut, position, text, trail.pieces[2 * number + 1], slot)


def learn_item(
    template: Template, trail: Trail, around: Around, raw: bytes, told: bytes, limits: Limits
) -> None:
    """Add a link from where an item left the known ones; it was walked, and became `told`.

    Lengths stay, so that an item whose bytes fit keeps within itself and what is in it.
    """
    is_delimited = raw[4:8] == b"\xff\xff\xff\xff"
    stop = len(raw) - 8 if is_delimited else len(raw)
    window = Window(raw[:stop], 0, stop, limits)
    walk = Walk(Job(window, NO_BULK, limits), 8, around.encoding)
    walk.resume(around.context())
    trace = walk.trace_all()
    if trace is None:
        return
    chain = _Chain(template, trail.links, raw, trail.position)
    texts: list[bytes] = []
    text, last_tags, depth = b"{", [-1], 0
    for number, step in enumerate(trace):
        if not isinstance(step, Step):
            if step == ITEM_BEGINS:
                text += b",{" if text[-1:] == b"}" else b"{"
                last_tags.append(-1)
            elif step == ITEM_ENDS:
                text += b"}"
                last_tags.pop()
            elif trace[number - 1] == ITEM_ENDS:
                text += b"]}"
            continue
        entry = step.entry
        tag = entry.tag
        is_special = tag in PIXEL_TAGS or entry.kind == GROUP_LENGTH or step.has_invalid_vr
        if is_special or tag <= last_tags[-1] or step.content != around.encoding:
            return
        text += (b"" if last_tags[-1] < 0 else b",") + entry.prefix
        last_tags[-1] = tag
        if entry.vr == "SQ":
            depth = max(depth, step.depth + 1)
            text += b',"Value":[' if trace[number + 1] == ITEM_BEGINS else b"}"
            continue
        stop = step.value_at + step.length
        try:
            rest = entry.encode(raw[step.value_at : stop], step.charset)
        except UnfitValue:
            return
        slot = None
        if entry.kind == PLAIN:
            slot = _slot(SAME_LENGTH, step, step.length, None)
        if step.value_at >= trail.position:
            chain.add(tag, step.value_at, stop, text, rest, slot)
        texts += (text, rest)
        text = b""
    if b"".join((*texts, text, b"}")) == told:
        end = _END._replace(elements=walk.elements, depth=depth)
        chain.end(_LAST_TAG, len(raw), len(raw), text + b"}", b"", end)
