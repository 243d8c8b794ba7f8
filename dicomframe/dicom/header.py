"""One file's bytes to one header: the data set as DICOM JSON, and the place of Pixel Data."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.deflate import Inflated
from dicomframe.dicom.elements import make_entry
from dicomframe.dicom.encodings import DEFLATED_UIDS, tell_syntax
from dicomframe.dicom.file_meta import FileMeta, file_meta_at_hand, read_file_meta, settle_encoding
from dicomframe.dicom.fragments import FragmentChain, walk_fragments
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.learned import FIRST_READ_BYTES, MOST_FIRST_READ_BYTES, Learned
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.links import PIXELS
from dicomframe.dicom.members import find_member, replace_member
from dicomframe.dicom.scopes import Job
from dicomframe.dicom.template import Trail
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Request, Window, feed

__all__ = ["FIRST_READ_BYTES", "Header", "Learned", "read_header"]


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
    template : Trail or None
        The way that the file took along a template; None if it was walked.
    """

    __slots__ = (
        "_find", "_meta", "inflated", "metadata", "pixel_length", "pixel_offset", "template",
        "warnings",
    )  # fmt: skip

    def __init__(
        self,
        metadata: bytes,
        find: Callable[[int], bytes | None],
        meta: FileMeta | bytes | None,
        pixels: tuple[int, int] | None,
        template: Trail | None = None,
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
            window = Window(self._meta, 0, len(self._meta), DEFAULT_LIMITS)
            self._meta = file_meta_at_hand(window, DEFAULT_LIMITS)
        return None if self._meta is None else self._meta.find(tag)


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
    if learned is not None and limits.header_bytes > MOST_FIRST_READ_BYTES:
        first_bytes = learned.first_read_bytes
    head = yield (0, min(size, first_bytes))
    window = Window(head, 0, size, limits)
    bulk = BulkWriter(origin, inflated=False)
    if learned is not None and not warnings:
        trail = learned.match(window, bulk, limits)
        if trail is not None:
            chain = None
            if trail.has_fragments(head):
                start, tag = trail.position + 4, trail.passed[-1].slot.entry.tag
                chain = yield from walk_fragments(window, start, size, tag, limits.elements)
            header = _end(trail, window, bulk, chain)
            if header is not None:
                learned.note_read(size if header.pixel_offset is None else header.pixel_offset)
                return header
    inspection = Inspection() if warnings else None
    begin = Walk if learned is None else learned.walk
    meta = yield from read_file_meta(Job(window, bulk, limits, inspection), begin)
    if inspection is not None:
        inspection.begin_data_set()
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
    walk = begin(Job(window, bulk, limits, inspection), start, encoding)
    if inflated is None:
        yield from walk.run()
    else:
        feed(walk.run(), inflated.read)
    members = walk.members
    if inspection is not None:
        inspection.see_pixels(members, walk.pixels, encapsulated=walk.chain is not None)
        if walk.chain is not None and walk.chain.offset_table[0] < walk.chain.offset_table[1]:
            table = yield walk.chain.offset_table
            inspection.see_offset_table(table, walk.chain.starts)
    replace_member(members, tell_syntax(uid))
    metadata = b"{%b}" % b",".join(members)
    header = Header(metadata, partial(find_member, members), meta, walk.pixels)
    header.inflated = inflated
    if inspection is not None:
        header.warnings = inspection.warnings
    if learned is not None and inflated is None:
        stop = size if walk.pixels is None else walk.pixels[0]
        learned.note_read(stop)
    return header


def _end(
    trail: Trail, window: Window, bulk: BulkWriter, chain: FragmentChain | None
) -> Header | None:
    """Return the header of a file that went along a template; None if more of it follows."""
    slot, begin = trail.passed[-1].slot, trail.position
    size, head = window.size, window.buffer
    if slot.mode != PIXELS:
        is_all = begin == size == len(head)
        return Header(b"".join(trail.pieces), trail.find, head, None, trail) if is_all else None
    entry, start = slot.entry, begin + slot.entry.length_bytes
    if start > len(head):
        return None
    stop = following = start + slot.entry.unpack_length(head, begin)[0]
    if chain is not None:
        stop, following = chain.stop, chain.following
        if not slot.around.encoding.explicit:
            entry = make_entry(entry.tag, "OB", slot.around.encoding)  # PS3.5 section A.4
    if following != size:
        return None
    trail.pieces[-1] = entry.prefix + bulk.rest(start, stop - start)
    trail.pieces.append(b"}")
    return Header(b"".join(trail.pieces), trail.find, head, (start, stop), trail)
