"""List the files that a path names, without opening any."""

# Names are bytes that need not be UTF-8, and must come back as they are: no pathlib.
# ruff: noqa: PTH109, PTH111, PTH118, PTH121

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.crawling import RemoteTree
from dicomframe.scan.gathering import Entry, Rows, Run, merge_runs, one_batch
from dicomframe.scan.locating import is_chainable, locate
from dicomframe.scan.packing import FILES_SCHEMA, TIMED_SCHEMA, pack_files, unpack_files
from dicomframe.scan.patterns import Selection, has_magic
from dicomframe.scan.progress import Counter
from dicomframe.scan.ranges import StorageFault, describe_error
from dicomframe.scan.storage import Store, open_file_system
from dicomframe.scan.urls import HTTP_PROTOCOLS, hide_credentials, split_chain, split_protocol
from dicomframe.scan.walking import Found, LocalTree, Tree, encode_path, expand_glob, glob_base

__all__ = ["Listing", "Root", "list_files", "make_listing"]

_CHUNK_ROWS = 50_000


class Root(NamedTuple):
    """Tell what of a store was listed.

    Attributes
    ----------
    store
        The file system.
    path
        A file, a folder with all below it, or a glob.
    base
        The folder from which on patterns see a path.
    is_glob
        Whether `path` is one.
    """

    store: Store
    path: str
    base: str
    is_glob: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """Hold what a path names, in some bytes per file.

    Attributes
    ----------
    stores
        The file systems that hold the files.
    file_count
        The number of files.
    chunks
        The files, as `pack_files` makes them of some ten thousand, with the columns
        `FILES_SCHEMA`, in the order of store and path. A size is null where the file system
        does not tell it. Where `trouble` is not null there is no file to be opened: it tells
        what is there instead.
    schema
        The columns: `FILES_SCHEMA`, or `TIMED_SCHEMA` where modification times were asked for.
    roots
        Where these files were looked for; none if they were named one by one.
    """

    stores: tuple[Store, ...]
    file_count: int
    chunks: tuple[bytes, ...]
    schema: pa.Schema = FILES_SCHEMA
    roots: tuple[Root, ...] = ()

    def __repr__(self) -> str:
        return f"Listing(stores={len(self.stores)}, files={self.file_count})"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the files, one chunk after another."""
        return map(unpack_files, self.chunks)

    @property
    def files(self) -> pa.Table:
        """All files in one table, which takes as much memory as their names."""
        return pa.Table.from_batches(self.batches(), self.schema)


def list_files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
    counter: Counter | None = None,
    *,
    with_times: bool = False,
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
    selection
        Which of these files are wanted; its patterns see paths from the folder on that `path`
        names, or from the last folder before the first wildcard of a glob.
    counter
        Is told the number of files while they are found.
    with_times
        Whether the listing has a column ``modified``.

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
    counter = counter or Counter()
    runs: dict[Store, list[Run]] = {}
    roots: list[Root] = []
    try:
        for each in _check_paths(path):
            before = len(roots)
            for store, name in _roots(each, storage_options or {}, outermost=True):
                rows = Rows(selection, counter, with_times=with_times)
                root = _list_root(store, name, rows, with_times=with_times)
                if root is not None:
                    roots.append(root)
                    runs.setdefault(store, []).extend(rows.runs())
            if len(roots) == before:
                raise FileNotFoundError(_nothing_at(each))
    finally:
        counter.finish()
    listing = make_listing(runs, TIMED_SCHEMA if with_times else FILES_SCHEMA)
    return replace(listing, roots=tuple(roots))


def make_listing(runs: Mapping[Store, list[Run]], schema: pa.Schema = FILES_SCHEMA) -> Listing:
    """Return the files of several stores as a listing; use the runs up."""
    chunks: list[bytes] = []
    held: list[pa.RecordBatch] = []
    file_count = held_count = 0
    for number, several in enumerate(runs.values()):
        for batch in merge_runs(several):
            stores = pa.repeat(pa.scalar(number, pa.int32()), batch.num_rows)
            held.append(batch.set_column(0, schema.field("store"), stores))
            held_count += batch.num_rows
            file_count += batch.num_rows
            if held_count >= _CHUNK_ROWS:
                chunks.append(pack_files(one_batch(held)))
                held, held_count = [], 0
    if held:
        chunks.append(pack_files(one_batch(held)))
    return Listing(tuple(runs), file_count, tuple(chunks), schema)


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
        for batch in merge_runs(rows.runs()):
            for name in batch["path"].to_pylist():
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


def _list_root(store: Store, root: str, rows: Rows, *, with_times: bool = False) -> Root | None:
    """Add the files at a root; return it, None if there is nothing at all."""
    if store.protocol == "file":
        tree: Tree = LocalTree(with_times=with_times)
    else:
        try:
            file_system = open_file_system(store)
            tree = RemoteTree(file_system, store.protocol, with_times=with_times)
        except (ImportError, InvalidOptionError):
            raise
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise InvalidOptionError(
                f"the file system of {store.protocol!r} refuses its storage_options "
                f"({type(error).__name__}); see its documentation for those it knows"
            ) from None
        except Exception as error:
            if isinstance(error, StorageFault) and error.detail.startswith("no such file"):
                return None
            rows.append(Entry(encode_path(root), None, trouble=describe_error(error)))
            return Root(store, root, root)
    found = tree.look(root)
    if found is not None:
        base = found.path if found.is_folder else found.path.rpartition("/")[0]
        rows.set_base(base)
        _add(tree, found, rows)
        return Root(store, found.path, base)
    magic = _HTTP_MAGIC.search(root) if store.protocol in HTTP_PROTOCOLS else has_magic(root)
    if not magic:
        return None
    base = glob_base(root)
    rows.set_base(base)
    is_found = False
    for match, only in expand_glob(tree, root):
        rows.set_glob(only, match.path)
        _add(tree, match, rows)
        is_found = is_found or only is None
    return Root(store, root, base, is_glob=True) if is_found or rows.has_met else None


def _add(tree: Tree, found: Found, rows: Rows) -> None:
    if found.is_folder:
        tree.walk(found.path, rows)
    else:
        rows.append(found.as_entry())


def _nothing_at(path: str) -> str:
    kind = "matches no file" if has_magic(path) else "does not exist"
    return f"the path {hide_credentials(path)!r} {kind}; check its spelling"
