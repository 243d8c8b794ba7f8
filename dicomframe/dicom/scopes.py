"""What is open during a walk: data sets, and the sequences between them."""

from __future__ import annotations

from dicomframe.dicom.damage import Damage, tag_name
from dicomframe.dicom.elements import Context, Entry
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.inspection import Inspection
from dicomframe.dicom.text import Charset


class DataSet:
    """A data set that is open: the root, or an item.

    Attributes
    ----------
    bound : int
        Where it ends at the latest, bytes from the start of the file.
    delimited : bool
        Whether a delimiter ends it.
    charset : Charset
        The character set in force; an item begins with that of what holds it.
    context : Context
        What later elements depend on.
    members : list of bytes
        The members of its JSON object so far.
    last_tag : int
        The highest tag so far.
    """

    __slots__ = ("_disorder", "bound", "charset", "context", "delimited", "last_tag", "members")

    def __init__(self, bound: int, *, delimited: bool, charset: Charset, signed: bool) -> None:
        self.bound = bound
        self.delimited = delimited
        self.charset = charset
        self.context = Context(signed=signed)
        self.members: list[bytes] = []
        self.last_tag = -1
        self._disorder = False

    def append(self, tag: int, member: bytes, inspection: Inspection | None) -> None:
        """Add the member of an element, in order or not."""
        if tag <= self.last_tag:
            self._disorder = True
            if tag < self.last_tag and inspection is not None:
                inspection.add("tag_order", tag)
        else:
            self.last_tag = tag
        self.members.append(member)

    def put_in_order(self, inspection: Inspection | None) -> None:
        """Bring the members into tag order and keep the first of each tag."""
        if not self._disorder:
            return
        unique: dict[bytes, bytes] = {}
        for member in self.members:
            if unique.setdefault(member[:10], member) is not member and inspection is not None:
                inspection.add("duplicate_tag", int(member[1:9], 16))
        self.members = [unique[key] for key in sorted(unique)]


class Sequence:
    """A sequence that is open, and what to go back to when it ends.

    Attributes
    ----------
    entry : Entry
        The element.
    bound : int
        Where it ends at the latest, bytes from the start of the file.
    delimited : bool
        Whether a delimiter ends it.
    parent : DataSet
        What holds it.
    encoding_before : Encoding
        The encoding around it; inside a UN of undefined length it is another.
    items : list of bytes
        The JSON objects of the items so far.
    """

    __slots__ = ("bound", "delimited", "encoding_before", "entry", "items", "parent")

    def __init__(
        self, entry: Entry, bound: int, parent: DataSet, before: Encoding, *, delimited: bool
    ) -> None:
        self.entry = entry
        self.bound = bound
        self.delimited = delimited
        self.parent = parent
        self.encoding_before = before
        self.items: list[bytes] = []

    def member(self) -> bytes:
        """Return the member of the whole sequence (PS3.18 section F.2.2)."""
        if not self.items:
            return self.entry.prefix + b"}"
        return b'%b,"Value":[%b]}' % (self.entry.prefix, b",".join(self.items))


def past_bound(what: str, length: int, at: int, stop: int, size: int) -> Damage:
    """Return the damage of a declared length that leaves the file or what encloses it."""
    if stop > size:
        return Damage(
            "truncated",
            f"{what} declares {length} bytes and the file ends {stop - size} bytes too early",
            at,
        )
    return Damage("malformed", f"{what} declares {length} bytes and so leaves its sequence", at)


def unclosed(tag: int, at: int, size: int) -> Damage:
    """Return the damage of a sequence or item whose delimiter does not come."""
    if at >= size:
        return Damage("truncated", f"the file ends inside {tag_name(tag)}", at)
    return Damage("malformed", f"{tag_name(tag)} has no delimiter", at)


def cut_header(at: int, bound: int, size: int) -> Damage:
    """Return the damage of an end inside the first bytes of an element."""
    if bound >= size:
        return Damage("truncated", "the file ends inside the header of an element", at)
    return Damage("malformed", "an item ends inside the header of an element", at)
