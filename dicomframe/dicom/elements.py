"""What the first bytes of a data element say: its tag, its VR and how it is encoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple

from dicomframe.dicom.dictionary import LONG_VRS, VRS, is_private_creator, lookup_vr
from dicomframe.dicom.encodings import Encoding, read_tag
from dicomframe.dicom.text import DEFAULT_CHARSET, Charset, charset_of
from dicomframe.dicom.values import ByteOrder, Encoder, get_encoder


class Kind:
    """What a walk must do with an element, as a plain number.

    Up to `LAST_NOTED` elements are encoded alike; all but plain ones are then noted in the
    context. The VR of a `BY_CONTEXT` depends on more than the tag: private, ambiguous, or UN.
    """

    PLAIN, PIXEL_REPRESENTATION, LUT_DESCRIPTOR, PRIVATE_CREATOR, TRANSFER_SYNTAX = range(5)
    LAST_NOTED = TRANSFER_SYNTAX
    CHARACTER_SET, SEQUENCE, PIXELS, GROUP_LENGTH, BY_CONTEXT, DELIMITER, INVALID_VR = range(5, 12)


PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data and Pixel Data."""

_KINDS = {
    0x00020010: Kind.TRANSFER_SYNTAX,
    0x00080005: Kind.CHARACTER_SET,
    0x00280103: Kind.PIXEL_REPRESENTATION,
    0x00283002: Kind.LUT_DESCRIPTOR,
} | dict.fromkeys(PIXEL_TAGS, Kind.PIXELS)

_MOST_ENTRIES = 65536


class Entry(NamedTuple):
    """Hold all that the tag and the VR of an element decide.

    Attributes
    ----------
    kind : int
        A `Kind`; plain elements are encoded and no more.
    tag : int
        Group and element.
    prefix : bytes
        ``"GGGGEEEE":{"vr":"XX"``, the beginning of the element's member in the JSON object.
    encode : callable
        Makes the rest of the member out of the value field.
    vr : str
        The VR.
    length_at : int
        Where in the header the length field begins; it ends with the header.
    header_bytes : int
        8, or 12 for an explicit VR with a 32-bit length.
    unpack_length : callable
        Reads a length field at a place of a buffer.
    encoding : Encoding
        How the value is written.
    """

    kind: int
    tag: int
    prefix: bytes
    encode: Encoder
    vr: str
    length_at: int
    header_bytes: int
    unpack_length: Callable[[bytes, int], tuple[int]]
    encoding: Encoding

    def of_fragments(self, around: Encoding) -> Entry:
        """Return that of fragments, which are OB where VRs are implicit (PS3.5 section A.4)."""
        return self if around.explicit else make_entry(self.tag, "OB", around)


@lru_cache(maxsize=4096)
def make_unpack(order: ByteOrder, size: int, before: int = 0) -> Callable[[bytes, int], Any]:
    """Return what unpacks `before` bytes, if any, and the length field of `size` behind them."""
    form = ("<" if order == "little" else ">") + (f"{before}s" if before else "")
    return struct.Struct(form + ("H" if size == 2 else "L")).unpack_from


@lru_cache(maxsize=16384)
def make_entry(tag: int, vr: str, encoding: Encoding) -> Entry:
    """Return the entry of an element whose VR is settled."""
    kind = Kind.PRIVATE_CREATOR if is_private_creator(tag) else _KINDS.get(tag, Kind.PLAIN)
    if tag & 0xFFFF == 0:
        kind = Kind.GROUP_LENGTH
    if vr == "SQ" and kind <= Kind.LAST_NOTED:
        kind = Kind.SEQUENCE
    prefix = b'"%08X":{"vr":"%b"' % (tag, vr.encode())
    length_at, header_bytes = 4, 8
    if encoding.explicit:
        length_at, header_bytes = (8, 12) if vr.encode() in LONG_VRS else (6, 8)
    encode = get_encoder(vr, encoding.order)
    unpack_length = make_unpack(encoding.order, header_bytes - length_at)
    return Entry(kind, tag, prefix, encode, vr, length_at, header_bytes, unpack_length, encoding)


