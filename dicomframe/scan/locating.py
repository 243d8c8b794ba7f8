"""Find the store and the path that a URL or an origin names; connect to nothing before a read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.implementations.cached import CachingFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.archives import ARCHIVE_PROTOCOLS
from dicomframe.scan.fetching import Ask
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.remote import PIECE_BYTES
from dicomframe.scan.storage import S3_PROTOCOLS, Store, find_class
from dicomframe.scan.transfer import DEFAULT_TRANSFER
from dicomframe.scan.urls import (
    HTTP_PROTOCOLS,
    hide_credentials,
    split_protocol,
    split_userinfo,
    unescape_name,
)

__all__ = [
    "fetch_range",
    "find_file",
    "is_chainable",
    "locate",
    "open_origin",
    "resolve_origins",
]


def locate(
    layer: str,
    options: Mapping[str, Any],
    inner: tuple[Store, str] | None = None,
    *,
    outermost: bool = True,
) -> tuple[Store, str]:
    """Return the store and the path of one layer of a URL; connect to nothing.

    Parameters
    ----------
    layer
        A local path, ``protocol://...``, or a protocol alone.
    options
        The ``storage_options`` of the user: those below the name of a protocol go to the
        layer of that protocol, all others to the outermost layer, as in fsspec.
    inner
        The file that the layer reads from, for an archive or a cache.
    outermost
        Whether the layer stands first in its URL.
    """
    protocol, rest = split_protocol(layer)
    if protocol is None and inner is not None:
        protocol, rest = layer, ""
    if protocol is None or protocol in {"file", "local"}:
        return Store("file", "file://"), rest
    if inner is not None and protocol in ARCHIVE_PROTOCOLS:
        own = _own_options(protocol, options, outermost=outermost)
        suffix = f"::{inner[0].origin(inner[1])}"
        return Store(protocol, f"{protocol}://", suffix, own, inner), rest.rstrip("/")
    file_system_class = find_class(protocol)
    userinfo, rest = split_userinfo(protocol, rest)
    own = _own_options(protocol, options, outermost=outermost)
    if inner is not None:
        inner_store, inner_path = inner
        if not rest and issubclass(file_system_class, CachingFileSystem):
            prefix = f"{protocol}::{inner_store.prefix}"
            store = Store(protocol, prefix, inner_store.suffix, own, (inner_store, None))
            return store, inner_path
        suffix = f"::{inner_store.origin(inner_path)}"
        return Store(protocol, f"{protocol}://", suffix, own, inner), rest.rstrip("/")
    url = _join_url(protocol, userinfo, rest)
    own = {**_options_from_url(file_system_class, protocol, url, userinfo), **own}
    prefix, path = _split_path(file_system_class, protocol, url, rest)
    return Store(protocol, prefix, "", own), path


def find_file(
    origin: str, options: Mapping[str, Any], *, outermost: bool = True
) -> tuple[Store, str]:
    """Return the store and the path that an origin was made from, by the options of a user."""
    protocol, _ = split_protocol(origin)
    first, cut, behind = origin.partition("::")
    if cut and is_chainable(protocol or first):
        inner = find_file(behind, options, outermost=False)
        store, path = locate(first, options, inner, outermost=outermost)
        if store.inner == (inner[0], None):
            return store, path
        return store, unescape_name(path, chained=True)
    store, path = locate(origin, options, outermost=outermost)
    return store, path if protocol in HTTP_PROTOCOLS else unescape_name(path, chained=False)


def is_chainable(protocol: str) -> bool:
    """Tell whether files of `protocol` are read from a file that another URL names."""
    if protocol in ARCHIVE_PROTOCOLS:
        return True
    file_system_class = find_class(protocol)
    if issubclass(file_system_class, AbstractArchiveFileSystem | CachingFileSystem):
        return True
    return "fo" in inspect.signature(file_system_class.__init__).parameters


def open_origin(uri_origin: str, storage_options: Mapping[str, Any] | None = None) -> FileReader:
    """Open the one file that an origin names.

    Parameters
    ----------
    uri_origin
        An origin as `Store.origin` makes it. It names one file: a ``*``, ``?``, ``[`` or ``#``
        in it is part of the name.
    storage_options
        As for ``read_dicom``; an origin holds no credentials.

    Raises
    ------
    StorageFault
        It cannot be opened.
    """
    store, path = find_file(uri_origin, storage_options or {})
    return store.open(path, None)


def fetch_range(
    uri_origin: str, start: int, stop: int, storage_options: Mapping[str, Any] | None = None
) -> bytes:
    """Read bytes `start` to `stop` of the one file that an origin names.

    Raises
    ------
    StorageFault
        The range cannot be read whole.
    """
    store, path = find_file(uri_origin, storage_options or {})
    fetcher = store.connect(DEFAULT_TRANSFER)
    if fetcher is not None and stop - start <= PIECE_BYTES and store.protocol in S3_PROTOCOLS:
        return fetcher.submit(Ask(path, start, stop)).result().data  # one request, no size asked
    with store.open(path, None) as reader:
        return reader.read(start, stop)


def resolve_origins(origins: Iterable[str], stores: Sequence[Store]) -> Iterator[tuple[Store, str]]:
    """Yield the store and the path of each origin that one of `stores` made.

    An archive that lies in one of them is a store too, the same one for members that follow
    one another.

    Raises
    ------
    StorageFault
        None of them made it.
    """
    archive: list[Store] = []
    for origin in origins:
        store, path = _resolve(origin, [*archive, *stores])
        archive = [store] if store.is_archive else []
        yield store, path


def _resolve(origin: str, stores: Sequence[Store]) -> tuple[Store, str]:
    protocol, name = split_protocol(origin)
    for store in stores:
        if store.inner is None:
            if store.protocol == protocol and origin.startswith(store.prefix):
                return store, unescape_name(origin[len(store.prefix) :], chained=False)
        elif origin.startswith(store.prefix) and origin.endswith(store.suffix):
            name = origin[len(store.prefix) : len(origin) - len(store.suffix)]
            return store, unescape_name(name, chained=True)
    name, _, behind = name.partition("::")
    if protocol not in ARCHIVE_PROTOCOLS or not behind:
        raise StorageFault("no store of this read holds the file")
    archive = Store(protocol, f"{protocol}://", f"::{behind}", {}, _resolve(behind, stores))
    return archive, unescape_name(name, chained=True)


def _own_options(protocol: str, options: Mapping[str, Any], *, outermost: bool) -> dict[str, Any]:
    known = {*fsspec.available_protocols(), *fsspec.registry}
    below = {name for name in options if name in known and isinstance(options[name], Mapping)}
    own = {name: value for name, value in options.items() if outermost and name not in below}
    return {**(options[protocol] if protocol in below else {}), **own}


def _join_url(protocol: str, userinfo: tuple[str, str] | None, rest: str) -> str:
    if userinfo is None or protocol in S3_PROTOCOLS:
        return f"{protocol}://{rest}"
    user, password = (quote(part, safe="") for part in userinfo)
    return f"{protocol}://{user}:{password}@{rest}" if password else f"{protocol}://{user}@{rest}"


def _options_from_url(
    file_system_class: type[AbstractFileSystem],
    protocol: str,
    url: str,
    userinfo: tuple[str, str] | None,
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = dict(file_system_class._get_kwargs_from_urls(url))
    except ValueError:
        raise InvalidOptionError(
            f"the path {hide_credentials(url)!r} is no valid URL; check its host and port"
        ) from None
    # These two come from taking a ? or # in a name for syntax.
    found = {name: value for name, value in found.items() if name[:4] != "url_"}
    for name in {"user", "username", "password"} & found.keys():
        found[name] = unquote(found[name])
    if userinfo is not None and protocol in S3_PROTOCOLS:
        found["key"], found["secret"] = userinfo
    return found


def _split_path(
    file_system_class: type[AbstractFileSystem], protocol: str, url: str, rest: str
) -> tuple[str, str]:
    """Return the prefix and the path: a probe tells what the class keeps, so no name is parsed."""
    authority, _, tail = rest.partition("/")
    probe = file_system_class._strip_protocol(f"{protocol}://host/name")
    if protocol in HTTP_PROTOCOLS:
        return "", url
    if probe == "host/name" and "@" not in authority:
        return f"{protocol}://", rest.rstrip("/")
    if probe == "/name":
        return f"{protocol}://{authority}", "/" + tail.strip("/")
    if probe == "/host/name":
        return f"{protocol}:/", "/" + rest.strip("/")
    return f"{protocol}://", str(file_system_class._strip_protocol(url))
