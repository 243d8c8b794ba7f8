"""Reach the store that a file lies in, from its place in a listing or from its origin."""

from __future__ import annotations

import inspect
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, unquote

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.cached import CachingFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.ranges import (
    ArchiveStream,
    FileReader,
    HandleFile,
    LocalFile,
    RangeFile,
    StorageFault,
    call_storage,
)
from dicomframe.scan.urls import (
    HTTP_PROTOCOLS,
    escape_name,
    hide_credentials,
    split_protocol,
    split_userinfo,
    unescape_name,
)

__all__ = [
    "FileReader",
    "StorageFault",
    "Store",
    "fetch_range",
    "is_chainable",
    "locate",
    "open_file_system",
    "open_origin",
]

_ARCHIVE_BLOCK_BYTES = 128 * 1024
_OPEN_FILE_SYSTEMS = 8
_S3_PROTOCOLS = frozenset({"s3", "s3a"})
_EXTRAS = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs"}


@dataclass(frozen=True, slots=True, repr=False)
class Store:
    """Reach the files of the local disk or of one fsspec file system.

    It pickles small, holds nothing open and connects on first use, on the worker. A path given
    to its methods is taken as it is: never as a glob, never as a chain of URLs.

    Attributes
    ----------
    protocol
        The name that fsspec knows the file system by.
    prefix, suffix
        What stands before and behind a path in its origin; free of credentials.
    options
        What fsspec needs to connect, credentials included; never shown.
    inner
        The store and the path of the file that an archive is read from; the path is None
        where this store only caches the files of the inner one.
    """

    protocol: str
    prefix: str
    suffix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    inner: tuple[Store, str | None] | None = None

    def __repr__(self) -> str:
        return f"Store({self.prefix + '*' + self.suffix!r})"

    def origin(self, path: str) -> str:
        """Return the URL of a file: valid UTF-8, without credentials, of no other file.

        >>> Store("file", "file://").origin("/data/a.dcm")
        'file:///data/a.dcm'
        """
        if self.protocol == "file" and "%" not in path and path.isascii():
            return f"file://{path}"
        if self.inner is not None and self.inner[1] is None:
            return f"{self.protocol}::{self.inner[0].origin(path)}"
        if self.protocol in HTTP_PROTOCOLS:
            return hide_credentials(path)
        return self.prefix + escape_name(path, chained=self.inner is not None) + self.suffix

    def open(self, path: str, size: int | None) -> FileReader:
        """Open a file, without waiting for whatever may hide behind its name.

        Parameters
        ----------
        path
            The path within the file system; undecodable bytes as lone surrogates.
        size
            The length of the file in bytes if the listing told, so that it need not be asked
            for again. A local file tells its own.

        Raises
        ------
        StorageFault
            It is gone, forbidden, no regular file, or the file system failed.
        """
        if self.protocol == "file":
            return LocalFile(path.encode("utf-8", "surrogateescape"))
        return _open_remote(self, path, size)


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
    file_system_class = _file_system_class(protocol)
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


def is_chainable(protocol: str) -> bool:
    """Tell whether files of `protocol` are read from a file that another URL names."""
    file_system_class = _file_system_class(protocol)
    if issubclass(file_system_class, AbstractArchiveFileSystem | CachingFileSystem):
        return True
    return "fo" in inspect.signature(file_system_class.__init__).parameters


def open_file_system(store: Store) -> AbstractFileSystem:
    """Return a new connection to a store (fsspec may share it); the caller keeps it."""
    if store.inner is None:
        return fsspec.filesystem(store.protocol, **store.options)
    inner, path = store.inner
    file_system_class = _file_system_class(store.protocol)
    if path is None:
        return file_system_class(fs=open_file_system(inner), **store.options)
    if issubclass(file_system_class, AbstractArchiveFileSystem):
        # Not by its name: fsspec would take the name for a glob or a chain.
        stream = io.BufferedReader(
            ArchiveStream(inner.open(path, None), path), _ARCHIVE_BLOCK_BYTES
        )
        return file_system_class(fo=stream, **store.options)
    return fsspec.filesystem(
        store.protocol,
        fo=path,
        target_protocol=inner.protocol,
        target_options=dict(inner.options),
        **store.options,
    )


