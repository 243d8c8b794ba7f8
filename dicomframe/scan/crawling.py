"""Find files below a folder of an fsspec file system, with many requests under way."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from fsspec.archive import AbstractArchiveFileSystem
from fsspec.asyn import AsyncFileSystem, sync
from fsspec.spec import AbstractFileSystem

from dicomframe.scan.gathering import Entry, Rows
from dicomframe.scan.ranges import describe_error
from dicomframe.scan.urls import HTTP_PROTOCOLS
from dicomframe.scan.versions import modified_of, version_of
from dicomframe.scan.walking import DANGLING, Found, encode_path, unlisted

__all__ = ["REQUESTS_AT_ONCE", "RemoteTree"]

REQUESTS_AT_ONCE = 16
"""How many folders or prefixes of one file system are listed at the same time."""

# File systems without true folders: all keys below a prefix come in one flat listing.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
# Not asynchronous, and safe to use from several threads.
_FOR_THREADS = frozenset({"hdfs", "viewfs", "webhdfs", "memory"})
_ENOUGH_PREFIXES = 4 * REQUESTS_AT_ONCE
_MANY_PREFIXES = 1024
_PAGE_ENTRIES = 1000
_ENCRYPTED = 1
_T = TypeVar("_T")


class RemoteTree:
    """A file system of fsspec."""

    def __init__(
        self, file_system: AbstractFileSystem, protocol: str, *, with_times: bool = False
    ) -> None:
        self._with_times = with_times
        self._file_system = file_system
        self._protocol = protocol
        self._is_archive = isinstance(file_system, AbstractArchiveFileSystem)
        self._is_object_store = protocol in _OBJECT_STORES
        self._has_pages = hasattr(file_system, "_iterdir")  # s3fs has
        is_parallel = isinstance(file_system, AsyncFileSystem) or protocol in _FOR_THREADS
        self._thread_count = REQUESTS_AT_ONCE if is_parallel else 1
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
            return list(map(self._found, self._list_folder(folder)))
        except Exception as error:
            return [Found(folder, False, None, unlisted(error))]

    def walk(self, folder: str, rows: Rows) -> None:
        """Add every file below a folder to `rows`, and what cannot be read as one."""
        if self._is_archive:
            self._walk_archive(folder, rows)
        elif self._is_object_store and self._can_list_flat():
            self._walk_prefixes(folder, rows)
        else:
            self._walk_folders(folder, rows)

    def each(self, work: Callable[[Found], _T], founds: Iterable[Found]) -> Iterator[_T]:
        """Yield what `work` returns for each, in order; several at once if that is quicker."""
        if self._thread_count == 1:
            yield from map(work, founds)
            return
        with ThreadPoolExecutor(self._thread_count) as pool:
            running: deque[Future[_T]] = deque()
            for found in founds:
                running.append(pool.submit(work, found))
                if len(running) >= self._thread_count:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

    def _walk_archive(self, folder: str, rows: Rows) -> None:
        try:
            members = self._members(folder)
        except Exception as error:
            rows.append_unlisted(encode_path(folder), unlisted(error))
        else:
            founds = map(self._found, members)
            rows.extend([found.as_entry() for found in founds if not found.is_folder])

    def _walk_folders(self, folder: str, rows: Rows) -> None:
        """List one folder with each request."""
        met = {folder.rstrip("/")}

        def list_one(path: str) -> list[str]:
            folders = self._add_children(path, rows)
            if self._protocol in HTTP_PROTOCOLS:  # an index page may lead back
                folders = [each for each in folders if each.rstrip("/") not in met]
                met.update(each.rstrip("/") for each in folders)
            return sorted((each for each in folders if not self._is_nameless(each)), reverse=True)

        self._at_once(list_one, [folder], rows)

    def _walk_prefixes(self, folder: str, rows: Rows) -> None:
        """List the upper folders until there is work for all, then all keys below each."""
        upper, nameless = [folder], list[str]()
        while upper and len(upper) < _ENOUGH_PREFIXES:
            found: list[str] = []

            def list_one(path: str, found: list[str] = found) -> list[str]:
                for each in self._add_children(path, rows):
                    (nameless if self._is_nameless(each) else found).append(each)
                return []

            self._at_once(list_one, upper, rows)
            upper = sorted(found)
        failed: set[str] = set()

        def list_flat(prefix: str) -> list[str]:
            try:
                self._add_below(prefix, rows)
            except Exception:  # perhaps only a part of it is forbidden
                failed.add(prefix.rpartition("/")[0])
            return []

        prefixes = [*_few_prefixes(upper), *(f"{each}/" for each in nameless)]
        self._at_once(list_flat, prefixes[::-1], rows)
        for each in sorted(failed):
            self._walk_folders(each, rows)

    def _at_once(self, work: Callable[[str], list[str]], first: Iterable[str], rows: Rows) -> None:
        """Do `work` on each path and on those that it returns, the last one first."""
        pending = list(first)
        if self._thread_count == 1:
            while pending:
                pending += work(pending.pop())
                rows.show_count()
            return
        running: set[Future[list[str]]] = set()
        pool = ThreadPoolExecutor(self._thread_count, thread_name_prefix="dicomframe-listing")
        try:
            while pending or running:
                while pending and len(running) < self._thread_count:
                    running.add(pool.submit(work, pending.pop()))
                done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
                for each in done:
                    pending += each.result()
                rows.show_count()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _add_children(self, folder: str, rows: Rows) -> list[str]:
        """Add the files in a folder to `rows`; return the folders that are worth a look."""
        entries, folders = [], []
        for found in self.children(folder):
            if found.is_folder:
                if rows.enters(found.path.rstrip("/")):
                    folders.append(found.path)
            elif found.path == folder and found.trouble is not None:
                rows.append_unlisted(encode_path(folder), found.trouble)
            else:
                entries.append(found.as_entry())
        rows.extend(entries)
        return folders

    def _add_below(self, prefix: str, rows: Rows) -> None:
        """Add all keys that start with a prefix, whatever slashes are in them."""
        if self._has_pages:
            sync(self._file_system.loop, self._stream, prefix, rows)
            return
        folder = prefix.rstrip("/") if prefix.endswith("/") else prefix.rpartition("/")[0]
        start = prefix[len(folder) + 1 :]
        options = {"prefix": start} if start else {}
        entries = self._file_system.find(folder, detail=True, **options)
        self._forget()
        entries = [entry for entry in entries.values() if not _is_marker(entry)]
        founds = map(self._found, entries)
        rows.extend([found.as_entry() for found in founds if not found.is_folder])

    async def _stream(self, prefix: str, rows: Rows) -> None:
        """Go through a listing of s3fs page by page: all of it at once is 1 KB a key."""
        entries: list[Entry] = []
        async for entry in self._iterate(prefix, delimiter=""):
            if not _is_marker(entry):
                entries.append(self._found(entry).as_entry())
            if len(entries) >= _PAGE_ENTRIES:
                rows.extend(entries)
                entries = []
        rows.extend(entries)

    async def _gather(self, prefix: str) -> list[dict[str, Any]]:
        """Return what `ls` of s3fs would, and leave nothing in its cache."""
        return [
            {name: entry.get(name) for name in ("name", "type", "size", "ETag", "LastModified")}
            async for entry in self._iterate(prefix, delimiter="/")
        ]

    async def _iterate(self, prefix: str, delimiter: str) -> AsyncIterator[dict[str, Any]]:
        bucket, _, key = prefix.partition("/")
        try:
            async for entry in self._file_system._iterdir(bucket, delimiter=delimiter, prefix=key):
                yield entry
        except Exception as error:
            # As s3fs itself does in what is public of it.
            translate = getattr(sys.modules.get("s3fs.errors"), "translate_boto_error", None)
            raise (translate(error) if translate else error) from error

    def _list_folder(self, folder: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]]
        if self._has_pages and folder:
            entries = sync(self._file_system.loop, self._gather, f"{folder}/")
            return [entry for entry in entries if not _is_marker(entry)]
        entries = self._file_system.ls(folder, detail=True)
        self._forget()
        here = folder.rstrip("/")
        return [
            entry
            for entry in entries
            if (entry["name"].rstrip("/") != here or self._is_nameless(entry["name"]))
            and not self._is_noise(entry, here)
        ]

    def _is_nameless(self, folder: str) -> bool:
        """Tell whether `ls` can not look into a folder, since its name is empty: ``a//b``."""
        return self._is_object_store and not self._has_pages and folder.endswith("/")

    def _forget(self) -> None:
        """Empty the cache of listings: of millions of files it would fill the memory."""
        if self._is_object_store:
            self._file_system.invalidate_cache()

    def _can_list_flat(self) -> bool:
        kind = type(self._file_system)
        if issubclass(kind, AsyncFileSystem):
            return kind._find is not AsyncFileSystem._find
        return kind.find is not AbstractFileSystem.find

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
        modified = modified_of(entry) if self._with_times else None
        return Found(path, False, size, version=self._version(entry), modified=modified)

    def _version(self, entry: dict[str, Any]) -> int | None:
        if not self._is_object_store:
            return None
        tags = (entry.get(name) for name in ("ETag", "etag", "e_tag", "md5Hash"))
        return next((version_of(tag) for tag in tags if isinstance(tag, str) and tag), None)

    def _follow(self, path: str) -> Found:
        try:
            info = self._file_system.info(path)
        except FileNotFoundError:
            return Found(path, False, None, DANGLING)
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


def _few_prefixes(folders: list[str]) -> list[str]:
    """Return what all keys below some folders begin with: some thousand prefixes at the most."""
    if len(folders) <= _MANY_PREFIXES:
        return [f"{folder}/" for folder in folders]
    groups, length = {""}, 0
    while len(groups) < _ENOUGH_PREFIXES:
        length += 1
        groups = {folder[:length] for folder in folders}
    return sorted(groups)


def _is_marker(entry: dict[str, Any]) -> bool:
    return entry["name"].endswith("/") and not entry.get("size") and entry["type"] != "directory"


def _is_index_page(url: str, info: dict[str, Any]) -> bool:
    return url.endswith("/") or info.get("mimetype") == "text/html"
