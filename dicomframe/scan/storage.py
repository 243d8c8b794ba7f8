"""Reach the files of one store, over connections that are kept."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.errors import InvalidOptionError
from dicomframe.scan import forking as _forking  # noqa: F401  (what it does at its import)
from dicomframe.scan.archives import ARCHIVE_PROTOCOLS
from dicomframe.scan.fetching import THREADED_PROTOCOLS, Fetcher
from dicomframe.scan.finding import MemberFinder
from dicomframe.scan.ranges import (
    ArchiveStream,
    FileReader,
    HandleFile,
    LocalFile,
    StorageFault,
    call_storage,
)
from dicomframe.scan.remote import RangeFile
from dicomframe.scan.transfer import DEFAULT_TRANSFER, Transfer
from dicomframe.scan.urls import HTTP_PROTOCOLS, escape_name, hide_credentials

__all__ = ["S3_PROTOCOLS", "FileReader", "StorageFault", "Store", "find_class", "open_file_system"]

S3_PROTOCOLS = frozenset({"s3", "s3a"})

_ARCHIVE_BLOCK_BYTES = 128 * 1024
_MOST_CONNECTIONS = 8
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

    def open(
        self,
        path: str,
        size: int | None,
        limits: Limits = DEFAULT_LIMITS,
        transfer: Transfer = DEFAULT_TRANSFER,
    ) -> FileReader:
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
        transfer
            How a remote file is fetched.

        Raises
        ------
        StorageFault
            It is gone, forbidden, no regular file, or the file system failed.
        Damage
            It is a member of an archive, and damaged.
        """
        if self.protocol == "file":
            return LocalFile(path.encode("utf-8", "surrogateescape"))
        connection, fetcher = _connections.get(self, transfer, limits)
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
    file_system_class = find_class(store.protocol)
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


def find_class(protocol: str) -> type[AbstractFileSystem]:
    """Return the file system that fsspec knows by a protocol.

    Raises
    ------
    InvalidOptionError
        It knows none; the message lists those that it does.
    ImportError
        The file system needs a package that is not installed.
    """
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


class _Connections(threading.local):
    """Keep the connections used last, for one thread: archives are no good to two."""

    def __init__(self) -> None:
        self.kept: OrderedDict[
            Any, tuple[Store, AbstractFileSystem | MemberFinder, Fetcher | None]
        ] = OrderedDict()

    def get(
        self, store: Store, transfer: Transfer, limits: Limits
    ) -> tuple[AbstractFileSystem | MemberFinder, Fetcher | None]:
        # An archive by identity, so that a new listing never meets it as it was before; the
        # limits are for what is unpacked alone.
        own = store if store.inner is None else (id(store), limits)
        key = os.getpid(), transfer, own
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
        archive = inner.open(path or "", None, transfer=transfer)
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
    if protocol not in S3_PROTOCOLS or "s3fs" not in find_class(protocol).__module__:
        return dict(options)
    config = {
        "max_pool_connections": transfer.in_flight,
        "retries": {"total_max_attempts": 1},
        **options.get("config_kwargs", {}),
    }
    return {**options, "config_kwargs": config}
