"""A deflated data set (PS3.5 section A.5): inflated piece by piece, never as a whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from dicomframe.dicom.damage import malformed, too_large, truncated
from dicomframe.dicom.limits import Limits
from dicomframe.pieces import Pieces

_PIECE_BYTES = 1 << 20
_INPUT_BYTES = 64 << 10
_FREE_BYTES = 64 << 20


class Inflated:
    """Read ranges of a data set that is kept deflated.

    Parameters
    ----------
    deflated : bytes
        The file from its data set on.
    start : int
        Where that is in the file, for messages.
    limits : Limits
        How far to go.

    Attributes
    ----------
    size : int
        Bytes of the inflated data set.
    trailing_bytes : int
        Bytes of the file behind the stream.

    Raises
    ------
    Damage
        ``truncated``, ``malformed`` or ``too_large``.
    """

    def __init__(self, deflated: bytes, start: int, limits: Limits) -> None:
        most = max(_FREE_BYTES, limits.inflated_ratio * len(deflated))
        self._deflated = deflated
        self.size = self.trailing_bytes = 0
        try:
            for piece in self._inflate():
                self.size += len(piece)
                if self.size > limits.inflated_bytes:
                    raise too_large("inflated_bytes", limits.inflated_bytes, start)
                if self.size > most:
                    raise too_large("inflated_ratio", limits.inflated_ratio, start)
        except zlib.error as error:
            raise malformed("the deflate stream is damaged", start) from error
        except EOFError:
            detail = "the file ends inside the deflate stream"
            raise truncated(detail, start + len(deflated)) from None
        self._pieces = Pieces(self._inflate)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; going back begins anew."""
        return self._pieces.read(start, stop)

    def _inflate(self) -> Iterator[bytes]:
        """Yield the data set in pieces; EOFError if the stream does not end."""
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        for at in range(0, len(self._deflated), _INPUT_BYTES):
            piece = stream.decompress(self._deflated[at : at + _INPUT_BYTES], _PIECE_BYTES)
            while piece:
                yield piece
                piece = stream.decompress(stream.unconsumed_tail, _PIECE_BYTES)
            if stream.eof:
                stop = min(at + _INPUT_BYTES, len(self._deflated)) - len(stream.unused_data)
                self.trailing_bytes = len(self._deflated) - stop
                return
        raise EOFError
