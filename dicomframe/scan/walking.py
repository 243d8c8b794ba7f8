"""Find files below a folder of the local disk, or behind a glob of any file system."""

# Names are bytes that need not be UTF-8, and must come back as they are: no pathlib.
# ruff: noqa: PTH114, PTH116, PTH118, PTH208

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import NamedTuple, Protocol, TypeVar

from dicomframe.scan.gathering import Entry, Rows
from dicomframe.scan.patterns import has_magic, match_or_below, segment_pattern
from dicomframe.scan.ranges import describe_error, words_for_mode

__all__ = [
    "DANGLING",
    "Found",
    "LocalTree",
    "Tree",
    "encode_path",
    "expand_glob",
    "glob_base",
    "unlisted",
]

DANGLING = "is a link to nothing"

_T = TypeVar("_T")
_ENTRIES_AT_ONCE = 10_000


class Found(NamedTuple):
    """A name that was met, and what is known of it."""

    path: str
    is_folder: bool
    size: int | None = None
    trouble: str | None = None
    identity: tuple[int, int] | None = None
    """Device and inode of a local folder, which tell it again behind a link."""
    version: int | None = None
    modified: int | None = None

    def as_entry(self) -> Entry:
        """Return it as a row."""
        path = encode_path(self.path)
        return Entry(path, self.size, self.version, self.trouble, self.modified)


class Tree(Protocol):
    """What listing needs of a file system; no method raises what the file system raises."""

    def look(self, path: str) -> Found | None:
        """Tell what is at a path, following links; None if nothing is."""

    def children(self, folder: str) -> list[Found]:
        """Tell what is in a folder; one thing with trouble, the folder, if it cannot be told."""

    def walk(self, folder: str, rows: Rows) -> None:
        """Add every file below a folder to `rows`, and what cannot be read as one."""

    def each(self, work: Callable[[Found], _T], founds: Iterable[Found]) -> Iterator[_T]:
        """Yield what `work` returns for each, in order; several at once if that is quicker."""


def encode_path(path: str) -> bytes:
    """Return the bytes of a path; undecodable ones come back from their lone surrogates."""
    return path.encode("utf-8", "surrogateescape")


def unlisted(error: Exception) -> str:
    """Tell why what is in a folder is not known."""
    return f"a folder that cannot be listed: {describe_error(error)}"


class LocalTree:
    """The local disk."""

    def __init__(self, *, with_times: bool = False) -> None:
        self._with_times = with_times

    def look(self, path: str) -> Found | None:
        """Tell what is at a path, following links; None if nothing is."""
        try:
            status = os.stat(encode_path(path))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if "\0" not in path and os.path.islink(encode_path(path)):
                return Found(path, False, None, DANGLING)
            return None
        except OSError as error:
            trouble = _why_no_stat(error)
            return None if trouble is None else Found(path, False, None, trouble)
        if stat.S_ISDIR(status.st_mode):
            return Found(path, True, identity=(status.st_dev, status.st_ino))
        if stat.S_ISREG(status.st_mode):
            modified = status.st_mtime_ns // 1000 if self._with_times else None
            return Found(path, False, status.st_size, modified=modified)
        return Found(path, False, None, words_for_mode(status.st_mode))

    def children(self, folder: str) -> list[Found]:
        """Tell what is in a folder; one thing with trouble, the folder, if it cannot be told."""
        try:
            names = os.listdir(encode_path(folder))
        except OSError as error:
            return [Found(folder, False, None, unlisted(error))]
        paths = (os.path.join(folder, name.decode("utf-8", "surrogateescape")) for name in names)
        return [found for path in paths if (found := self.look(path)) is not None]

    def walk(self, folder: str, rows: Rows) -> None:
        """Add every file below a folder to `rows`, and what cannot be read as one.

        Links are followed; one that leads to a folder it lies in is trouble.
        """
        pending: list[tuple[bytes, _Chain]] = [(encode_path(folder), None)]
        while pending:
            path, above = pending.pop()
            try:
                status = os.stat(path)
                identity = (status.st_dev, status.st_ino)
                if _is_above(above, identity):
                    rows.append(Entry(path, None, trouble="is a folder that a link leads back to"))
                    continue
                folders: list[bytes] = []
                with os.scandir(path) as entries:
                    while some := list(islice(entries, _ENTRIES_AT_ONCE)):
                        rows.extend(list(_look_at(some, folders, with_times=self._with_times)))
            except OSError as error:
                rows.append_unlisted(path, unlisted(error))
            else:
                # In order, so that what is gathered is nearly sorted.
                folders.sort(reverse=True)
                here = (identity, above)
                pending += [
                    (each, here)
                    for each in folders
                    if rows.enters(each.decode("utf-8", "surrogateescape"))
                ]
            rows.show_count()

    def each(self, work: Callable[[Found], _T], founds: Iterable[Found]) -> Iterator[_T]:
        """Yield what `work` returns for each, in order."""
        return map(work, founds)


