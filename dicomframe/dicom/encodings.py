"""Transfer syntaxes: how the elements of a data set are written (PS3.5 section 10)."""

from __future__ import annotations

from dataclasses import dataclass

from dicomframe.dicom.damage import malformed, tag_name
from dicomframe.dicom.dictionary import VRS, lookup_vr
from dicomframe.dicom.limits import UNBOUNDED
from dicomframe.dicom.values import ByteOrder, to_json_text


@dataclass(frozen=True, slots=True, eq=False)  # a key of many tables: told apart by identity
class Encoding:
    """Say whether elements carry their VR, the order of the bytes, and the syntax that says so."""

    explicit: bool
    order: ByteOrder
    uid: str


IMPLICIT_LITTLE_UID = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_UID = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_UID = "1.2.840.10008.1.2.2"

IMPLICIT_LITTLE = Encoding(False, "little", IMPLICIT_LITTLE_UID)
EXPLICIT_LITTLE = Encoding(True, "little", EXPLICIT_LITTLE_UID)
EXPLICIT_BIG = Encoding(True, "big", EXPLICIT_BIG_UID)

DEFLATED_UIDS = frozenset(f"1.2.840.10008.1.2.{end}" for end in ("1.99", "4.95", "4.205"))
"""The whole data set is one deflate stream: Deflated Explicit VR Little Endian, JPIP Referenced
Deflate, JPIP HTJ2K Referenced Deflate. 1.2.840.10008.1.2.8.1 deflates frames only."""

AVAILABLE_SYNTAX = 0x00083002
"""Available Transfer Syntax UID: the metadata tells there how the file is written."""

_NO_DATA_SET = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
"""MIME and XML encapsulation, SMPTE flows: there are no elements to walk."""

TRIAL_BYTES = 4096
"""How much is looked at to tell how an element without a VR is written."""

_IMPLICIT_UIDS = frozenset({IMPLICIT_LITTLE_UID, "1.2.840.10008.1.20", "1.2.840.113619.5.2"})


def encoding_of(uid: str) -> Encoding | None:
    """Return the encoding that a transfer syntax declares, or None if it has no elements.

    A syntax that nobody knows is explicit VR little endian, as all encapsulated ones are
    (PS3.5 section A.4).
    """
    if uid.startswith(_NO_DATA_SET):
        return None
    if uid in _IMPLICIT_UIDS:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if uid == EXPLICIT_BIG_UID else EXPLICIT_LITTLE


def tell_syntax(uid: str) -> bytes:
    """Return `AVAILABLE_SYNTAX` as a member of a DICOM JSON object."""
    return b'"%08X":{"vr":"UI","Value":[%b]}' % (AVAILABLE_SYNTAX, to_json_text(uid))


def read_tag(head: bytes, order: ByteOrder) -> int:
    """Return the tag that the first 4 bytes of an element or item are."""
    return int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)


def detect_encoding(head: bytes, remaining: int, declared: Encoding | None) -> Encoding | None:
    """Return the encoding in which a data set is really written, None if in none.

    Parameters
    ----------
    head : bytes
        The first bytes of the data set, 8 at least.
    remaining : int
        Bytes from there to the end of the file.
    declared : Encoding or None
        What the file says of itself; it wins if both fit.
    """
    candidates = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG]
    candidates.sort(key=lambda candidate: candidate != declared)
    attempts = [(encoding, remaining) for encoding in candidates]
    if declared is not None:
        attempts.append((declared, UNBOUNDED))  # the first element is cut off
    fits = (encoding for encoding, room in attempts if is_plausible(head, room, encoding))
    return next(fits, None)


def is_plausible(head: bytes, remaining: int, encoding: Encoding) -> bool:
    """Tell whether `head` can be an element of a data set in `encoding`."""
    order = encoding.order
    tag = read_tag(head, order)
    if not 0 < tag >> 16 < 0xFFFE:
        return False
    known, is_private = lookup_vr(tag), bool(tag >> 16 & 1)
    if encoding.explicit:
        return head[4:6] in VRS and (known is not None or is_private)
    length = int.from_bytes(head[4:8], order)
    if length == 0xFFFFFFFF:
        return known == "SQ" or is_private
    return length <= remaining - 8 and (known is not None or is_private)


def measure_invalid_vr(
    rest: bytes, room: int, encoding: Encoding, tag: int, offset: int
) -> tuple[int, int]:
    """Return the bytes of the header and of the value of an element whose VR is no VR.

    Such an element is written like a VR that is not known yet (PS3.5 section 6.2.2), with a 16-bit
    length, or as implicit VR. The first of these after which another element can follow is it.

    Parameters
    ----------
    rest : bytes
        The first `TRIAL_BYTES` from the element on, fewer only at the end of the file.
    room : int
        Bytes from the element to the end of its data set.

    Raises
    ------
    Damage
        ``malformed``: none of them.
    """
    order = encoding.order
    forms = [(8, int.from_bytes(rest[6:8], order)), (8, int.from_bytes(rest[4:8], order))]
    if rest[6:8] == b"\0\0" and len(rest) >= 12:
        forms.insert(0, (12, int.from_bytes(rest[8:12], order)))
    for header_bytes, length in forms:
        stop = header_bytes + length
        if stop == room or (stop < room and _can_follow(rest[stop : stop + 8])):
            return header_bytes, length
    raise malformed(f"{tag_name(tag)} has no valid VR and no length that fits", offset)


def _can_follow(head: bytes) -> bool:
    return len(head) < 8 or head[4:6] in VRS or head[:2] == b"\xfe\xff"
