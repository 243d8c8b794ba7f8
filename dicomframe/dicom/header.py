"""One file's bytes to one header: the data set as DICOM JSON, and the place of Pixel Data."""

from __future__ import annotations

import json
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.encodings import (
    DEFLATED_UIDS,
    UID_OF_ENCODING,
    Encoding,
    detect_encoding,
    encoding_of,
)
from dicomframe.dicom.file_meta import FileMeta, read_file_meta
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.members import replace_member
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Request, Window

FIRST_READ_BYTES = 16 << 10
_FREE_INFLATED_BYTES = 64 << 20


@dataclass(slots=True)
class Header:
    """Hold what the bytes of one sound file say.

    Attributes
    ----------
    members : list of bytes
        The members of the DICOM JSON object in tag order, ``"GGGGEEEE":{...}`` each.
    meta : FileMeta
        Group 0002, which is no part of the data set.
    pixel_offset, pixel_length : int or None
        Where the value of Pixel Data lies in the file, bytes; None without one.
    inflated : bytes or None
        The whole data set of a deflated file; `pixel_offset` then counts within it.
    warnings : list of str
        What is strange, if it was asked for.
    """

    members: list[bytes]
    meta: FileMeta
    pixel_offset: int | None = None
    pixel_length: int | None = None
    inflated: bytes | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> bytes:
        """The DICOM JSON object (PS3.18 Annex F) in UTF-8."""
        return b"{%b}" % b",".join(self.members)


def read_header(
    size: int,
    origin: str,
    *,
    warnings: bool = False,
    limits: Limits = DEFAULT_LIMITS,
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
    first = yield (0, min(size, FIRST_READ_BYTES))
    window = Window(first, 0, size, limits)
    meta = yield from read_file_meta(window)
    inspection = Inspection() if warnings else None
    start = meta.data_set_at
    uid = meta.transfer_syntax
    inflated = None
    if uid in DEFLATED_UIDS:
        deflated = window.peek(start, size - start)
        if deflated is None:
            deflated = yield (start, size)
        inflated = _inflate(deflated, start, limits, inspection)
        window, start = Window(inflated, 0, len(inflated), limits), 0
    encoding, uid = _settle_encoding(window, start, meta, uid, inspection)
    bulk = BulkWriter(origin, inflated=inflated is not None)
    walk = Walk(window, start, encoding, bulk, limits, inspection)
    yield from walk.run()
    members = walk.members
    if inspection is not None:
        inspection.see_pixels(members, walk.pixels, encapsulated=walk.chain is not None)
        if walk.chain is not None and walk.chain.offset_table[0] < walk.chain.offset_table[1]:
            table = yield walk.chain.offset_table
            inspection.see_offset_table(table, walk.chain.starts)
    replace_member(members, b'"00083002":{"vr":"UI","Value":[%b]}' % json.dumps(uid).encode())
    header = Header(members, meta, inflated=inflated)
    if walk.pixels is not None:
        header.pixel_offset = walk.pixels[0]
        header.pixel_length = walk.pixels[1] - walk.pixels[0]
    if inspection is not None:
        header.warnings = inspection.warnings
    return header


def _settle_encoding(
    window: Window, start: int, meta: FileMeta, uid: str, inspection: Inspection | None
) -> tuple[Encoding, str]:
    """Return how the data set is really written, and the transfer syntax that this makes it."""
    declared = encoding_of(uid) if uid else None
    if uid and declared is None:
        raise Damage("unsupported", "the transfer syntax holds no data elements to walk", start)
    head = window.buffer[start - window.base :][:12]
    if len(head) < 8:
        raise Damage("truncated", "the file ends inside its first data element", start)
    written = detect_encoding(head, window.size - start, declared)
    if written is None:
        if uid and uid not in UID_OF_ENCODING.values() and not uid.startswith("1.2.840.10008."):
            raise Damage("unsupported", "the transfer syntax is not known", start)
        raise Damage("malformed", "the data set does not begin with a data element", start)
    if inspection is not None:
        if not meta.has_preamble:
            inspection.add_number("no_preamble", 0)
        if not meta.values:
            inspection.add_number("no_file_meta", 0)
        if meta.group_length_lies:
            inspection.add("group_length", 0x00020000)
        if declared is not None and declared != written:
            inspection.add("transfer_syntax_mismatch", 0x00020010)
    if not uid or (declared != written and uid in UID_OF_ENCODING.values()):
        uid = UID_OF_ENCODING[written]
    return written, uid


def _inflate(deflated: bytes, start: int, limits: Limits, inspection: Inspection | None) -> bytes:
    """Return the data set of a deflated file (PS3.5 section A.5)."""
    most = min(
        limits.inflated_bytes,
        max(_FREE_INFLATED_BYTES, limits.inflated_ratio * len(deflated)),
    )
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(deflated, most + 1)
    except zlib.error as error:
        raise Damage("malformed", "the deflate stream is damaged", start) from error
    if len(inflated) > most:
        raise Damage("too_large", f"the data set passes the limit inflated_bytes of {most}", start)
    if not stream.eof:
        stop = start + len(deflated)
        raise Damage("truncated", "the file ends inside the deflate stream", stop)
    if inspection is not None and len(stream.unused_data) > 1:
        inspection.add_number("trailing_bytes", len(stream.unused_data))
    return inflated