def glob_base(pattern: str) -> str:
    """Return the folder that a glob starts from."""
    segments = pattern.split("/")
    first = next(i for i, segment in enumerate(segments) if has_magic(segment))
    return "/".join(segments[:first]) or ("/" if first else "")


def expand_glob(tree: Tree, pattern: str) -> Iterator[tuple[Found, re.Pattern[str] | None]]:
    """Yield what matches a glob, each as `Tree.look` tells it; in no certain order.

    ``*`` and ``?`` match within a name, hidden ones too, ``[...]`` one of several characters,
    ``**`` as a whole name any number of folders. From a ``**`` on nothing is looked up: the
    folder before it comes with the expression that the paths below it must fit.
    """
    start = tree.look(glob_base(pattern))
    if start is None or not start.is_folder:
        if start is not None and start.trouble is not None:
            yield start, None
        return
    segments = pattern.split("/")
    segments = segments[next(i for i, each in enumerate(segments) if has_magic(each)) :]
    cut = segments.index("**") if "**" in segments else len(segments) - 1
    folders = [start]
    for segment in segments[:cut]:
        above, folders = folders, []
        for found in _match_at_once(tree, above, segment):
            if found.is_folder:
                folders.append(found)
            elif found.trouble is not None:
                yield found, None
    if segments[cut] == "**":
        only = match_or_below(segments[cut:])
        yield from ((folder, only) for folder in folders)
    else:
        yield from ((found, None) for found in _match_at_once(tree, folders, segments[cut]))


_LINK_LOOP = "is a link that leads back to itself"
_Chain = tuple[tuple[int, int], "_Chain"] | None


def _match_at_once(tree: Tree, folders: list[Found], segment: str) -> Iterator[Found]:
    work = partial(_match_segment, tree, segment=segment)
    return chain.from_iterable(tree.each(work, folders))


def _match_segment(tree: Tree, folder: Found, segment: str) -> list[Found]:
    if not has_magic(segment):
        child = tree.look(_join(folder.path, segment))
        return [] if child is None else [child]
    children = tree.children(folder.path)
    if "[" in segment and "*" not in segment and "?" not in segment:
        literal = [child for child in children if _name(child) == segment]
        if literal:
            return literal
    fits = re.compile(segment_pattern(segment), re.DOTALL).fullmatch
    return [child for child in children if child.path == folder.path or fits(_name(child))]


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


def _name(found: Found) -> str:
    return found.path.rstrip("/").rpartition("/")[2]


def _look_at(
    entries: Iterable[os.DirEntry[bytes]], folders: list[bytes], *, with_times: bool
) -> Iterator[Entry]:
    """Yield what is no folder; add the others to `folders`."""
    for entry in entries:
        path = entry.path
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                status = os.stat(path)
        except FileNotFoundError:
            gone = DANGLING if entry.is_symlink() else "vanished while listed"
            yield Entry(path, None, trouble=gone)
            continue
        except OSError as error:
            yield Entry(path, None, trouble=_why_no_stat(error) or describe_error(error))
            continue
        mode = status.st_mode
        if stat.S_ISREG(mode):
            modified = status.st_mtime_ns // 1000 if with_times else None
            yield Entry(path, status.st_size, None, None, modified)
        elif stat.S_ISDIR(mode):
            folders.append(path)
        else:
            yield Entry(path, None, trouble=words_for_mode(mode))


def _is_above(chain: _Chain, identity: tuple[int, int] | None) -> bool:
    while chain is not None:
        if chain[0] == identity:
            return True
        chain = chain[1]
    return False


def _why_no_stat(error: OSError) -> str | None:
    """Tell why a path cannot be looked at; None if there can be no such path."""
    if error.errno == errno.ENAMETOOLONG:
        return None
    return _LINK_LOOP if error.errno == errno.ELOOP else describe_error(error)
