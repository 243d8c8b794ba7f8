"""One file's bytes to one header: the data set as DICOM JSON, and the place of Pixel Data."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from functools import partial

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.deflate import Inflated
from dicomframe.dicom.encodings import DEFLATED_UIDS, Encoding
from dicomframe.dicom.file_meta import FileMeta, read_file_meta, settle_encoding
from dicomframe.dicom.fragments import walk_fragments
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.items import Items, ItemWalk
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.members import find_member, replace_member
from dicomframe.dicom.memo import Memo, MemoWalk
from dicomframe.dicom.series import Series
from dicomframe.dicom.template import Template
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Request, Window

FIRST_READ_BYTES = 16 << 10
_SHORTEST_PIXELS = 4
"""So many bytes behind the 8 of an implicit header let the walk read it."""
_MOST_FIRST_READ_BYTES = 256 << 10


class Header:
    """Hold what the bytes of one sound file say.

    Attributes
    ----------
    metadata : bytes
        The DICOM JSON object (PS3.18 Annex F) in UTF-8.
    pixel_offset, pixel_length : int or None
        Where the value of Pixel Data lies in the file, bytes; None without one.
    inflated : Inflated or None
        The data set of a deflated file; `pixel_offset` then counts within it.
    warnings : list of str
        What is strange, if it was asked for.
    template : Template or None
        The template that the file fitted; None if it was walked.
    """

    __slots__ = (
        "_find", "_meta", "inflated", "metadata", "pixel_length", "pixel_offset", "template",
        "warnings",
    )  # fmt: skip

    def __init__(
        self,
        metadata: bytes,
        find: Callable[[int], bytes | None],
        meta: FileMeta | bytes,
        pixels: tuple[int, int] | None,
        template: Template | None = None,
    ) -> None:
        self.metadata = metadata
        self.pixel_offset: int | None = None
        self.pixel_length: int | None = None
        if pixels is not None:
            self.pixel_offset, self.pixel_length = pixels[0], pixels[1] - pixels[0]
        self.inflated: Inflated | None = None
        self.warnings: list[str] = []
        self.template = template
        self._find = find
        self._meta = meta  # or the first bytes of the file, which hold it

    def find(self, tag: int) -> bytes | None:
        """Return the member of `tag`, ``"GGGGEEEE":{...}``, None without one.

        Group 0002, which is no part of the data set, is found too.
        """
        if tag >> 16 != 2:
            return self._find(tag)
        if isinstance(self._meta, bytes):
            head = self._meta
            try:
                next(read_file_meta(Window(head, 0, len(head), DEFAULT_LIMITS)))
            except StopIteration as end:
                self._meta = end.value
        return None if isinstance(self._meta, bytes) else self._meta.find(tag)


class Learned:
    """What was learned from the files before; for one thread, in any order of files.

    It changes how fast headers are read and nothing else.

    Parameters
    ----------
    templates : bool
        Whether templates of series are used, or the memo alone.
    """

    __slots__ = ("first_read_bytes", "items", "memo", "series")

    def __init__(self, *, templates: bool = True) -> None:
        self.memo = Memo()
        self.items = Items(self.memo)
        self.series = Series() if templates else None
        self.first_read_bytes = FIRST_READ_BYTES

    def walk(
        self,
        window: Window,
        position: int,
        encoding: Encoding,
        bulk: BulkWriter,
        limits: Limits,
        inspection: Inspection | None,
    ) -> Walk:
        """Return a walk that uses what was learned."""
        if self.series is None:
            return MemoWalk(self.memo, window, position, encoding, bulk, limits, inspection)
        return ItemWalk(self.items, window, position, encoding, bulk, limits, inspection)

    def begin(self) -> None:
        """Forget how far headers reach: other files begin."""
        self.first_read_bytes = FIRST_READ_BYTES

    def note_read(self, stop: int) -> None:
        """Let the next first read reach as far as this header did, and a little further.

        It grows at once and shrinks slowly, so that a mixture of series is read well too.
        """
        wanted = min(stop + 1024 + 4095 & -4096, _MOST_FIRST_READ_BYTES)  # whole pages
        kept = self.first_read_bytes
        self.first_read_bytes = wanted if wanted >= kept else kept - (kept - wanted) // 8


def read_header(
    size: int,
    origin: str,
    *,
    warnings: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    learned: Learned | None = None,
) -> Generator[Request, bytes, Header]:
    """Read the header of a file of `size` bytes.

    A generator that knows no storage: it yields the ranges it wants, ``(start, stop)``, and is
    sent exactly their bytes; it returns the header. Pixel Data is not read: that it is there is
    judged by its declared length, or by the items of its fragments.

    Parameters
    ----------
    size : int
        Bytes of the file.
    origin : str
        The URL that a BulkDataURI is to name.
    warnings : bool
        Whether to tell what is strange in a sound file.
    limits : Limits
        How far to go.
    learned : Learned, optional
        What files before have taught, and what this one adds to; it changes no result.

    Raises
    ------
    Damage
        The file is no sound DICOM file.

    Examples
    --------
    >>> from dicomframe.testing.samples import make_ct
    >>> data = make_ct()
    >>> reading = read_header(len(data), "file:///ct.dcm")
    >>> start, stop = next(reading)
    >>> try:
    ...     reading.send(data[start:stop])
    ... except StopIteration as end:
    ...     header = end.value
    >>> header.metadata[:44]
    b'{"00080005":{"vr":"CS","Value":["ISO_IR 100"'
    """
    if size == 0:
        raise Damage("empty", "the file has 0 bytes", 0)
    first_bytes = FIRST_READ_BYTES
    if learned is not None and limits.header_bytes > _MOST_FIRST_READ_BYTES:
        first_bytes = learned.first_read_bytes
    head = yield (0, min(size, first_bytes))
    window = Window(head, 0, size, limits)
    hint = b""
    if learned is not None and learned.series is not None and not warnings:
        hint, templates = learned.series.find(head)
        if len(head) // 8 >= limits.elements:
            templates = ()  # which do not count
        bulk = BulkWriter(origin, inflated=False)
        for template in templates:
            match = template.match(window, bulk, limits, learned.items)
            if match is None:
                continue
            if match.fragments_at is not None:
                start = match.fragments_at
                chain = yield from walk_fragments(
                    window, start, size, match.pixel_tag, limits.elements
                )
                if chain.following != size:
                    continue
                template.end(match, bulk, start, chain.stop)
            learned.note_read(size if match.pixels is None else match.pixels[0])
            return Header(b"".join(match.texts), match.find, head, match.pixels, template)
    meta = yield from read_file_meta(window)
    inspection = Inspection() if warnings else None
    start = meta.data_set_at
    inflated: Inflated | None = None
    if meta.transfer_syntax in DEFLATED_UIDS:
        deflated = window.peek(start, size - start)
        if deflated is None:
            deflated = yield (start, size)
        inflated = Inflated(deflated, start, limits)
        if inspection is not None and inflated.trailing_bytes > 1:
            inspection.add_number("trailing_bytes", inflated.trailing_bytes)
        first = inflated.read(0, min(FIRST_READ_BYTES, inflated.size))
        window, start = Window(first, 0, inflated.size, limits), 0
    encoding, uid = settle_encoding(window, start, meta, meta.transfer_syntax, inspection)
    bulk = BulkWriter(origin, inflated=inflated is not None)
    if learned is None:
        walk = Walk(window, start, encoding, bulk, limits, inspection)
    else:
        walk = learned.walk(window, start, encoding, bulk, limits, inspection)
    if inflated is None:
        yield from walk.run()
    else:
        _run_inflated(walk, inflated)
    members = walk.members
    if inspection is not None:
        inspection.see_pixels(members, walk.pixels, encapsulated=walk.chain is not None)
        if walk.chain is not None and walk.chain.offset_table[0] < walk.chain.offset_table[1]:
            table = yield walk.chain.offset_table
            inspection.see_offset_table(table, walk.chain.starts)
    replace_member(members, b'"00083002":{"vr":"UI","Value":[%b]}' % json.dumps(uid).encode())
    metadata = b"{%b}" % b",".join(members)
    header = Header(metadata, partial(find_member, members), meta, walk.pixels)
    header.inflated = inflated
    if inspection is not None:
        header.warnings = inspection.warnings
    if learned is not None and inflated is None:
        stop = size if walk.pixels is None else walk.pixels[0]
        learned.note_read(stop)
        reach = min(stop + _SHORTEST_PIXELS, size)
        if learned.series is not None and hint and reach <= len(head):
            with contextlib.suppress(Damage):  # of the lesson: the file itself is sound
                learned.series.learn(hint, head[:reach], size, limits, learned.items)
    return header


def _run_inflated(walk: Walk, inflated: Inflated) -> None:
    """Give a walk the bytes of an inflated data set."""
    running = walk.run()
    try:
        start, stop = next(running)
        while True:
            start, stop = running.send(inflated.read(start, stop))
    except StopIteration:
        return
