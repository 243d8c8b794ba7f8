"""Series templates: what the files of one series share is compared, and only the rest is walked.

From two files of a series a template learns runs of bytes that stay and elements that vary. A next
file is compared run by run; where a run stands its JSON is ready, and only the values between the
runs are encoded. The Series Instance UID is a hint which template to try, never a promise: every
byte that decides anything is in a run. What later elements depend on (character set, private
creators, Pixel Representation, the transfer syntax) may not vary.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.elements import (
    GROUP_LENGTH,
    PIXELS,
    PLAIN,
    SEQUENCE,
    Entry,
    make_entry,
)
from dicomframe.dicom.encodings import DEFLATED_UIDS, EXPLICIT_LITTLE, Encoding, encoding_of
from dicomframe.dicom.file_meta import FileMeta, read_file_meta, settle_encoding
from dicomframe.dicom.fragments import UNDEFINED
from dicomframe.dicom.items import Items, ItemWalk
from dicomframe.dicom.limits import Limits
from dicomframe.dicom.scopes import Step
from dicomframe.dicom.text import DEFAULT_CHARSET, Charset
from dicomframe.dicom.values import Encoder, UnfitValue
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Window

_VALUE, _SILENT, _BULK, _SEQUENCE, _PIXELS = range(5)
"""How an element that varies is taken: encoded, passed over, left in the file, walked, the end."""

_UNPACK_LENGTH: dict[int, Any] = {
    2: struct.Struct("<H").unpack_from,
    4: struct.Struct("<L").unpack_from,
}
_START = 128
_SERIES = b"\x20\0\x0e\0"
_TRANSFER_SYNTAX = 0x00020010
_AVAILABLE_SYNTAX = 0x00083002
_MOST_TEMPLATES = 4


class _Part(NamedTuple):
    """One element of a file that was taken apart."""

    head: bytes
    length_bytes: int
    length: int
    raw: bytes
    mode: int
    entry: Entry
    encoding: Encoding
    charset: Charset
    signed: bool
    member: bytes
    can_vary: bool
    varies: bool


class _Segment(NamedTuple):
    """A run that stays, its JSON, and how the element behind it is taken."""

    run: bytes
    run_bytes: int
    text: bytes
    length_bytes: int
    unpack_length: Callable[[bytes, int], tuple[int]]
    mode: int
    encode: Encoder
    charset: Charset
    longest_bytes: int
    part: _Part


@dataclass(slots=True)
class Match:
    """Hold what a template makes of a file.

    Attributes
    ----------
    texts : list of bytes
        Pieces of the JSON object, to be joined.
    pixels : tuple of int or None
        Where the value of Pixel Data starts and stops.
    fragments_at : int or None
        Where encapsulated Pixel Data starts; `Template.end` must be told where its chain ends.
    """

    template: Template
    texts: list[bytes]
    pixel_tag: int = 0
    pixels: tuple[int, int] | None = None
    fragments_at: int | None = None

    def find(self, tag: int) -> bytes | None:
        """Return the member of `tag`, None if there is none."""
        member, number = self.template.places.get(tag, (None, None))
        return member if number is None or member is None else member + self.texts[number]


class Template:
    """What the files of one series share.

    Attributes
    ----------
    places : dict
        By tag the member, or its beginning and the number of the piece that goes on with it.
    bytes : int
        What it keeps, about.
    """

    def __init__(self, parts: list[_Part], uid: str, limits: Limits) -> None:
        self.places: dict[int, tuple[bytes, int | None]] = {}
        self.bytes = sum(3 * len(part.raw) + 3 * len(part.member) + 400 for part in parts)
        self._parts = parts
        self._uid = uid
        self._limits = limits
        self._segments: list[_Segment] = []
        self._last_run, self._last_text = self._compile()

    def loosen(self, head: bytes, size: int, items: Items) -> Template | None:
        """Return a template that also fits a file which the walk found sound, or None."""
        merged = []
        position = _START
        for part in self._parts:
            if not head.startswith(part.head, position):
                return None
            begin = position + len(part.head)
            start = begin + part.length_bytes
            length = int.from_bytes(head[begin:start], "little")
            is_same = length == part.length and head.startswith(part.raw, start)
            if is_same and (part.raw or not length):
                position = start + len(part.raw)
                merged.append(part)
                continue
            if not part.can_vary:
                return None
            if part.mode == _SEQUENCE and length == UNDEFINED:
                window = Window(head, 0, size, self._limits)
                bulk = BulkWriter("", inflated=False)
                walk = ItemWalk(items, window, position, part.encoding, bulk, self._limits)
                stop = walk.take_sequence(part.charset, signed=part.signed)
                if stop is None:
                    return None
                position = stop
            else:
                position = start + length
            merged.append(part._replace(varies=True))
        return Template(merged, self._uid, self._limits)

    def _compile(self) -> tuple[bytes, bytes]:
        """Let what stays grow into runs; return the last run and its JSON."""
        syntax = b'"00083002":{"vr":"UI","Value":[%b]}' % json.dumps(self._uid).encode()
        self.places[_AVAILABLE_SYNTAX] = (syntax, None)
        run, text, told = b"", b"", False
        for part in self._parts:
            tag, mode = part.entry.tag, part.mode
            if tag >= _AVAILABLE_SYNTAX and not told:
                text, told = text + b"," + syntax, True
            if tag == _AVAILABLE_SYNTAX:
                mode = _SILENT
            run += part.head
            if not part.varies:
                run += part.length.to_bytes(part.length_bytes, "little") + part.raw
                if mode != _SILENT:
                    self.places[tag] = (part.member, None)
                    text += b"," + part.member
                continue
            if mode != _SILENT:
                prefix = part.entry.prefix if mode == _VALUE else b""
                self.places[tag] = (prefix, 2 * len(self._segments) + 1)
                text += b"," + prefix
            entry, length_bytes = part.entry, part.length_bytes
            self._segments.append(
                _Segment(
                    run,
                    len(run),
                    text,
                    length_bytes,
                    _UNPACK_LENGTH[length_bytes],
                    mode,
                    entry.encode,
                    part.charset,
                    self._limits.most_inline_bytes(entry.vr),
                    part,
                )
            )
            run, text = b"", b""
        if not told:
            text += b"," + syntax
        for number, segment in enumerate(self._segments):
            if segment.text:  # the first comma opens the object
                self._segments[number] = segment._replace(text=b"{" + segment.text[1:])
                return run, text + b"}"
        return run, b"{" + text[1:] + b"}"

    def match(self, window: Window, bulk: BulkWriter, limits: Limits, items: Items) -> Match | None:
        """Compare a file; None where it differs or more is needed than is at hand."""
        if limits is not self._limits and limits != self._limits:
            return None
        buffer = window.buffer
        position = _START
        texts: list[bytes] = []
        append = texts.append
        try:
            for (
                run, run_bytes, text, length_bytes, unpack_length, mode, encode, charset,
                longest_bytes, part,
            ) in self._segments:  # fmt: skip
                if not buffer.startswith(run, position):
                    return None
                begin = position + run_bytes
                start = begin + length_bytes
                (length,) = unpack_length(buffer, begin)
                position = start + length
                append(text)
                if mode == _VALUE:
                    if length > longest_bytes:
                        return None
                    append(encode(buffer[start:position], charset))
                elif mode == _SILENT:
                    append(b"")
                elif mode == _SEQUENCE:
                    at = begin - len(part.head)
                    walk = ItemWalk(items, window, at, part.encoding, bulk, limits)
                    end = walk.take_sequence(charset, signed=part.signed)
                    if end is None:
                        return None
                    append(walk.members[0])
                    position = end
                elif mode == _BULK:
                    if length == UNDEFINED or length <= longest_bytes:
                        return None
                    append(bulk.member(part.entry.prefix, start, length, None))
                elif start > len(buffer):
                    return None
                elif length == UNDEFINED:
                    if part.entry.vr not in ("OB", "OW"):
                        return None
                    return Match(self, texts, part.entry.tag, fragments_at=start)
                elif position == window.size:
                    return self.end(Match(self, texts, part.entry.tag), bulk, start, position)
                else:
                    return None
        except (UnfitValue, struct.error):
            return None
        if not buffer.startswith(self._last_run, position):
            return None
        if position + len(self._last_run) != window.size or window.size != len(buffer):
            return None
        texts.append(self._last_text)
        return Match(self, texts)

    def end(self, match: Match, bulk: BulkWriter, start: int, stop: int) -> Match:
        """Add Pixel Data, the last element, to a match."""
        part = self._segments[-1].part
        entry = part.entry
        if match.fragments_at is not None and not part.encoding.explicit:
            entry = make_entry(entry.tag, "OB", part.encoding)  # PS3.5 section A.4
        prefix = entry.prefix
        match.texts += (bulk.member(prefix, start, stop - start, None), self._last_text)
        match.pixels = (start, stop)
        return match


_GROUP_0002 = make_entry(0, "UN", EXPLICIT_LITTLE)


def take_apart(head: bytes, size: int, limits: Limits) -> Template | None:
    """Return a template that fits just one file; None if the file is not for templates.

    `head` holds the file's first bytes, up to Pixel Data or to the end.
    """
    window = Window(head, 0, size, limits)
    try:
        next(read_file_meta(window))
        return None
    except StopIteration as end:
        meta: FileMeta = end.value
    is_usual = meta.has_preamble and meta.values and not meta.invalid_vrs
    if not is_usual or meta.transfer_syntax in DEFLATED_UIDS:
        return None
    encoding, uid = settle_encoding(window, meta.data_set_at, meta, meta.transfer_syntax, None)
    if encoding.order == "big":
        return None
    declared = encoding_of(meta.transfer_syntax) if meta.transfer_syntax else encoding
    is_settled = encoding.explicit and declared == encoding
    walk = Walk(window, meta.data_set_at, encoding, BulkWriter("", inflated=False), limits)
    walk.trace = []
    for _ in walk.run():
        break  # at Pixel Data, which is not at hand
    common = (EXPLICIT_LITTLE, DEFAULT_CHARSET, False, b"")
    parts = [_Part(b"DICM", 0, 0, b"", _SILENT, _GROUP_0002, *common, False, False)]
    stops = [place[1] for place in meta.places[1:]] + [meta.data_set_at]
    for (tag, at, value_at), stop in zip(meta.places, stops, strict=True):
        cut = value_at - (4 if value_at - at == 12 else 2)
        raw = head[value_at:stop]
        if int.from_bytes(head[cut:value_at], "little") != len(raw):
            return None  # an implicit VR in group 0002
        can_vary = tag != _TRANSFER_SYNTAX
        parts.append(
            _Part(
                head[at:cut],
                value_at - cut,
                len(raw),
                raw,
                _SILENT,
                _GROUP_0002,
                *common,
                can_vary,
                False,
            )
        )
    members = iter(walk.members)
    steps = [step for step in walk.trace if isinstance(step, Step) and step.depth == 0]
    ends = [step.at for step in steps[1:]] + [size]
    last_tag = -1
    for step, stop in zip(steps, ends, strict=True):
        part = _to_part(head, step, stop, encoding, members)
        is_last = stop == size
        if part is not None and last_tag < 0 and not is_settled:
            part = part._replace(can_vary=False)  # its length tells how the data set is written
        if part is None or step.entry.tag <= last_tag or (part.mode == _PIXELS) > is_last:
            return None
        if part.mode != _PIXELS and stop > len(head):
            return None
        last_tag = step.entry.tag
        parts.append(part)
    return Template(parts, uid, limits)


def _to_part(
    head: bytes, step: Step, stop: int, encoding: Encoding, members: Iterator[bytes]
) -> _Part | None:
    entry, length = step.entry, step.length
    cut = step.value_at - (2 if encoding.explicit and step.value_at - step.at == 8 else 4)
    if step.has_invalid_vr or int.from_bytes(head[cut : step.value_at], "little") != length:
        return None
    raw = head[step.value_at : stop]
    can_vary = entry.kind == PLAIN
    varies = False
    mode, member = _VALUE, b""
    if entry.kind == GROUP_LENGTH:
        mode, can_vary = _SILENT, entry.vr == "UL"
    elif entry.kind == PIXELS and entry.vr == "SQ":
        return None
    elif entry.kind == PIXELS:
        mode, raw, varies, can_vary = _PIXELS, b"", True, True
    else:
        member = next(members, b"")
        if entry.kind == SEQUENCE:
            mode, can_vary = _SEQUENCE, step.content == encoding
            varies = b'"BulkDataURI":' in member
        elif member.startswith(entry.prefix + b',"BulkDataURI":'):
            mode, raw, varies = _BULK, b"", True
        if varies and not can_vary:
            return None
    return _Part(
        head[step.at : cut],
        step.value_at - cut,
        length,
        raw,
        mode,
        entry,
        encoding,
        step.charset,
        step.signed,
        member,
        can_vary,
        varies,
    )
