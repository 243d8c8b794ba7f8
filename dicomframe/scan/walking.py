"""Find files below a folder or behind a glob, on the local disk or an fsspec file system."""

# Names are bytes that need not be UTF-8, and must come back as they are: no pathlib.
# ruff: noqa: PTH114, PTH116, PTH118, PTH208

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any, NamedTuple, Protocol

from fsspec.archive import AbstractArchiveFileSystem
from fsspec.spec import AbstractFileSystem

from dicomframe.scan.ranges import describe_error, words_for_mode
from dicomframe.scan.urls import HTTP_PROTOCOLS

__all__ = [
    "Found",
    "LocalTree",
    "RemoteTree",
    "Rows",
    "Tree",
    "encode_path",
    "expand_glob",
    "has_magic",
]

# File systems without true folders: one flat listing is quicker, and misses no odd key.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
_ENCRYPTED = 1


class Found(NamedTuple):
    """A name that was met, and what is known of it."""

    path: str
    is_folder: bool
    size: int | None = None
    trouble: str | None = None
    identity: tuple[int, int] | None = None
    """Device and inode of a local folder, which tell it again behind a link."""


@dataclass(slots=True)
class Rows:
    """Gather the files of one store, column by column."""

    paths: list[bytes] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    troubles: list[str | None] = field(default_factory=list)

    def append(self, path: bytes, size: int | None, trouble: str | None = None) -> None:
        """Add a file, or what cannot be read as one."""
        self.paths.append(path)
        self.sizes.append(size)
        self.troubles.append(trouble)

    def append_found(self, found: Found) -> None:
        """Add what `Tree.look` or `Tree.children` told."""
        self.append(encode_path(found.path), found.size, found.trouble)


class Tree(Protocol):
    """What listing needs of a file system; no method raises what the file system raises."""

    def look(self, path: str) -> Found | None:
        """Tell what is at a path, following links; None if nothing is."""

    def children(self, folder: str) -> list[Found]:
        """Tell what is in a folder; one thing with trouble, the folder, if it cannot be told."""

    def walk(self, folder: str, rows: Rows) -> None:
        """Add every file below a folder to `rows`, and what cannot be read as one."""


def encode_path(path: str) -> bytes:
    """Return the bytes of a path; undecodable ones come back from their lone surrogates."""
    return path.encode("utf-8", "surrogateescape")


def has_magic(path: str) -> bool:
    """Tell whether a path can be a glob."""
    return _MAGIC.search(path) is not None


class LocalTree:
    """The local disk."""

    def look(self, path: str) -> Found | None:
        """Tell what is at a path, following links; None if nothing is."""
        try:
            status = os.stat(encode_path(path))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if "\0" not in path and os.path.islink(encode_path(path)):
                return Found(path, False, None, _DANGLING)
            return None
        except OSError as error:
            trouble = _why_no_stat(error)
            return None if trouble is None else Found(path, False, None, trouble)
        if stat.S_ISDIR(status.st_mode):
            return Found(path, True, identity=(status.st_dev, status.st_ino))
        if stat.S_ISREG(status.st_mode):
            return Found(path, False, status.st_size)
        return Found(path, False, None, words_for_mode(status.st_mode))

    def children(self, folder: str) -> list[Found]:
        """Tell what is in a folder; one thing with trouble, the folder, if it cannot be told."""
        try:
            names = os.listdir(encode_path(folder))
        except OSError as error:
            return [Found(folder, False, None, _unlisted(error))]
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
                    rows.append(path, None, "is a folder that a link leads back to")
                    continue
                with os.scandir(path) as entries:
                    _sort_entries(entries, (identity, above), pending, rows)
            except OSError as error:
                rows.append(path, None, _unlisted(error))


