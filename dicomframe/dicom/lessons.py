"""What a template can learn: the elements of a data set that was read, and how each may vary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from dicomframe.dicom.elements import PIXEL_TAGS, Around, Context, Kind, make_entry
from dicomframe.dicom.encodings import AVAILABLE_SYNTAX, EXPLICIT_LITTLE, encoding_of, tell_syntax
from dicomframe.dicom.file_meta import FileMeta, file_meta_of, settle_encoding
from dicomframe.dicom.fragments import UNDEFINED
from dicomframe.dicom.limits import UNBOUNDED, Limits
from dicomframe.dicom.links import Lesson, Mode, Part, Place, Slot, tell
from dicomframe.dicom.scopes import Job, Step
from dicomframe.dicom.template import Trail
from dicomframe.dicom.values import PLAIN_ENDS, encode_number_text
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import NotAtHand, Window

START = 128
"""Where a file with a preamble begins to say something."""

_TRANSFER_SYNTAX = 0x00020010
_LAST_META_TAG = 0x0002FFFF
_CLASS = 0x00080016
"""What kind of object a file holds: a template may know many, each by links of its own."""
_LAST_TAG = 1 << 32
_MOST_NOTED = 256


def take_lessons(trail: Trail, window: Window, begin: Callable[..., Walk]) -> Iterator[Lesson]:
    """Yield the elements of a file from where it left a template, up to Pixel Data.

    They are walked as they are asked for; fewer come if it is not for templates.

    Raises
    ------
    Damage
        What the walk raises.
    NotAtHand
        They go on behind what is at hand.
    """
    place = trail.passed[trail.outline()[-2]].slot.place if trail.passed else None
    at, is_settled = trail.position, True
    if place is None or place.tag >> 16 == 2:
        meta = file_meta_of(window.buffer)
        if not meta.has_preamble or meta.is_deflated:
            return
        yield from _take_meta_lessons(meta)
        declared, at = meta.transfer_syntax, meta.walk.position
        encoding, uid = settle_encoding(window, at, meta)
        if encoding.order != "little":
            return
        # in a syntax that is not declared, the first element tells by its length how it is read
        is_settled = encoding.explicit and (not declared or encoding_of(declared) == encoding)
        place = Place(encoding, uid, (), _LAST_META_TAG, b"{")  # in order, all elements together
    encoding, uid, noted, last_tag, comma = place
    context = Context(encoding)
    walk = begin(Job(window), at, context)
    walk.root.last_tag = last_tag
    for tag, (kind, raw) in noted:
        context.note(kind, tag, raw, encoding.order)
    head_bytes, members = len(window.buffer), walk.root.members
    while (step := walk.take()) is not None:
        if not _is_usual(step, at, last_tag):
            return
        stop = walk.position if step.length == UNDEFINED else step.value_at + step.length
        entry, cut, told = step.entry, step.cut, b"".join(members)
        tag, kind = entry.tag, entry.kind
        members.clear()
        if last_tag < AVAILABLE_SYNTAX <= tag:
            yield _lesson(AVAILABLE_SYNTAX, at, at, at, comma, tell_syntax(uid), None)
            comma = b","
        if kind == Kind.PIXELS:
            if entry.vr != "SQ":
                yield _lesson(tag, at, cut, step.value_at, comma, b"", _slot(Mode.PIXELS, step))
            return
        if stop > head_bytes:
            raise NotAtHand(stop)
        if not (told or kind == Kind.GROUP_LENGTH) or len(noted) > _MOST_NOTED:
            return
        text, mode, slot = comma, Mode.VALUE, None
        varies, comma = is_settled and tag != _CLASS, b","
        if kind == Kind.GROUP_LENGTH or tag == AVAILABLE_SYNTAX:
            text, told, mode, comma = b"", b"", Mode.SILENT, text
            varies = varies and entry.vr == "UL"
        elif kind == Kind.SEQUENCE:
            mode, varies = Mode.SEQUENCE, varies and entry.encoding is encoding
        elif kind != Kind.PLAIN or not told.startswith(entry.prefix):
            varies, noted = False, tuple(context.noted.items())
        text, told = text + told[: len(entry.prefix)], told[len(entry.prefix) :]
        if varies:
            here = Place(encoding, uid, noted, tag, comma)
            longest = window.limits.most_inline_bytes(entry.vr)
            # what is left out has no limit
            slot = _slot(mode, step, here, UNBOUNDED if mode == Mode.SILENT else longest)
            if kind == Kind.SEQUENCE and step.length == UNDEFINED:  # else it may be no sequence
                slot, cut = slot._replace(length_bytes=0, longest=UNDEFINED), step.value_at
        yield _lesson(tag, at, cut, stop, text, told, slot)
        last_tag, at, is_settled = tag, stop, True
    if at == window.size == head_bytes:
        if last_tag < AVAILABLE_SYNTAX:
            yield _lesson(AVAILABLE_SYNTAX, at, at, at, comma, tell_syntax(uid), None)
        yield _lesson(_LAST_TAG, at, at, at, b"}", b"", _END)


def _take_meta_lessons(meta: FileMeta) -> Iterator[Lesson]:
    """Yield the elements of group 0002."""
    at, start, last_tag, uid = START + 4, START, -1, ""
    for step in meta.walk.trace or ():
        if not _is_usual(step, at, last_tag):
            return
        slot, last_tag, at = None, step.entry.tag, step.value_at + step.length
        uid = meta.transfer_syntax if last_tag == _TRANSFER_SYNTAX else uid
        if step.entry.kind in (Kind.PLAIN, Kind.GROUP_LENGTH):
            slot = _slot(Mode.SILENT, step, Place(step.entry.encoding, uid, (), last_tag, b"{"))
        yield _lesson(last_tag, start, step.cut, at, b"", b"", slot)
        start = at


def _is_usual(step: Step, at: int, last_tag: int) -> bool:
    """Tell whether an element begins where the one before stopped, in order and with a VR."""
    return step.at == at and step.entry.tag > last_tag and not step.has_invalid_vr


def _lesson(
    tag: int, start: int, cut: int, stop: int, text: bytes, json: bytes, slot: Slot | None
) -> Lesson:
    """Return one element that may vary from `cut` on."""
    return start, stop, [Part(tag, cut - start, stop - cut, text, json, slot)]


def _slot(mode: int, step: Step, place: Place | None = None, longest: int = UNBOUNDED) -> Slot:
    """Return how an element varies; also its length, unless that is its `longest`."""
    entry = step.entry
    if mode == Mode.VALUE and entry.encode in PLAIN_ENDS:
        mode = Mode.NUMBERS if entry.encode is encode_number_text else Mode.TEXT
    length_bytes = step.value_at - step.cut if place or mode == Mode.PIXELS else 0
    return Slot(mode, entry, length_bytes, longest, step.around, place)


_NOTHING = make_entry(0, "UN", EXPLICIT_LITTLE)
_END = Slot(Mode.END, _NOTHING, 0, 0, Context(EXPLICIT_LITTLE).around(EXPLICIT_LITTLE))


def repeat_lessons(trail: Trail, buffer: bytes) -> Iterator[Lesson]:
    """Yield the elements of a file that went along the template of others, link by link.

    What varied among those becomes part of the runs of another template, where it may not.
    """
    start, stops = START, iter(trail.sequences)
    for number, behind in pairwise(trail.outline()):
        link = trail.passed[number]
        (*parts, tail), slot = link.parts, link.slot
        cut = stop = start + len(link.run)
        if slot.mode == Mode.SEQUENCE:
            _, _, stop = next(stops)
        elif slot.mode < Mode.PIXELS:
            stop = cut + slot.length_bytes + slot.entry.unpack_length(buffer, cut)[0]
        json = tell(trail.passed, trail.pieces, number, behind)
        yield start, stop, [*parts, tail._replace(field=stop - cut, json=json)]
        start = stop


def take_item_lessons(around: Around, raw: bytes, told: bytes, limits: Limits) -> Iterator[Lesson]:
    """Yield the elements of an item and of all in it; it was walked, and became `told`.

    Lengths stay, so that an item whose bytes fit keeps within itself and what is in it. Nothing
    comes if it is not for templates: each element must be found in `told` as it is encoded here,
    one behind the other, and so all of them are, or none is left for the last.
    """
    end = len(raw) - 8 if raw[4:8] == b"\xff\xff\xff\xff" else len(raw)  # without its delimiter
    walk = Walk(Job(Window(raw[:end], 0, end, limits)), 8, around.context())
    lessons: list[Lesson] = []
    start = said = depth = 0
    trace = walk.trace_all()
    if trace is None:
        return
    for step in trace:
        entry, stop = step.entry, step.value_at + step.length
        is_usual = entry.encoding is around.encoding and not step.has_invalid_vr
        if not is_usual or entry.tag in PIXEL_TAGS or entry.kind == Kind.GROUP_LENGTH:
            return
        if entry.vr == "SQ":
            depth = max(depth, step.depth + 1)
            continue
        try:
            rest = entry.encode(raw[step.value_at : stop], step.around.charset)
            cut = told.index(entry.prefix + rest, said) + len(entry.prefix)
        except ValueError:
            return
        slot = _slot(Mode.VALUE, step, None, step.length) if entry.kind == Kind.PLAIN else None
        lessons.append(_lesson(entry.tag, start, step.value_at, stop, told[said:cut], rest, slot))
        start, said = stop, cut + len(rest)
    ending, stop = _END._replace(elements=walk.elements, depth=depth), len(raw)
    lessons.append(_lesson(_LAST_TAG, start, stop, stop, told[said:], b"", ending))
    yield from lessons