def open_origin(
    uri_origin: str, storage_options: Mapping[str, Any] | None = None, size: int | None = None
) -> FileReader:
    """Open the one file that an origin names.

    Parameters
    ----------
    uri_origin
        An origin as `Store.origin` makes it. It names one file: a ``*``, ``?``, ``[`` or ``#``
        in it is part of the name.
    storage_options
        As for ``read_dicom``; an origin holds no credentials.
    size
        The length of the file in bytes if it is known, or a part of it that is enough.

    Raises
    ------
    StorageFault
        It cannot be opened.
    """
    store, path = _resolve(uri_origin, storage_options or {}, outermost=True)
    # A server may send more than it was asked for: there the true size is needed.
    return store.open(path, None if store.protocol in HTTP_PROTOCOLS else size)


def fetch_range(
    uri_origin: str, start: int, stop: int, storage_options: Mapping[str, Any] | None = None
) -> bytes:
    """Read bytes `start` to `stop` of the one file that an origin names.

    Raises
    ------
    StorageFault
        The range cannot be read whole.
    """
    with open_origin(uri_origin, storage_options, size=stop) as reader:
        return reader.read(start, stop)


class _Connections(threading.local):
    """Keep the file systems used last, for one thread: archives are no good to two."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[int, int], tuple[Store, AbstractFileSystem]] = OrderedDict()

    def get(self, store: Store) -> AbstractFileSystem:
        # By identity, so that a new listing never meets the archive as it was before.
        key = (os.getpid(), id(store))
        kept = self.kept.get(key)
        if kept is None:
            kept = store, call_storage(open_file_system, store)
            self.kept[key] = kept
            if len(self.kept) > _OPEN_FILE_SYSTEMS:
                self.kept.popitem(last=False)
        else:
            self.kept.move_to_end(key)
        return kept[1]


_connections = _Connections()


def _open_remote(store: Store, path: str, size: int | None) -> FileReader:
    file_system = _connections.get(store)
    fetches_ranges = (
        isinstance(file_system, AsyncFileSystem)
        or type(file_system).cat_file is not AbstractFileSystem.cat_file
    )
    reader = RangeFile if fetches_ranges else HandleFile
    return reader(file_system, path, size)


def _file_system_class(protocol: str) -> type[AbstractFileSystem]:
    try:
        found: type[AbstractFileSystem] = fsspec.get_filesystem_class(protocol)
    except ValueError:
        known = sorted({*fsspec.available_protocols(), *fsspec.registry})
        close = get_close_matches(protocol, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InvalidOptionError(
            f"the protocol of a path must be one that fsspec knows ({', '.join(known)}), "
            f"found {protocol!r}{hint}"
        ) from None
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        way_out = f"run pip install 'dicomframe[{extra}]'" if extra else str(error).rstrip(".")
        raise ImportError(
            f"the file system of {protocol!r} needs a package that is not installed; {way_out}"
        ) from error
    return found


def _own_options(protocol: str, options: Mapping[str, Any], *, outermost: bool) -> dict[str, Any]:
    known = {*fsspec.available_protocols(), *fsspec.registry}
    below = {name for name in options if name in known and isinstance(options[name], Mapping)}
    own = {name: value for name, value in options.items() if outermost and name not in below}
    return {**(options[protocol] if protocol in below else {}), **own}


def _join_url(protocol: str, userinfo: tuple[str, str] | None, rest: str) -> str:
    if userinfo is None or protocol in _S3_PROTOCOLS:
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
    if userinfo is not None and protocol in _S3_PROTOCOLS:
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


def _resolve(origin: str, options: Mapping[str, Any], *, outermost: bool) -> tuple[Store, str]:
    """Return the store and the path that an origin was made from."""
    protocol, _ = split_protocol(origin)
    first, cut, behind = origin.partition("::")
    if cut and is_chainable(protocol or first):
        inner = _resolve(behind, options, outermost=False)
        store, path = locate(first, options, inner, outermost=outermost)
        if store.inner == (inner[0], None):
            return store, path
        return store, unescape_name(path, chained=True)
    store, path = locate(origin, options, outermost=outermost)
    return store, path if protocol in HTTP_PROTOCOLS else unescape_name(path, chained=False)
