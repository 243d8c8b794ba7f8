"""Read the URL of a sink, and keep its credentials to itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.options import did_you_mean
from dicomframe.sinks.plugin import Target
from dicomframe.sinks.registry import get_sink

__all__ = ["parse_target"]

_SCHEME = re.compile(r"([a-z0-9][a-z0-9_.-]*)\+(https?)", re.IGNORECASE)
_FORM = "write it as 'elasticsearch+https://host:9200/index'"


def parse_target(url: str, options: Mapping[str, Any] | None = None) -> Target:
    """Return what `url` and `options` mean; this imports the sink.

    A user and a password in the URL become options, unless these name others.

    Raises
    ------
    InvalidOptionError
        The URL has another form, or the sink has no such option.
    DicomFrameError
        As `dicomframe.sinks.registry.get_sink` says.

    Examples
    --------
    >>> parse_target("solr+http://me:secret@localhost:8983/images")
    Target('solr+http://localhost:8983/images')
    """
    if not isinstance(url, str):
        raise InvalidOptionError(f"the URL of a sink must be text, found {type(url).__name__!r}")
    scheme, _, rest = url.partition("://")
    match = _SCHEME.fullmatch(scheme)
    if match is None or not rest:
        shown = repr(scheme) if rest and re.fullmatch(r"[A-Za-z0-9+._-]{1,40}", scheme) else "none"
        raise InvalidOptionError(
            f"the URL of a sink begins with its name, a plus and http or https, found {shown}; "
            f"{_FORM}"
        )
    # Behind the user, who may have any character in the password.
    userinfo, _, place = rest.rpartition("@")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    name = unquote(parts.path.strip("/")) if host else ""
    if not host or not name or "/" in name or parts.query or parts.fragment:
        raise InvalidOptionError(
            "the URL of a sink has a host, perhaps a port, one name behind a slash and nothing "
            f"else (it is not shown, it could hold a credential); {_FORM}"
        )
    found: dict[str, Any] = {}
    if userinfo:
        user, _, password = userinfo.partition(":")
        found = {"user": unquote(user), "password": unquote(password)}
    found |= dict(options or {})
    sink = match[1].lower()
    _check_options(sink, found)
    return Target(sink, match[2].lower() == "https", host, port, name, found)


def _check_options(sink: str, options: Mapping[str, Any]) -> None:
    valid = get_sink(sink).options
    takes = f"it takes {', '.join(map(repr, valid))}" if valid else "it takes none"
    for name in options:
        if name not in valid:
            raise InvalidOptionError(
                f"sink {sink!r} has no option {name!r}, {takes}{did_you_mean(str(name), valid)}"
            )
