"""Reach the folder of a catalogue on any file system, in which files are whole or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fsspec.spec import AbstractFileSystem

from dicomframe.errors import CatalogError, InvalidOptionError
from dicomframe.scan.locating import locate
from dicomframe.scan.ranges import describe_error
from dicomframe.scan.storage import Store, open_file_system
from dicomframe.scan.urls import hide_credentials
from dicomframe.scan.versions import modified_of

__all__ = ["CatalogPlace", "Stored"]

_LOCK = ".lock"
# A file of these is there once it is written whole; there is no renaming.
_FLAT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "wasb", "wasbs", "oss"})
_TEMPORARY = ".new-"

_T = TypeVar("_T")


class Stored(NamedTuple):
    """A file of a catalogue: its bytes, and when it was written, in seconds since 1970."""

    size: int
    written: float | None


@dataclass(frozen=True, slots=True, repr=False)
class CatalogPlace:
    """Name the folder of a catalogue; it pickles small and holds nothing open.

    Names of files are relative to the folder, such as ``dicom/part-1.parquet``. Every method
    raises OSError, with a message free of credentials, where the file system fails.

    Attributes
    ----------
    store, path
        Where the folder is.
    """

    store: Store
    path: str

    def __repr__(self) -> str:
        return f"CatalogPlace({self.origin!r})"

    @classmethod
    def at(cls, path: object, storage_options: Mapping[str, Any] | None = None) -> CatalogPlace:
        """Return the place that a path or a URL names.

        Raises
        ------
        InvalidOptionError
            It names no folder below a root.
        """
        url = os.fspath(path) if isinstance(path, str | os.PathLike) else path
        if not isinstance(url, str) or not url or "::" in url:
            raise InvalidOptionError(
                "a catalogue must be a folder, given by its path or URL, found "
                f"{hide_credentials(url) if isinstance(url, str) else type(url).__name__!r}"
            )
        store, located = locate(url, storage_options or {})
        if store.protocol == "file":
            located = str(Path(located).expanduser().absolute())
        located = located.rstrip("/")
        if not located:
            raise InvalidOptionError("a catalogue must be a folder below the root")
        return cls(store, located)

    @property
    def origin(self) -> str:
        """The folder as a URL, without credentials."""
        return self.store.origin(self.path)

    @property
    def is_local(self) -> bool:
        """Whether it is on the disk of this machine."""
        return self.store.protocol == "file"

    @property
    def file_system(self) -> AbstractFileSystem:
        """What fsspec reaches it by."""
        return open_file_system(self.store)

    def url(self, name: str) -> str:
        """Return the path of a local file, the URL of any other."""
        path = f"{self.path}/{name}"
        return path if self.is_local else f"{self.store.prefix}{path}"

    def list(self, folder: str = "") -> dict[str, Stored]:
        """Return what is in a folder, in the order of names; nothing if it is not there."""
        found = self._call(lambda: self._list_local(folder) if self.is_local else self._ls(folder))
        return dict(sorted(found.items()))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises
        ------
        FileNotFoundError
            It is not there.
        """
        if self.is_local:
            return Path(self.url(name)).read_bytes()
        data: bytes = self._call(lambda: self.file_system.cat_file(f"{self.path}/{name}"))
        return data

    def open(self, name: str) -> Any:
        """Open a file for reading at any position: a local path, else a file of fsspec."""
        if self.is_local:
            return self.url(name)
        return self._call(lambda: self.file_system.open(f"{self.path}/{name}", "rb"))

    def write(self, name: str, data: Any) -> None:
        """Write a file of a new name, whole or not at all."""
        folder, _, last = name.rpartition("/")
        passing = f"{folder}/{_TEMPORARY}{uuid.uuid4().hex[:12]}-{last}"

        def write() -> None:
            if self.is_local:
                self._write_local(passing, data)
                os.replace(self.url(passing), self.url(name))  # noqa: PTH105
            elif self.store.protocol in _FLAT:
                self.file_system.pipe_file(f"{self.path}/{name}", bytes(data))
            else:
                self._write_passing(passing, data)
                self.file_system.mv(f"{self.path}/{passing}", f"{self.path}/{name}")

        self._call(write)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file whole, never over another one; return whether that was done.

        Where the store knows no exclusive writing, the name is looked for before and what is
        there is compared afterwards.
        """
        if self.is_local:
            return self._call(lambda: self._link_local(name, data))
        return self._call(lambda: self._create_remote(name, data))

    def remove(self, names: Iterable[str]) -> None:
        """Remove files as far as that can be done."""
        for name in names:
            with suppress(Exception):
                if self.is_local:
                    Path(self.url(name)).unlink()
                else:
                    self.file_system.rm_file(f"{self.path}/{name}")

    def remove_folder(self, name: str) -> None:
        """Remove a folder of files, as far as that can be done."""
        self.remove([f"{name}/{each}" for each in self.list(name)])
        with suppress(Exception):
            if self.is_local:
                Path(self.url(name)).rmdir()
            elif self.store.protocol not in _FLAT:
                self.file_system.rmdir(f"{self.path}/{name}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only run of this machine that writes the catalogue; it ends with the process.

        Raises
        ------
        CatalogError
            Another run is writing.
        """
        if not self.is_local:
            yield
            return
        try:
            import fcntl  # noqa: PLC0415  (POSIX)
        except ImportError:  # the exclusive name of the next state is left
            yield
            return
        self._call(lambda: Path(self.path).mkdir(parents=True, exist_ok=True))
        with self._call(lambda: Path(self.url(_LOCK)).open("a+", encoding="ascii")) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read(20).strip()
                raise CatalogError(
                    f"another run{f' (process {holder})' if holder else ''} is writing the "
                    f"catalogue {self.origin!r}; start this one again when that has ended"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def _list_local(self, folder: str) -> dict[str, Stored]:
        found = {}
        with suppress(FileNotFoundError), os.scandir(self.url(folder)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    found[entry.name] = Stored(status.st_size, status.st_mtime)
        return found

    def _ls(self, folder: str) -> dict[str, Stored]:
        file_system, path = self.file_system, f"{self.path}/{folder}".rstrip("/")
        file_system.invalidate_cache()
        try:
            entries = file_system.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        found = {}
        for entry in entries:
            name = str(entry["name"]).rstrip("/")
            if name.strip("/") != path.strip("/"):
                modified = modified_of(entry)
                written = None if modified is None else modified / 1_000_000
                found[name.rpartition("/")[2]] = Stored(int(entry.get("size") or 0), written)
        return found

    def _write_local(self, name: str, data: Any) -> None:
        path = Path(self.url(name))
        try:
            file = path.open("xb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb")
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _link_local(self, name: str, data: bytes) -> bool:
        folder, _, last = name.rpartition("/")
        passing = f"{folder}/{_TEMPORARY}{uuid.uuid4().hex[:12]}-{last}"
        self._write_local(passing, data)
        try:
            os.link(self.url(passing), self.url(name))
        except FileExistsError:
            return False
        finally:
            Path(self.url(passing)).unlink()
        return True

    def _write_passing(self, name: str, data: Any) -> None:
        file_system, folder = self.file_system, f"{self.path}/{name}".rpartition("/")[0]
        file_system.makedirs(folder, exist_ok=True)
        file_system.pipe_file(f"{self.path}/{name}", bytes(data))

    def _create_remote(self, name: str, data: bytes) -> bool:
        file_system, path = self.file_system, f"{self.path}/{name}"
        file_system.invalidate_cache()
        if file_system.exists(path):
            return False
        if self.store.protocol not in _FLAT:
            file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            file_system.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except (NotImplementedError, TypeError, ValueError):
            file_system.pipe_file(path, data)
        except OSError as error:
            if "precondition" in str(error).lower():
                return False
            raise
        file_system.invalidate_cache()
        return bool(file_system.cat_file(path) == data)

    def _call(self, function: Callable[[], _T]) -> _T:
        try:
            return function()
        except (CatalogError, FileNotFoundError):
            raise
        except Exception as error:
            raise OSError(
                f"the catalogue {self.origin!r} cannot be reached ({describe_error(error)}); "
                "check its path, its permissions and the options of its store"
            ) from None