class EntryTable(dict[bytes, Entry]):
    """Look up an entry by the first bytes of an element, in one encoding.

    The key is the tag and the VR (6 bytes), or the tag alone (4 bytes) where the VR is implicit.
    Of what depends on more than these bytes, that alone is kept: its kind is `BY_CONTEXT`.
    """

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding

    def __missing__(self, key: bytes) -> Entry:
        tag, vr = read_tag(key, self.encoding.order), key[4:6].decode("latin-1")
        if not self.encoding.explicit:
            vr = "LO" if is_private_creator(tag) else lookup_vr(tag) or "UN"
        if tag >> 16 == 0xFFFE:
            entry = make_entry(tag, "UN", self.encoding)._replace(kind=Kind.DELIMITER)
        elif vr == "UN" or " or " in vr:
            entry = make_entry(tag, "UN", self.encoding)._replace(kind=Kind.BY_CONTEXT)
        elif vr.encode() in VRS:
            entry = make_entry(tag, vr, self.encoding)
        else:
            return make_entry(tag, "UN", self.encoding)._replace(kind=Kind.INVALID_VR)
        if len(self) >= _MOST_ENTRIES:
            self.clear()
        return self.setdefault(key, entry)


table_of = cache(EntryTable)
"""Returns the table that all walks in one encoding share."""


@dataclass(slots=True, eq=False, repr=False)
class Context:
    """Hold what earlier elements of a data set decide for later ones.

    Attributes
    ----------
    encoding : Encoding
        How its elements are written.
    charset : Charset
        The character set in force; items inherit it.
    signed : bool
        Pixel Representation is 1; items inherit it.
    single_lut_entry : bool
        LUT Descriptor (0028,3002) announces one entry (PS3.3 section C.11.1.1.1).
    noted : dict
        What all this was taken from, and private creators: kind and value by tag.
    """

    encoding: Encoding
    charset: Charset = DEFAULT_CHARSET
    signed: bool = False
    single_lut_entry: bool = False
    noted: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def resolve_vr(self, tag: int) -> str:
        """Return the VR of an element that does not carry a usable one, UN if unknown.

        PS3.5 section A.1 and PS3.6 for public elements, the private dictionary for others.
        """
        if tag >> 16 & 1:
            if is_private_creator(tag):
                return "LO"
            _, creator = self.noted.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, (0, b""))
            return lookup_vr(tag, creator.decode("latin-1").strip(" \0")) or "UN"
        vr = lookup_vr(tag) or "UN"
        if " or " not in vr:
            return vr
        if vr == "US or SS":
            return "SS" if self.signed else "US"
        return "US" if vr == "US or OW" and self.single_lut_entry else "OW"

    def note(self, kind: int, tag: int, raw: bytes, order: ByteOrder) -> None:
        """Remember an element that later ones depend on; of two with one tag the first counts."""
        if tag in self.noted:
            return
        self.noted[tag] = kind, raw
        if kind == Kind.CHARACTER_SET:
            self.charset = charset_of(raw)
        elif kind == Kind.PIXEL_REPRESENTATION and len(raw) == 2:
            self.signed = int.from_bytes(raw, order) == 1
        elif kind == Kind.LUT_DESCRIPTOR and len(raw) >= 2:
            self.single_lut_entry = int.from_bytes(raw[:2], order) == 1

    def around(self, content: Encoding) -> Around:
        """Return what the next element takes from here, or the items in it."""
        return Around(content, self.charset, self.signed)


class Around(NamedTuple):
    """What an element, or the items of a sequence, take from around it."""

    encoding: Encoding
    charset: Charset
    signed: bool

    def context(self) -> Context:
        """Return the context with which an item begins."""
        return Context(*self)