class RemoteTree:
    """A file system of fsspec."""

    def __init__(self, file_system: AbstractFileSystem, protocol: str) -> None:
        self._file_system = file_system
        self._protocol = protocol
        self._is_archive = isinstance(file_system, AbstractArchiveFileSystem)
        # Another session may have listed this before, and fsspec shares what it remembers.
        file_system.invalidate_cache()

    def look(self, path: str) -> Found | None:
        """Tell what is at a path; None if nothing is."""
        try:
            if self._is_archive:
                return self._look_in_archive(path)
            info = self._file_system.info(path)
            if self._protocol in HTTP_PROTOCOLS and _is_index_page(path, info):
                return Found(path, True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            return Found(path, False, None, describe_error(error))
        return self._found({**info, "name": path})

    def children(self, folder: str) -> list[Found]:
        """Tell what is in a folder; one thing with trouble, the folder, if it cannot be told."""
        try:
            if self._is_archive:
                return self._members_in(folder)
            entries = self._file_system.ls(folder, detail=True)
        except Exception as error:
            return [Found(folder, False, None, _unlisted(error))]
        here = folder.rstrip("/")
        return [
            self._found(entry)
            for entry in entries
            if entry["name"].rstrip("/") != here and not self._is_noise(entry, here)
        ]

    def walk(self, folder: str, rows: Rows) -> None:
        """Add every file below a folder to `rows`, and what cannot be read as one."""
        if self._is_archive or self._protocol in _OBJECT_STORES:
            try:
                entries = self._below(folder)
            except Exception as error:
                if self._is_archive:
                    rows.append(encode_path(folder), None, _unlisted(error))
                    return
            else:
                for found in map(self._found, entries):
                    if not found.is_folder:
                        rows.append_found(found)
                return
        pending, seen = [folder], {folder.rstrip("/")}
        while pending:
            for found in self.children(pending.pop()):
                if not found.is_folder:
                    rows.append_found(found)
                elif found.path.rstrip("/") not in seen:
                    seen.add(found.path.rstrip("/"))
                    pending.append(found.path)

    def _below(self, folder: str) -> Iterable[dict[str, Any]]:
        if self._is_archive:
            return self._members(folder)
        entries = self._file_system.find(folder, detail=True).values()
        return [entry for entry in entries if not _is_marker(entry)]

    def _look_in_archive(self, path: str) -> Found | None:
        if not path.strip("/"):
            return Found("", True)
        members = self._directory()
        name = path if path in members else path.strip("/")
        return self._found({**members[name], "name": name}) if name in members else None

    def _directory(self) -> dict[str, dict[str, Any]]:
        # Not ls or find: they look through the whole archive once for each folder in it.
        try:
            self._file_system.info("")
        except FileNotFoundError:
            return {}  # an archive without members
        directory: dict[str, dict[str, Any]] = self._file_system.dir_cache
        return directory

    def _members(self, folder: str) -> list[dict[str, Any]]:
        below = f"{folder}/" if folder else ""
        members = self._directory().items()
        return [{**info, "name": name} for name, info in members if name.startswith(below)]

    def _members_in(self, folder: str) -> list[Found]:
        depth = folder.count("/") + 1 if folder else 0
        members = (member for member in self._members(folder) if member["name"].count("/") == depth)
        return [self._found(member) for member in members]

    def _found(self, entry: dict[str, Any]) -> Found:
        path, kind, size = entry["name"], entry["type"], entry.get("size")
        if kind == "directory":
            return Found(path, True)
        if kind == "link":
            return self._follow(path)
        size = size if isinstance(size, int) else None
        if kind != "file":
            return Found(path, False, size, f"is of the kind {kind!r}, not a regular file")
        if self._protocol == "zip" and entry.get("flag_bits", 0) & _ENCRYPTED:
            return Found(path, False, size, "is encrypted")
        return Found(path, False, size)

    def _follow(self, path: str) -> Found:
        try:
            info = self._file_system.info(path)
        except FileNotFoundError:
            return Found(path, False, None, _DANGLING)
        except Exception as error:
            return Found(path, False, None, describe_error(error))
        if info["type"] == "directory":
            return Found(path, False, None, "is a link to a folder, which is only followed locally")
        size = info.get("size") if info["type"] == "file" else None
        return Found(path, False, size if isinstance(size, int) else None)

    def _is_noise(self, entry: dict[str, Any], folder: str) -> bool:
        if self._protocol in HTTP_PROTOCOLS:
            # An index page links to itself, sorted another way.
            return entry["name"][len(folder) :].lstrip("/")[:1] in {"?", "#"}
        return _is_marker(entry)


def expand_glob(tree: Tree, pattern: str) -> Iterator[Found]:
    """Yield what matches a glob, each as `Tree.look` tells it; in no certain order.

    ``*`` and ``?`` match within a name, hidden ones too, ``[...]`` one of several characters,
    ``**`` as a whole name any number of folders.
    """
    segments = pattern.split("/")
    first = next(i for i, segment in enumerate(segments) if has_magic(segment))
    base = "/".join(segments[:first])
    start = tree.look(base or ("/" if first else ""))
    if start is not None and start.is_folder:
        yield from _match(tree, start, tuple(segments[first:]))
    elif start is not None and start.trouble is not None:
        yield start


_MAGIC = re.compile(r"[*?[]")
_DANGLING = "is a link to nothing"
_LINK_LOOP = "is a link that leads back to itself"
_Chain = tuple[tuple[int, int], "_Chain"] | None


def _match(tree: Tree, start: Found, segments: tuple[str, ...]) -> Iterator[Found]:
    pending: list[tuple[Found, tuple[str, ...], _Chain]] = [(start, segments, None)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while pending:
        found, left, above = pending.pop()
        if (found.path, left) in seen:
            continue
        seen.add((found.path, left))
        if not left or found.trouble is not None or left == ("**",):
            yield found
        elif found.is_folder and left[0] == "**":
            pending.append((found, left[1:], above))
            chain = (found.identity, above) if found.identity else None
            for child in tree.children(found.path):
                if child.path == found.path:
                    yield child
                elif child.is_folder and not (chain and _is_above(chain, child.identity)):
                    pending.append((child, left, chain))
        elif found.is_folder:
            pending += [
                (child, () if child.path == found.path else left[1:], above)
                for child in _match_segment(tree, found, left[0])
            ]


def _match_segment(tree: Tree, folder: Found, segment: str) -> list[Found]:
    if not has_magic(segment):
        child = tree.look(_join(folder.path, segment))
        return [] if child is None else [child]
    children = tree.children(folder.path)
    if "[" in segment and "*" not in segment and "?" not in segment:
        literal = [child for child in children if _name(child) == segment]
        if literal:
            return literal
    fits = re.compile(translate(segment)).match
    return [child for child in children if child.path == folder.path or fits(_name(child))]


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder else name


def _name(found: Found) -> str:
    return found.path.rstrip("/").rpartition("/")[2]


def _sort_entries(
    entries: Iterable[os.DirEntry[bytes]],
    chain: _Chain,
    pending: list[tuple[bytes, _Chain]],
    rows: Rows,
) -> None:
    add_path, add_size, add_trouble = rows.paths.append, rows.sizes.append, rows.troubles.append
    for entry in entries:
        path = entry.path
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                status = os.stat(path)
        except FileNotFoundError:
            rows.append(path, None, _DANGLING if entry.is_symlink() else "vanished while listed")
            continue
        except OSError as error:
            rows.append(path, None, _why_no_stat(error) or describe_error(error))
            continue
        mode = status.st_mode
        if stat.S_ISREG(mode):
            add_path(path)
            add_size(status.st_size)
            add_trouble(None)
        elif stat.S_ISDIR(mode):
            pending.append((path, chain))
        else:
            rows.append(path, None, words_for_mode(mode))


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


def _unlisted(error: Exception) -> str:
    return f"a folder that cannot be listed: {describe_error(error)}"


def _is_marker(entry: dict[str, Any]) -> bool:
    return entry["name"].endswith("/") and not entry.get("size") and entry["type"] != "directory"


def _is_index_page(url: str, info: dict[str, Any]) -> bool:
    return url.endswith("/") or info.get("mimetype") == "text/html"
