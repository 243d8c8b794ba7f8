"""Where the files of the conformance suite lie: on the local disk, or in any store."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs


@dataclass(frozen=True, repr=False)
class Store:
    """A folder anywhere that the tests may write to.

    Attributes
    ----------
    url
        The URL of the folder, without a slash at its end.
    options
        The ``storage_options`` that reach it.
    """

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def put(self, folder: Path, *, drops_refused: bool = False) -> str:
        """Copy the files of a local folder and return the URL of the copy.

        Where the store refuses a name and `drops_refused`, the local file is deleted.
        """
        if self.url.startswith("file:"):
            return f"file://{folder}"
        url = f"{self.url}/{folder.name}"
        file_system, root = url_to_fs(url, **self.options)

        def copy(path: Path) -> None:
            name = str(path.relative_to(folder))
            try:
                file_system.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
                write_file(file_system, f"{root}/{name}", path.read_bytes())
            except Exception:
                if not drops_refused:
                    raise
                path.unlink()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(copy, list_files_of(folder)))
        return url

    def make_empty(self) -> str:
        """Make an empty folder and return its URL; override it for a store without folders."""
        file_system, root = url_to_fs(f"{self.url}/nothing", **self.options)
        file_system.makedirs(root)
        return f"{self.url}/nothing"

    def remove(self, url: str) -> None:
        """Remove all that is below a URL."""
        file_system, root = url_to_fs(url, **self.options)
        file_system.rm(root, recursive=True)


def write_file(file_system: Any, path: str, data: bytes) -> None:
    """Write a file; again if HDFS has not yet heard of the block before, as on a busy machine."""
    for attempt in range(6):
        try:
            file_system.pipe_file(path, data)
            return
        except RuntimeError:  # of hdfs-native
            if attempt == 5:
                raise
            time.sleep(1)


def list_files_of(folder: Path) -> list[Path]:
    """Return the files below a local folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
