"""A value that stays in its file: the BulkDataURI that tells where (PS3.18 section F.2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from json.encoder import encode_basestring

from dicomframe.dicom.values import EMPTY, swap_words, word_bytes

_FRAGMENT = re.compile(
    r"offset=(?P<offset>\d+)&length=(?P<length>\d+)(?P<inflated>&inflated=1)?(?:&swap=(?P<swap>[248]))?"
)


@dataclass(frozen=True, slots=True)
class BulkURI:
    """Hold the parts of a BulkDataURI, ``origin#offset=...&length=...``.

    Attributes
    ----------
    origin : str
        The URL of the file.
    offset, length : int
        Bytes; where the value begins and how long it is.
    inflated : bool
        Whether `offset` counts within the inflated data set of a deflated file.
    swap : int
        Bytes of a word to turn from big endian to little endian; 1 if there is nothing to turn.
    """

    origin: str
    offset: int
    length: int
    inflated: bool = False
    swap: int = 1

    @classmethod
    def parse(cls, uri: str) -> BulkURI | None:
        """Return the parts of `uri`, None if it is no BulkDataURI of ours."""
        origin, _, fragment = uri.rpartition("#")
        match = _FRAGMENT.fullmatch(fragment)
        if not origin or match is None:
            return None
        return cls(
            origin,
            int(match["offset"]),
            int(match["length"]),
            match["inflated"] is not None,
            int(match["swap"] or 1),
        )

    def to_little_endian(self, raw: bytes) -> bytes:
        """Return the value as bulk data is ordered (PS3.18 section 8.7.3.3)."""
        return swap_words(raw, self.swap) if self.swap > 1 else raw


class BulkWriter:
    """Write of values that stay in one file where they are.

    Parameters
    ----------
    origin : str
        The URL of the file.
    inflated : bool
        Whether offsets count within an inflated data set.
    """

    __slots__ = ("_after", "_before")

    def __init__(self, origin: str, *, inflated: bool) -> None:
        self._before = b',"BulkDataURI":%b#offset=' % encode_basestring(origin)[:-1].encode()
        self._after = b"&inflated=1" if inflated else b""

    def rest(self, offset: int, length: int, turned_vr: str | None = None) -> bytes:
        """Return what follows the beginning of a member, as an encoder does.

        `turned_vr` is the VR of a value whose words are big endian.
        """
        if not length:
            return EMPTY
        size = word_bytes(turned_vr) if turned_vr else 1
        swap = b"&swap=%d" % size if size > 1 else b""
        return b'%b%d&length=%d%b%b"}' % (self._before, offset, length, self._after, swap)


NO_BULK = BulkWriter("", inflated=False)
"""For those who do not look at what stays in the file."""
