"""What may follow the last element of a file and is no element."""

from __future__ import annotations

from dicomframe.dicom.damage import malformed
from dicomframe.dicom.encodings import Encoding, is_plausible
from dicomframe.dicom.limits import UNBOUNDED

TAIL_BYTES = 132
"""How much is looked at: a preamble and ``DICM``."""

MOST_PADDING_BYTES = 1 << 20
"""How far zeros are followed; behind so many nothing more is expected."""


def is_padding(rest: bytes, encoding: Encoding) -> bool:
    """Tell whether fewer than 8 bytes are padding and not the header of an element cut off.

    An element in big endian may begin with one zero; in little endian none does.
    """
    return not rest.strip(b"\0") and (encoding.order == "little" or len(rest) > 1)


def is_trailing(tail: bytes, at: int, encoding: Encoding, *, after_pixels: bool) -> bool:
    """Tell whether the bytes at `at` of the file are none of its data set.

    Zeros up to the end are none; after Pixel Data nothing else is that cannot be an element.

    Raises
    ------
    Damage
        ``malformed``: a second file begins there, or zeros stand between elements.
    """
    if tail[128:132] == b"DICM":
        raise malformed("a second file begins inside this one", at)
    if not tail.strip(b"\0"):
        return True
    if not after_pixels and not tail[:TAIL_BYTES].strip(b"\0"):
        raise malformed("zeros stand where an element must begin", at)
    return after_pixels and not is_plausible(tail, UNBOUNDED, encoding)
