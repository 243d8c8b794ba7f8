"""Read and write the URLs of files without losing a name or showing a credential."""

# Names are bytes that need not be UTF-8, and must come back as they are: no pathlib.
# ruff: noqa: PTH111

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

import fsspec

__all__ = [
    "HTTP_PROTOCOLS",
    "escape_name",
    "hide_credentials",
    "hide_query",
    "is_known_protocol",
    "split_chain",
    "split_protocol",
    "split_userinfo",
    "unescape_name",
]

HTTP_PROTOCOLS = frozenset({"http", "https"})

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LAYER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(://|::)")

# What stands behind the slashes of these is a path at once: an @ in it is part of a name.
_WITHOUT_AUTHORITY = frozenset(
    {
        "blockcache",
        "cached",
        "data",
        "dir",
        "file",
        "filecache",
        "libarchive",
        "local",
        "memory",
        "reference",
        "simplecache",
        "tar",
        "zip",
    }
)
# What stands before the @ of these is a container, unless it holds a colon.
_WITH_CONTAINER = frozenset({"abfs", "abfss", "adl", "az", "wasb", "wasbs"})
# A secret key of S3 may hold slashes, so the authority may end behind one.
_USER_AND_SECRET = re.compile(r"([^/@:]*):(?!\d+(?:/|$))([^@]*)@")
# Parameters that tell which file is meant (WADO-URI, PS3.18 chapter 9, and versions of an
# object). All others go: a list of the secret ones could never be complete.
_HARMLESS_PARAMETERS = frozenset(
    {
        "requesttype",
        "studyuid",
        "seriesuid",
        "objectuid",
        "contenttype",
        "charset",
        "anonymize",
        "annotation",
        "rows",
        "columns",
        "region",
        "windowcenter",
        "windowwidth",
        "framenumber",
        "imagequality",
        "presentationuid",
        "presentationseriesuid",
        "transfersyntax",
        "versionid",
        "generation",
        "snapshot",
    }
)

_UNDECODABLE = re.compile("[\udc80-\udcff]")
_LOOKS_ESCAPED = re.compile(r"%(?=25|[89A-F][0-9A-F])")
_LOOKS_ESCAPED_IN_CHAIN = re.compile(r"%(?=25|3A|[89A-F][0-9A-F])")
_ESCAPED = re.compile(r"%(25|[89A-F][0-9A-F])")
_ESCAPED_IN_CHAIN = re.compile(r"%(25|3A|[89A-F][0-9A-F])")
_COLON_OF_CHAIN = re.compile(r"(?<=:):|:\Z")
# Not at the :: of an IPv6 address, nor at one within a password.
_CUT = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*(?:://|::)|[/~.])")


def is_known_protocol(protocol: str) -> bool:
    """Tell whether fsspec has a file system for `protocol`, installed or not."""
    return protocol in fsspec.available_protocols() or protocol in fsspec.registry


def split_protocol(url: str) -> tuple[str | None, str]:
    """Return the protocol, None for a plain path, and what follows its ``://``."""
    match = _PROTOCOL.match(url)
    return (match[1].lower(), url[match.end() :]) if match else (None, url)


def split_chain(url: str) -> tuple[str, str] | None:
    """Split a chained URL into its first layer and all that is behind, None if it has one layer.

    The cut is the first ``::`` that a protocol or the path of an existing local file follows;
    failing that the first one before a ``/`` or ``~``, failing that the last.
    """
    first = _LAYER.match(url)
    if first is None or (first[2] == "::" and not is_known_protocol(first[1])):
        return None
    if first[2] == "::":
        return first[1], url[first.end() :]
    cuts = [match.start() for match in re.finditer("::", url)]
    if not cuts:
        return None
    tails = [url[cut + 2 :] for cut in cuts]
    chosen = next(
        (i for i, tail in enumerate(tails) if _has_protocol(tail) or _exists(tail)),
        next((i for i, tail in enumerate(tails) if tail.startswith(("/", "~"))), len(cuts) - 1),
    )
    return url[: cuts[chosen]], tails[chosen]


def split_userinfo(protocol: str, rest: str) -> tuple[tuple[str, str] | None, str]:
    """Split user and password, both percent-decoded, from what follows ``protocol://``.

    >>> split_userinfo("ftp", "user:p%40ss@host/a@b.dcm")
    (('user', 'p@ss'), 'host/a@b.dcm')
    >>> split_userinfo("s3", "bucket/a:b@c.dcm")
    (None, 'bucket/a:b@c.dcm')
    """
    if protocol in _WITHOUT_AUTHORITY:
        return None, rest
    authority, slash, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    if not at:
        match = _USER_AND_SECRET.match(rest)
        if match is None:
            return None, rest
        return (unquote(match[1]), unquote(match[2])), rest[match.end() :]
    if ":" not in userinfo and protocol in _WITH_CONTAINER:
        return None, rest
    user, _, password = userinfo.partition(":")
    return (unquote(user), unquote(password)), host + slash + path


def hide_query(url: str) -> str:
    """Return an HTTP URL without its fragment and without parameters that could be secret.

    >>> hide_query("https://host/wado?objectUID=1.2.3&token=abc")
    'https://host/wado?objectUID=1.2.3'
    """
    url, _, query = url.partition("#")[0].partition("?")
    kept = [
        parameter
        for parameter in query.split("&")
        if parameter.partition("=")[0].lower() in _HARMLESS_PARAMETERS
    ]
    return f"{url}?{'&'.join(kept)}" if kept else url


def hide_credentials(url: str) -> str:
    """Return a URL as it may be shown: without user, password and signed query, in any layer.

    >>> hide_credentials("zip://*::s3://AKIA1:secret/key@bucket/a.zip")
    'zip://*::s3://bucket/a.zip'
    """
    return "::".join(_hide_in_layers(url))


def escape_name(name: str, *, chained: bool) -> str:
    r"""Return a file's name as it stands in an origin: Unicode text that names no other file.

    A byte that is not UTF-8 becomes ``%`` and two digits; a ``%`` that could be taken for such
    an escape becomes ``%25``; all else stays. Where another layer follows, a colon becomes
    ``%3A`` if it could be taken for the ``::`` before that.

    >>> escape_name("50%/caf\udce9 100%25.dcm", chained=False)
    '50%/caf%E9 100%2525.dcm'
    """
    if chained:
        name = _COLON_OF_CHAIN.sub("%3A", _LOOKS_ESCAPED_IN_CHAIN.sub("%25", name))
    else:
        name = _LOOKS_ESCAPED.sub("%25", name)
    return _UNDECODABLE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


def unescape_name(name: str, *, chained: bool) -> str:
    """Undo `escape_name`."""
    pattern = _ESCAPED_IN_CHAIN if chained else _ESCAPED
    return pattern.sub(lambda escape: _unescape(int(escape[1], 16)), name)


def _unescape(code: int) -> str:
    return chr(code) if code < 0x80 else chr(0xDC00 + code)


def _hide_in_layers(url: str) -> Iterator[str]:
    for layer in _CUT.split(url):
        protocol, rest = split_protocol(layer)
        if protocol is None:
            yield layer
            continue
        rest = split_userinfo(protocol, rest)[1]
        yield f"{protocol}://{hide_query(rest) if protocol in HTTP_PROTOCOLS else rest}"


def _has_protocol(url: str) -> bool:
    match = _LAYER.match(url)
    return match is not None and (match[2] == "://" or is_known_protocol(match[1]))


def _exists(path: str) -> bool:
    return bool(path) and os.path.lexists(os.path.expanduser(path))
