"""The beginning of a file: preamble, group 0002, and where the data set starts (PS3.10)."""

from __future__ import annotations

from typing import NamedTuple

from dicomframe.dicom.damage import Damage, malformed, truncated
from dicomframe.dicom.dictionary import VRS
from dicomframe.dicom.elements import Context, table_of
from dicomframe.dicom.encodings import (
    DEFLATED_UIDS,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Encoding,
    detect_encoding,
    encoding_of,
    is_plausible,
    read_tag,
)
from dicomframe.dicom.fragments import UNDEFINED
from dicomframe.dicom.limits import DEFAULT_LIMITS
from dicomframe.dicom.members import find_member
from dicomframe.dicom.observer import NO_OBSERVER, Observer
from dicomframe.dicom.scopes import Job
from dicomframe.dicom.walk import Walk
from dicomframe.dicom.window import Reading, Window, feed
from dicomframe.signatures import describe_start

_MAGIC_AT = 128
_HEAD_BYTES = 12


class FileMeta(NamedTuple):
    """Hold what stands before the data set.

    Attributes
    ----------
    has_preamble : bool
        Whether the file begins with 128 bytes and ``DICM``.
    walk : Walk
        The walk over group 0002, which ends where the data set begins; its trace is empty if there
        is no such group.
    """

    has_preamble: bool
    walk: Walk

    @property
    def transfer_syntax(self) -> str:
        """The UID in (0002,0010), empty if there is none."""
        _, uid = self.walk.root.context.noted.get(0x00020010, (0, b""))
        return uid.rstrip(b" \0").decode("latin-1")

    @property
    def is_deflated(self) -> bool:
        """Whether the data set is compressed as a whole (PS3.5 section A.5)."""
        return self.transfer_syntax in DEFLATED_UIDS

    def find(self, tag: int) -> bytes | None:
        """Return an element of group 0002 as a member of a DICOM JSON object, None without it."""
        return find_member(self.walk.root.members, tag)


def read_file_meta(job: Job) -> Reading[FileMeta]:
    """Read up to the data set, by a walk that keeps a trace; the window begins with the file.

    Raises
    ------
    Damage
        ``not_dicom``, ``truncated`` inside group 0002, or what a walk raises.
    """
    window = job.window
    has_preamble = window.buffer[_MAGIC_AT : _MAGIC_AT + 4] == b"DICM"
    start = _MAGIC_AT + 4 if has_preamble else 0
    if has_preamble and start == window.size:
        raise truncated("the file ends after the magic word DICM", start)
    encoding = _meta_encoding(window.buffer[start : start + _HEAD_BYTES])
    if encoding is None and not has_preamble and not (yield from _begins_data_set(window)):
        looks = describe_start(window.buffer)
        raise Damage("not_dicom", f"no DICM at byte 128 and no data element at byte 0{looks}", 0)
    context = Context(encoding or EXPLICIT_LITTLE)
    walk = Walk(job, start, context)
    walk.trace = []
    walk.only(2)
    if encoding is not None:
        yield from walk.run()
    if walk.position >= window.size:
        raise truncated("the file ends with group 0002 and holds no data set", walk.position)
    return FileMeta(has_preamble, walk)


def file_meta_of(head: bytes) -> FileMeta:
    """Return what stands before the data set in the first bytes of a file, or raise `Damage`."""
    job = Job(Window(head, 0, len(head), DEFAULT_LIMITS))
    return feed(read_file_meta(job), lambda start, stop: head[start:stop])


def _meta_encoding(head: bytes) -> Encoding | None:
    """Return how group 0002 is written, None if it does not begin here."""
    if head[:2] == b"\x02\0":
        return EXPLICIT_LITTLE if head[4:6] in VRS or len(head) < 6 else IMPLICIT_LITTLE
    return EXPLICIT_BIG if head[:2] == b"\0\x02" and head[4:6] in VRS else None


def _begins_data_set(window: Window) -> Reading[bool]:
    """Tell whether a file with no preamble begins with two elements of a data set.

    The first must be a known one of group 0008 (or 0004, a directory); the second, if the file
    reaches it, must be plausible and come later in tag order.
    """
    buffer, size = window.buffer, window.size
    encoding = detect_encoding(buffer, size, None) if len(buffer) >= _HEAD_BYTES else None
    if encoding is None or read_tag(buffer, encoding.order) >> 16 not in (0x0004, 0x0008):
        return False
    entry = table_of(encoding)[buffer[: 6 if encoding.explicit else 4]]
    (length,) = entry.unpack_length(buffer, entry.length_at)
    second_at = entry.header_bytes + length
    if length == UNDEFINED or second_at + _HEAD_BYTES > size:
        return encoding.explicit or length < 0xFFFF
    second = buffer[second_at : second_at + _HEAD_BYTES]
    if len(second) < _HEAD_BYTES:
        second = yield second_at, second_at + _HEAD_BYTES
    is_later = read_tag(second, encoding.order) > entry.tag
    return is_later and is_plausible(second, size - second_at, encoding)


def settle_encoding(
    window: Window, start: int, meta: FileMeta, observer: Observer = NO_OBSERVER
) -> tuple[Encoding, str]:
    """Return how the data set is really written, and the transfer syntax that this makes it."""
    uid = meta.transfer_syntax
    declared = encoding_of(uid) if uid else None
    if uid and declared is None:
        raise Damage("unsupported", "the transfer syntax holds no data elements to walk", start)
    head = window.buffer[start - window.base :][:12]
    if len(head) < 8:
        raise truncated("the file ends inside its first data element", start)
    written = detect_encoding(head, window.size - start, declared)
    if written is None:
        if uid and not uid.startswith("1.2.840.10008."):
            raise Damage("unsupported", "the transfer syntax is not known", start)
        raise malformed("the data set does not begin with a data element", start)
    if not meta.has_preamble:
        observer.add("no_preamble", 0, "d")
    if not meta.walk.trace:
        observer.add("no_file_meta", 0, "d")
    if declared not in (None, written):
        observer.add("transfer_syntax_mismatch", 0x00020010)
    if declared is None or (declared != written and uid == declared.uid):
        uid = written.uid
    return written, uid
