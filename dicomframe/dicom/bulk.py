"""A value that stays in its file: the BulkDataURI that tells where (PS3.18 section F.2.2)."""

from __future__ import annotations

from json.encoder import encode_basestring

from dicomframe.dicom.values import EMPTY, word_bytes


class BulkWriter:
    """Write of values that stay in one file where they are.

    Parameters
    ----------
    origin : str
        The URL of the file.

    Attributes
    ----------
    inflated : bool
        Whether offsets count within an inflated data set.
    """

    __slots__ = ("_before", "inflated")

    def __init__(self, origin: str) -> None:
        self._before = f',"BulkDataURI":{encode_basestring(origin)[:-1]}#offset='.encode()
        self.inflated = False

    def rest(self, offset: int, length: int, turned_vr: str | None = None) -> bytes:
        """Return what follows the beginning of a member, as an encoder does.

        `turned_vr` is the VR of a value whose words are big endian.
        """
        if not length:
            return EMPTY
        size = word_bytes(turned_vr) if turned_vr else 1
        rest = b"&swap=%d" % size if size > 1 else b""
        rest = b"&inflated=1" + rest if self.inflated else rest
        return b'%b%d&length=%d%b"}' % (self._before, offset, length, rest)


NO_BULK = BulkWriter("")
"""For those who do not look at what stays in the file."""
