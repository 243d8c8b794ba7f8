"""Reach the store that a file lies in, from its place in a listing or from its origin."""

from __future__ import annotations

import inspect
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, unquote

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.cached import CachingFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.errors import InvalidOptionError
from dicomframe.scan.archives import ARCHIVE_PROTOCOLS, MemberFinder
from dicomframe.scan.fetching import THREADED_PROTOCOLS, Ask, Fetcher
from dicomframe.scan.ranges import (
    ArchiveStream,
    FileReader,
    HandleFile,
    LocalFile,
    StorageFault,
    call_storage,
)
from dicomframe.scan.remote import PIECE_BYTES, RangeFile
from dicomframe.scan.transfer import DEFAULT_TRANSFER, Transfer
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
    "find_file",
    "is_chainable",
    "locate",
    "open_file_system",
    "open_origin",
    "resolve_origin",
]

_ARCHIVE_BLOCK_BYTES = 128 * 1024
_MOST_CONNECTIONS = 8
_S3_PROTOCOLS = frozenset({"s3", "s3a"})
_EXTRAS = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs", "viewfs": "hdfs", "gs": "gcs", "gcs": "gcs",
           "abfs": "azure", "abfss": "azure", "az": "azure"}  # fmt: skip


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

    @property
    def is_archive(self) -> bool:
        """Whether the files are members of one archive."""
        return self.protocol in ARCHIVE_PROTOCOLS and self.inner is not None

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

    def open(self, path: str, size: int | None, limits: Limits = DEFAULT_LIMITS) -> FileReader:
        """Open a file, without waiting for whatever may hide behind its name.

        Parameters
        ----------
        path
            The path within the file system; undecodable bytes as lone surrogates.
        size
            The length of the file in bytes if the listing told, so that it need not be asked
            for again. A local file tells its own.
        limits
            How far a member of an archive is unpacked.

        Raises
        ------
        StorageFault
            It is gone, forbidden, no regular file, or the file system failed.
        Damage
            It is a member of an archive, and damaged.
        """
        if self.protocol == "file":
            return LocalFile(path.encode("utf-8", "surrogateescape"))
        connection, fetcher = _connections.get(self, DEFAULT_TRANSFER, limits)
        if fetcher is not None:
            return RangeFile(fetcher, path, size)
        if isinstance(connection, MemberFinder):
            return connection.open(path)
        return HandleFile(connection, path, size)

    def connect(self, transfer: Transfer) -> Fetcher | None:
        """Return the connection that fetches ranges; None where files are opened one by one.

        Raises
        ------
        StorageFault
            There is no connection to be had.
        """
        if self.protocol == "file" or self.is_archive:
            return None
        return _connections.get(self, transfer, DEFAULT_LIMITS)[1]


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
    if protocol in ARCHIVE_PROTOCOLS:
        return True
    file_system_class = _file_system_class(protocol)
    if issubclass(file_system_class, AbstractArchiveFileSystem | CachingFileSystem):
        return True
    return "fo" in inspect.signature(file_system_class.__init__).parameters


def open_file_system(store: Store, transfer: Transfer | None = None) -> AbstractFileSystem:
    """Return a new connection to a store (fsspec may share it); the caller keeps it.

    With `transfer` it leaves retries to a `Fetcher`.
    """
    if store.inner is None:
        if transfer is None:
            return fsspec.filesystem(store.protocol, **store.options)
        options = _tuned(store.protocol, store.options, transfer)
        file_system = fsspec.filesystem(store.protocol, **options)
        if options != store.options:
            file_system.retries = 1  # of s3fs itself, beside those of its client
        return file_system
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
    store, path = find_file(uri_origin, storage_options or {}, outermost=True)
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
    store, path = find_file(uri_origin, storage_options or {}, outermost=True)
    fetcher = store.connect(DEFAULT_TRANSFER)
    if fetcher is not None and stop - start <= PIECE_BYTES and store.protocol in _S3_PROTOCOLS:
        return fetcher.submit(Ask(path, start, stop)).result().data  # one request, no size asked
    with store.open(path, None) as reader:
        return reader.read(start, stop)


def resolve_origin(origin: str, stores: Iterable[Store]) -> tuple[Store, str]:
    """Return the store and the path of an origin that one of `stores` made.

    An archive that lies in one of them is a store too.

    Raises
    ------
    StorageFault
        None of them made it.
    """
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
    archive = Store(protocol, f"{protocol}://", f"::{behind}", {}, resolve_origin(behind, stores))
    return archive, unescape_name(name, chained=True)


class _Connections(threading.local):
    """Keep the connections used last, for one thread: archives are no good to two."""

    def __init__(self) -> None:
        self.kept: OrderedDict[
            Any, tuple[Store, AbstractFileSystem | MemberFinder, Fetcher | None]
        ] = OrderedDict()

    def get(
        self, store: Store, transfer: Transfer, limits: Limits
    ) -> tuple[AbstractFileSystem | MemberFinder, Fetcher | None]:
        # An archive by identity, so that a new listing never meets it as it was before.
        key = (os.getpid(), transfer, limits, store if store.inner is None else id(store))
        kept = self.kept.get(key)
        if kept is None:
            kept = self.kept[key] = store, *_connect(store, transfer, limits)
            if len(self.kept) > _MOST_CONNECTIONS:
                _, dropped = self.kept.popitem(last=False)
                if isinstance(dropped[1], MemberFinder):
                    dropped[1].close()
        else:
            self.kept.move_to_end(key)
        return kept[1:]


_connections = _Connections()


def _connect(
    store: Store, transfer: Transfer, limits: Limits
) -> tuple[AbstractFileSystem | MemberFinder, Fetcher | None]:
    if store.is_archive and store.inner is not None:
        inner, path = store.inner
        archive = inner.open(path or "", None)
        return MemberFinder(archive, limits, ahead_bytes=transfer.first_bytes), None
    file_system = call_storage(open_file_system, store, transfer)
    if not _fetches_ranges(file_system, store.protocol):
        return file_system, None
    return file_system, Fetcher(file_system, store.protocol, transfer, store.options)


def _fetches_ranges(file_system: AbstractFileSystem, protocol: str) -> bool:
    return (
        isinstance(file_system, AsyncFileSystem)
        or protocol in THREADED_PROTOCOLS
        or type(file_system).cat_file is not AbstractFileSystem.cat_file
    )


def _tuned(protocol: str, options: Mapping[str, Any], transfer: Transfer) -> dict[str, Any]:
    """Return the options of a file system whose requests are tried again here, not by itself."""
    if protocol not in _S3_PROTOCOLS or "s3fs" not in _file_system_class(protocol).__module__:
        return dict(options)
    config = {
        "max_pool_connections": transfer.in_flight,
        "retries": {"total_max_attempts": 1},
        **options.get("config_kwargs", {}),
    }
    return {**options, "config_kwargs": config}


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
