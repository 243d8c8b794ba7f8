"""List the files that a path names, without opening any."""

# Names are bytes that need not be UTF-8, and must come back as they are: no pathlib.
# ruff: noqa: PTH109, PTH111, PTH118, PTH121

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.ranges import StorageFault, describe_error
from dicomframe.scan.storage import Store, is_chainable, locate, open_file_system
from dicomframe.scan.urls import HTTP_PROTOCOLS, hide_credentials, split_chain, split_protocol
from dicomframe.scan.walking import (
    Found,
    LocalTree,
    RemoteTree,
    Rows,
    Tree,
    encode_path,
    expand_glob,
    has_magic,
)

__all__ = ["FILES_SCHEMA", "Listing", "list_files"]

FILES_SCHEMA = pa.schema(
    [
        pa.field("store", pa.int32(), nullable=False),
        pa.field("path", pa.binary(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("trouble", pa.string()),
    ]
)
"""The columns of a listing: store number, path as bytes, size in bytes, why it is unreadable."""


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """Hold what a path names.

    Attributes
    ----------
    stores
        The file systems that hold the files.
    files
        One row for each file, with the columns `FILES_SCHEMA`, in the order of store and path.
        A size is null where the file system does not tell it. Where `trouble` is not null
        there is no file to be opened: it tells what is there instead.
    """

    stores: tuple[Store, ...]
    files: pa.Table

    def __repr__(self) -> str:
        return f"Listing(stores={len(self.stores)}, files={self.files.num_rows})"


def list_files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
) -> Listing:
    """List every regular file that `path` names, hidden and empty ones too; open none.

    Parameters
    ----------
    path
        A file, a folder (with all below it), a glob (each match as if it were named itself),
        a URL of any protocol that fsspec knows, a chained URL such as
        ``zip://**::s3://bucket/a.zip``, or a list of these. The name of an existing local file
        is never taken for a glob or a URL.
    storage_options
        What fsspec needs to connect. In a chain, or in a list of several protocols, options
        below the name of a protocol go to that protocol only.

    Returns
    -------
    Listing
        Links are followed. An unreadable folder, a link to nothing, a FIFO, a socket and a
        device are rows with trouble.

    Raises
    ------
    FileNotFoundError
        A path does not exist, or a glob matches nothing.
    InvalidOptionError
        An empty list, an empty path, an unknown protocol.
    TypeError
        A path is no string, no path and no list of them.

    Examples
    --------
    >>> import fsspec
    >>> fsspec.filesystem("memory").pipe("/listed/a.dcm", b"")
    >>> listing = list_files("memory://listed")
    >>> listing.files["path"].to_pylist()
    [b'/listed/a.dcm']
    >>> listing.stores[0].origin("/listed/a.dcm")
    'memory://listed/a.dcm'
    """
    gathered: list[tuple[Store, list[Rows]]] = []
    numbers: dict[Store, int] = {}
    for each in _check_paths(path):
        for store, rows in _list_one(each, storage_options or {}):
            number = numbers.setdefault(store, len(gathered))
            if number == len(gathered):
                gathered.append((store, []))
            gathered[number][1].append(rows)
    tables = [_to_table(number, rows) for number, (_, rows) in enumerate(gathered)]
    files = pa.concat_tables(tables).combine_chunks()
    return Listing(tuple(store for store, _ in gathered), files)


_HTTP_MAGIC = re.compile(r"[*[]")


def _check_paths(path: object) -> list[str]:
    paths = list(path) if isinstance(path, list | tuple) else [path]
    if not paths:
        raise InvalidOptionError("path must name at least one file, folder or URL, found []")
    names = []
    for each in paths:
        name = os.fsdecode(each) if isinstance(each, os.PathLike) else each
        if not isinstance(name, str):
            raise TypeError(
                "path must be a str, an os.PathLike or a list of them, "
                f"found {type(each).__name__!r}"
            )
        if not name:
            raise InvalidOptionError("path must name a file, a folder or a URL, found ''")
        names.append(name)
    return names


def _list_one(path: str, options: Mapping[str, Any]) -> Iterator[tuple[Store, Rows]]:
    is_empty = True
    for store, root in _roots(path, options, outermost=True):
        rows = Rows()
        is_found = _list_root(store, root, rows)
        if is_found:
            is_empty = False
            yield store, rows
    if is_empty:
        raise FileNotFoundError(_nothing_at(path))


def _roots(
    path: str, options: Mapping[str, Any], *, outermost: bool
) -> Iterator[tuple[Store, str]]:
    """Yield the store and path of each root: several only where a glob names archives."""
    local = _as_local_path(path)
    if local is not None:
        yield Store("file", "file://"), local
        return
    protocol, _ = split_protocol(path)
    chain = split_chain(path)
    if chain is None or not is_chainable(protocol or chain[0]):
        yield locate(path, options, outermost=outermost)
        return
    layer, behind = chain
    for inner_store, inner_root in _roots(behind, options, outermost=False):
        if _passes_through(layer, options, (inner_store, inner_root)):
            yield locate(layer, options, (inner_store, inner_root), outermost=outermost)
            continue
        rows = Rows()
        if not _list_root(inner_store, inner_root, rows):
            raise FileNotFoundError(_nothing_at(behind))
        for name in sorted(rows.paths):
            inner = inner_store, name.decode("utf-8", "surrogateescape")
            yield locate(layer, options, inner, outermost=outermost)


def _passes_through(layer: str, options: Mapping[str, Any], inner: tuple[Store, str]) -> bool:
    made = locate(layer, options, inner)[0].inner
    return made is not None and made[1] is None


def _as_local_path(path: str) -> str | None:
    """Return the absolute path of a local file that `path` names, None if it is a URL."""
    protocol, rest = split_protocol(path)
    if protocol in ("file", "local"):
        return _make_absolute(rest)
    if protocol is not None:
        return None
    if "\0" in path:
        return path
    if not os.path.lexists(path):
        chain = split_chain(path)
        if chain is not None and is_chainable(chain[0]):
            return None
        if path.startswith("file:/"):
            return _make_absolute(path[5:])
        path = os.path.expanduser(path)
    return _make_absolute(path)


def _make_absolute(path: str) -> str:
    if "\0" in path:
        return path
    as_given = os.path.join(os.getcwd(), path)
    absolute = os.path.normpath(as_given)
    if absolute.startswith("//"):
        absolute = absolute[1:]
    # Behind a link, .. leads elsewhere than the text tells: keep it where that matters.
    if ".." in path.split("/") and not _is_same(absolute, as_given):
        absolute = as_given
    # By way of bytes, so that a name reads the same under any locale.
    return os.fsencode(absolute).decode("utf-8", "surrogateescape")


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _list_root(store: Store, root: str, rows: Rows) -> bool:
    """Add the files at a root; return whether there is anything at all."""
    if store.protocol == "file":
        tree: Tree = LocalTree()
    else:
        try:
            tree = RemoteTree(open_file_system(store), store.protocol)
        except (ImportError, InvalidOptionError):
            raise
        except FileNotFoundError:
            return False
        except (TypeError, ValueError) as error:
            raise InvalidOptionError(
                f"the file system of {store.protocol!r} refuses its storage_options "
                f"({type(error).__name__}); see its documentation for those it knows"
            ) from None
        except Exception as error:
            if isinstance(error, StorageFault) and error.detail.startswith("no such file"):
                return False
            rows.append(encode_path(root), None, describe_error(error))
            return True
    found = tree.look(root)
    if found is not None:
        _add(tree, found, rows)
        return True
    magic = _HTTP_MAGIC.search(root) if store.protocol in HTTP_PROTOCOLS else has_magic(root)
    matches = list(expand_glob(tree, root)) if magic else []
    for match in matches:
        _add(tree, match, rows)
    return bool(matches)


def _add(tree: Tree, found: Found, rows: Rows) -> None:
    if found.is_folder:
        tree.walk(found.path, rows)
    else:
        rows.append_found(found)


def _to_table(number: int, several: list[Rows]) -> pa.Table:
    """Return the files of one store, each once, in the order of their paths."""
    columns: tuple[Sequence[bytes], Sequence[int | None], Sequence[str | None]]
    first = several[0]
    columns = first.paths, first.sizes, first.troubles
    unique: dict[bytes, tuple[int | None, str | None]] = {}
    for rows in several:
        for path, size, trouble in zip(rows.paths, rows.sizes, rows.troubles, strict=True):
            unique.setdefault(path, (size, trouble))
    if len(unique) < sum(len(rows.paths) for rows in several) or len(several) > 1:
        columns = (
            list(unique),
            [size for size, _ in unique.values()],
            [trouble for _, trouble in unique.values()],
        )
    table = pa.table(
        [
            pa.repeat(pa.scalar(number, pa.int32()), len(columns[0])),
            pa.array(columns[0], pa.binary()),
            pa.array(columns[1], pa.int64()),
            pa.array(columns[2], pa.string()),
        ],
        schema=FILES_SCHEMA,
    )
    return table.sort_by("path")


def _nothing_at(path: str) -> str:
    kind = "matches no file" if has_magic(path) else "does not exist"
    return f"the path {hide_credentials(path)!r} {kind}; check its spelling"
