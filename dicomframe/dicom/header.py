"""One file's bytes to one header: the data set as DICOM JSON, and the place of Pixel Data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.deflate import Inflated
from dicomframe.dicom.elements import Context
from dicomframe.dicom.encodings import tell_syntax
from dicomframe.dicom.file_meta import FileMeta, file_meta_of, read_file_meta, settle_encoding
from dicomframe.dicom.fragments import walk_fragments
from dicomframe.dicom.layouts import Layout
from dicomframe.dicom.learned import FIRST_READ_BYTES, MOST_FIRST_READ_BYTES, Learned
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.members import find_member, replace_member
from dicomframe.dicom.observer import Observer
from dicomframe.dicom.scopes import Job
from dicomframe.dicom.template import Trail
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import NotAtHand, Reading, Request, Window, feed

__all__ = ["FIRST_READ_BYTES", "Header", "Learned", "Parser", "Reading"]


@dataclass(slots=True, eq=False, repr=False)
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
    warnings : sequence of str
        What is strange, if it was asked for.
    template : Trail or Layout or None
        How the file was known; None if it was walked.
    """

    metadata: bytes
    _find: Callable[[int], bytes | None]
    _meta: FileMeta | bytes  # or the first bytes of the file, which hold it
    pixel_offset: int | None = None
    pixel_length: int | None = None
    template: Trail | Layout | None = None
    inflated: Inflated | None = None
    warnings: Sequence[str] = ()

    def find(self, tag: int) -> bytes | None:
        """Return the member of `tag`, ``"GGGGEEEE":{...}``, None without one.

        Group 0002, which is no part of the data set, is found too.
        """
        if tag >> 16 != 2:
            return self._find(tag)
        if isinstance(self._meta, bytes):
            self._meta = file_meta_of(self._meta)
        return self._meta.find(tag)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parser:
    """Read the headers of files, one after the other; it knows no storage.

    Pixel Data is not read: that it is there is judged by its declared length, or by the items of
    its fragments.

    Attributes
    ----------
    observe : type of Observer
        Who is told what is met in a file: `dicomframe.inspection.Inspection` finds what is strange.
    limits : Limits
        How far to go.
    learned : Learned or None
        What files before have taught, and what others add to; it changes no result.

    Examples
    --------
    >>> from dicomframe.testing.samples import make_ct
    >>> data = make_ct()
    >>> reading = Parser().read(len(data), "file:///ct.dcm")
    >>> start, stop = next(reading)
    >>> try:
    ...     reading.send(data[start:stop])
    ... except StopIteration as end:
    ...     header = end.value
    >>> header.metadata[:44]
    b'{"00080005":{"vr":"CS","Value":["ISO_IR 100"'
    """

    observe: type[Observer] = Observer
    limits: Limits = DEFAULT_LIMITS
    learned: Learned | None = None

    def read(self, size: int, origin: str) -> Reading[Header]:
        """Read the header of a file of `size` bytes, whose BulkDataURIs are to name `origin`.

        A generator: it yields the ranges it wants, ``(start, stop)``, and is sent exactly their
        bytes; it returns the header.

        Raises
        ------
        Damage
            The file is no sound DICOM file.
        """
        return (yield from self._begin_with(b"", self.first_range(size)[1], size, origin))

    def first_range(self, size: int) -> Request:
        """Return what to read of a file at first.

        Raises
        ------
        Damage
            ``empty``: there is nothing to read.
        """
        if size == 0:
            raise Damage("empty", "the file has 0 bytes", 0)
        first_bytes = FIRST_READ_BYTES
        if self.learned is not None and self.limits.header_bytes > MOST_FIRST_READ_BYTES:
            first_bytes = self.learned.first_read_bytes
        return 0, min(size, first_bytes)

    def begin(self, head: bytes, size: int, origin: str) -> Header | Reading[Header]:
        """Return the header if `head`, the bytes of the first range, and templates tell it.

        Else what reads on, as `read` does.
        """
        bulk, trail, learned, limits = BulkWriter(origin), None, self.learned, self.limits
        if learned is not None and not self.observe.is_on:
            if told := learned.match_at_once(head, size, bulk, limits):
                layout, pieces = told
                if layout.stop != size:
                    trail = layout.lead(pieces, bulk)
                    return self._read_on(Window(head, 0, size, limits), bulk, trail)
                (place, length), find = layout.pixels or (None, None), partial(layout.find, pieces)
                return self._note(Header(b"".join(pieces), find, head, place, length, layout), size)
            try:
                trail = learned.match(head, size, bulk, limits)
            except NotAtHand as wanted:
                return self._begin_with(head, wanted.stop, size, origin)
            if trail is not None and (header := _end(trail, head, size)):
                return self._note(header, size)
        return self._read_on(Window(head, 0, size, limits), bulk, trail)

    def _begin_with(self, head: bytes, stop: int, size: int, origin: str) -> Reading[Header]:
        """Begin with the bytes up to `stop`, of which those in `head` are at hand."""
        begun = self.begin(head + (yield len(head), stop), size, origin)
        return begun if isinstance(begun, Header) else (yield from begun)

    def _note(self, header: Header, size: int) -> Header:
        """Let the next file be read as far as this one had to be."""
        if self.learned is not None and header.inflated is None:
            self.learned.note_read(header.pixel_offset or size)
        return header

    def _read_on(self, window: Window, bulk: BulkWriter, trail: Trail | None) -> Reading[Header]:
        """Walk a file, or the fragments alone if templates tell all up to them."""
        limits, size = self.limits, window.size
        if trail is not None and trail.has_fragments(window.buffer):
            slot, start = trail.passed[-1].slot, trail.position + 4
            chain = yield from walk_fragments(window, start, size, slot.entry.tag)
            entry = slot.entry.of_fragments(slot.around.encoding)
            trail.end_with(entry, start, chain.stop - start, chain.stop + 8)
            if header := _end(trail, window.buffer, size):
                return self._note(header, size)
        observer = self.observe()
        meta = yield from read_file_meta(Job(window, bulk, observer))
        observer.begin_data_set()
        start = meta.walk.position
        inflated: Inflated | None = None
        if meta.is_deflated:
            deflated = window.buffer[start:] if len(window.buffer) == size else (yield start, size)
            inflated = Inflated(deflated, start, limits)
            bulk.inflated = True
            if inflated.trailing_bytes > 1:
                observer.add("trailing_bytes", inflated.trailing_bytes, "d")
            first = inflated.read(0, min(FIRST_READ_BYTES, inflated.size))
            window, start = Window(first, 0, inflated.size, limits), 0
        encoding, uid = settle_encoding(window, start, meta, observer)
        begin = Walk if self.learned is None else self.learned.walk
        walk = begin(Job(window, bulk, observer), start, Context(encoding))
        if inflated is None:
            yield from walk.run()
        else:
            feed(walk.run(), inflated.read)
        members = walk.root.members
        _, place, length = walk.pixels or (0, None, None)
        if observer.is_on:
            observer.see_pixels(members, length, encapsulated=walk.chain is not None)
            if walk.chain is not None and walk.chain.offset_table[0] < walk.chain.offset_table[1]:
                table = yield walk.chain.offset_table
                observer.see_offset_table(table, walk.chain.starts)
        replace_member(members, tell_syntax(uid))
        metadata = b"{%b}" % b",".join(members)
        find, told = partial(find_member, members), observer.warnings
        return self._note(Header(metadata, find, meta, place, length, None, inflated, told), size)


def _end(trail: Trail, head: bytes, size: int) -> Header | None:
    """Return the header of a file that went along a template.

    None if more of it follows, or if there are fragments whose chain is yet to be walked.
    """
    if trail.stop != size:
        return None
    place, length = trail.pixels or (None, None)
    return Header(b"".join(trail.pieces), trail.find, head, place, length, trail)
