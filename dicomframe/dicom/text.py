"""Bytes to text by Specific Character Set (PS3.5 section 6.1, PS3.3 section C.12.1.1.2)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom import charset as tables

_DEFAULT = tables.default_encoding
_OF_ASCII = re.compile(r"ascii|utf-8|iso8859-\d+|cp125\d|koi8-[ru]|gb\w+|euc_\w+|shift_jis|big5")
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_TEXT_DELIMITERS = re.compile(rb"[\t\n\f\r\\]")
_NAME_DELIMITERS = re.compile(rb"[\t\n\f\r\\^=]")


@dataclass(frozen=True, slots=True, eq=False)  # a key of many tables: told apart by identity
class Charset:
    """Decode text; the first encoding holds until an escape sequence names another.

    Attributes
    ----------
    encodings : tuple of str
        Python codecs, the initial one first.
    known : bool
        False if the file named a character set that nobody knows.
    """

    encodings: tuple[str, ...]
    known: bool = True

    def decode(self, raw: bytes, *, is_name: bool = False, errors: str = "replace") -> str:
        """Return `raw` as text; what cannot be decoded becomes U+FFFD.

        A delimiter (a control character, a backslash, and in a name ``^`` and ``=``) sets the
        encoding back to the first one: PS3.5 section 6.1.2.5.3.

        Raises
        ------
        UnicodeError
            Only with ``errors="strict"``.
        """
        if b"\x1b" not in raw:
            return raw.decode(self.encodings[0], errors)
        delimiters = _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS
        fragments = _FRAGMENT.findall(raw)
        return "".join([self._decode_fragment(each, delimiters, errors) for each in fragments])

    def _decode_fragment(self, raw: bytes, delimiters: re.Pattern[bytes], errors: str) -> str:
        first = self.encodings[0]
        if raw[:1] != b"\x1b":
            return raw.decode(first, errors)
        length = 4 if raw[:3] in (b"\x1b$(", b"\x1b$)") else 3
        encoding = tables.CODES_TO_ENCODINGS.get(raw[:length])
        if encoding is None or (encoding not in self.encodings and encoding != _DEFAULT):
            if errors == "strict":
                raise UnicodeError  # an escape to what the file does not name
            return raw.decode(first, errors)
        if encoding in tables.handled_encodings:  # Python's codec reads the escape itself
            return raw.decode(encoding, errors)
        reset = delimiters.search(raw, length)
        stop = len(raw) if reset is None else reset.start()
        return raw[length:stop].decode(encoding, errors) + raw[stop:].decode(first, errors)


DEFAULT_CHARSET = Charset((_DEFAULT,))
"""The default repertoire; bytes past ASCII, which it forbids, are read as ISO 8859-1."""


@lru_cache(maxsize=256)
def charset_of(raw: bytes) -> Charset:
    """Return the character set that a value of (0008,0005) names.

    Common misspellings are understood; an unknown name falls back to the default repertoire. A
    set that allows no code extensions stands alone (PS3.3 section C.12.1.1.2).
    """
    names = [name.strip(" \0") for name in raw.decode("latin-1").split("\\")]
    if not any(names):
        return DEFAULT_CHARSET
    found = [_find_encoding(name) for name in names]
    used = found[:1]
    if names[0] not in tables.STAND_ALONE_ENCODINGS:
        others = zip(names[1:], found[1:], strict=True)
        used += [encoding for name, encoding in others if name not in tables.STAND_ALONE_ENCODINGS]
    return Charset(tuple(encoding or _DEFAULT for encoding in used), all(found))


def _find_encoding(name: str) -> str | None:
    single = re.sub(r"^ISO[^_]IR[ _-]?", "ISO_IR ", name)
    for spelling in (name, single, re.sub(r"^ISO.2022.IR.", "ISO 2022 IR ", name)):
        if spelling in tables.python_encoding:
            return tables.python_encoding[spelling]
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return codec if _OF_ASCII.fullmatch(codec) else None
