"""Make a dataset of both frames appear whole or not at all; this runs on the driver."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import pyarrow as pa

from dicomframe.errors import DicomFrameError, InvalidOptionError
from dicomframe.scan.locating import locate
from dicomframe.scan.parts import PARTS_SCHEMA, PartsTask, PartWriter, call_target
from dicomframe.scan.planning import ReadPlan
from dicomframe.scan.reports import RunReport
from dicomframe.scan.schema import FRAMES
from dicomframe.scan.storage import open_file_system
from dicomframe.scan.urls import hide_credentials

__all__ = ["MARKER", "write_dataset"]

MARKER = "_SUCCESS"
"""The file that makes a dataset whole: the report of the run, and the names of its parts."""

_STAGING = "_staging-"
_PART = re.compile(r"part-.*\.parquet")
# These have no folders: a part is moved by a copy on the server, and its name is all there is.
_FLAT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "wasb", "wasbs", "oss"})
_MOVES_AT_ONCE = 16

_T = TypeVar("_T")

Collect = Callable[[PartsTask], pa.Table]


def write_dataset(
    path: str | os.PathLike[str],
    plan: ReadPlan,
    collect: Collect,
    *,
    storage_options: Mapping[str, Any] | None,
    overwrite: bool,
) -> RunReport:
    """Read all files of `plan` once and write both frames below `path`.

    Parameters
    ----------
    path
        A folder, by path or URL.
    plan
        What to read.
    collect
        Runs a task for each partition and returns the rows of all.
    storage_options
        What fsspec needs to reach `path`.
    overwrite
        Whether the dataset that is there is replaced.

    Raises
    ------
    FileExistsError
        Something is there.
    InvalidOptionError
        `path` cannot name a dataset.
    OSError
        It cannot be written.
    """
    target = _Target(path, storage_options)
    target.check(overwrite=overwrite)
    started = time.monotonic()
    try:
        target.stage()
        told = collect(PartsTask(plan.reader, target.store, target.staging))
        rows = _check_told(told, plan)
        parts = [*_rows_of(rows, "part"), *target.fill(plan, rows)]
        target.check(overwrite=overwrite)
        report = _make_report(target.origin, rows, parts, time.monotonic() - started)
        target.publish(parts, report)
    finally:
        target.clear()
    return report


class _Target:
    """The folder of a dataset, and one run that writes into it.

    Parts are written into a hidden folder of the run. They are moved to their places once all
    are there; the marker goes last.
    """

    def __init__(
        self, path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None
    ) -> None:
        url = os.fspath(path)
        if not isinstance(url, str) or not url or "::" in url:
            raise InvalidOptionError(
                "a dataset must be written to a folder, given by its path or URL, found "
                f"{hide_credentials(url) if isinstance(url, str) else url!r}"
            )
        self.store, located = locate(url, storage_options or {})
        if self.store.protocol == "file":
            located = os.path.abspath(os.path.expanduser(located))  # noqa: PTH100, PTH111
        self.path = located.rstrip("/")
        if not self.path:
            raise InvalidOptionError("a dataset must be written to a folder below the root")
        self.origin = self.store.origin(self.path)
        self.staging = f"{self.path}/{_STAGING}{uuid.uuid4().hex[:12]}"
        self._has_folders = self.store.protocol not in _FLAT
        self._is_new = False
        self._old_parts: list[str] = []
        self.file_system = self._call(lambda: open_file_system(self.store))

    def check(self, *, overwrite: bool) -> None:
        """Accept a folder with nothing to lose; take note of what will be replaced."""
        names = [name for name in self._list(self.path) if not name.startswith(_STAGING)]
        if not names:
            return
        frames = [f"frame={frame}" for frame in FRAMES]
        self._old_parts = [
            f"{frame}/{name}"
            for frame in frames
            if frame in names
            for name in self._list(f"{self.path}/{frame}")
        ]
        is_ours = {MARKER, *frames}.issuperset(names) and all(
            _PART.fullmatch(part.partition("/")[2]) for part in self._old_parts
        )
        if not overwrite:
            hint = "add overwrite=True to replace it, or give" if is_ours else "give"
            raise FileExistsError(
                f"{self.origin!r} is there and not empty; {hint} another path for the dataset"
            )
        if not is_ours:
            raise FileExistsError(
                f"{self.origin!r} holds files that write_parquet did not write, and "
                "overwrite=True would delete them; give another path for the dataset"
            )

    def stage(self) -> None:
        """Make the folders that the workers write into."""
        if self._has_folders:
            self._is_new = not self._call(lambda: self.file_system.exists(self.path))
            for frame in FRAMES:
                self._make_folder(f"{self.staging}/frame={frame}")

    def fill(self, plan: ReadPlan, rows: Iterable[_Row]) -> list[_Row]:
        """Write a part without rows for a frame that has none, so that it has a schema."""
        written = {row["name"].partition("/")[0] for row in rows if row["kind"] == "part"}
        added = []
        for frame, schema in zip(FRAMES, (plan.dicom_schema, plan.corrupt_schema), strict=True):
            if f"frame={frame}" not in written:
                stem = f"none-{uuid.uuid4().hex[:12]}"
                writer = PartWriter(self.file_system, self.store, self.staging, frame, stem, schema)
                writer.close(even_empty=True)
                added += [
                    {"name": name, "rows": 0, "bytes": size} for name, _, size in writer.parts
                ]
        return added

    def publish(self, parts: list[_Row], report: RunReport) -> None:
        """Move the parts to their places and put the marker beside them.

        What else lies in the folder of the run is of attempts that do not count.
        """
        self._check_arrived(parts)
        names = [str(part["name"]) for part in parts]
        marker = report.to_json([dict(part) for part in parts])
        if self._has_folders:
            self._swap_folders(names, marker)
        else:
            self._swap_parts(names, marker)

    def clear(self) -> None:
        """Remove what is left of the run."""
        with suppress(Exception):
            self.file_system.invalidate_cache()
            self.file_system.rm(self.staging, recursive=True)
            if self._is_new and not self._list(self.path):
                self.file_system.rmdir(self.path)

    def _swap_folders(self, names: list[str], marker: str) -> None:
        """Put whole folders in place: what a late attempt still writes is not in them."""
        new, old = f"{self.staging}/new", f"{self.staging}/old"
        for frame in FRAMES:
            self._make_folder(f"{new}/frame={frame}")
        self._move([(f"{self.staging}/{name}", f"{new}/{name}") for name in names])
        self._write(f"{new}/{MARKER}", marker)
        places = [MARKER, *(f"frame={frame}" for frame in FRAMES)]
        before = [name for name in self._list(self.path) if name in places]
        if before:
            self._make_folder(old)
        moved: list[tuple[str, str]] = []
        try:
            for source, goal, which in (
                (self.path, old, [name for name in places if name in before]),
                (new, self.path, places[::-1]),
            ):
                for name in which:
                    self._move_folder(f"{source}/{name}", f"{goal}/{name}")
                    moved.append((f"{source}/{name}", f"{goal}/{name}"))
        except BaseException:
            for source, goal in reversed(moved):
                self._move_folder(goal, source)
            raise

    def _swap_parts(self, names: list[str], marker: str) -> None:
        """Put parts beside the old ones; those go once the marker names the new ones."""
        try:
            self._move([(f"{self.staging}/{name}", f"{self.path}/{name}") for name in names])
            self._write(f"{self.path}/{MARKER}", marker)
        except BaseException:
            for name in names:
                with suppress(Exception):
                    self.file_system.rm_file(f"{self.path}/{name}")
            raise
        if self._old_parts:
            olds = [f"{self.path}/{name}" for name in self._old_parts]
            self._call(lambda: self.file_system.rm(olds))

    def _check_arrived(self, parts: Iterable[_Row]) -> None:
        """Find each part in the folder of the run, as long as its writer said."""
        found = {}
        for frame in FRAMES:
            folder = f"{self.staging}/frame={frame}"
            for name, size in self._list(folder).items():
                found[f"frame={frame}/{name}"] = size
        for part in parts:
            if found.get(part["name"]) != part["bytes"]:
                raise OSError(
                    f"a part that a worker wrote below {self.origin!r} is not there for this "
                    "process; give a path that all workers and this process share"
                )

    def _list(self, folder: str) -> dict[str, int]:
        """Return the names in a folder with their sizes; none if it is not there."""

        def look() -> list[dict[str, Any]]:
            self.file_system.invalidate_cache()
            try:
                found: list[dict[str, Any]] = self.file_system.ls(folder, detail=True)
            except FileNotFoundError:
                return []
            return found

        found = {}
        own_name = str(self.file_system._strip_protocol(folder)).strip("/")
        for entry in self._call(look):
            name = str(entry["name"]).rstrip("/")
            if name.strip("/") == own_name:  # the folder itself, or a file of its name
                if entry["type"] == "file" and (self._has_folders or entry.get("size")):
                    raise FileExistsError(
                        f"{self.origin!r} is a file; give another path for the dataset"
                    )
                continue
            found[name.rpartition("/")[2]] = int(entry.get("size") or 0)
        return found

    def _move(self, moves: list[tuple[str, str]]) -> None:
        def move(each: tuple[str, str]) -> None:
            self.file_system.mv(*each)

        with ThreadPoolExecutor(_MOVES_AT_ONCE) as pool:
            self._call(lambda: list(pool.map(move, moves)))

    def _move_folder(self, source: str, goal: str) -> None:
        self._call(lambda: self.file_system.mv(source, goal, recursive=True))

    def _make_folder(self, folder: str) -> None:
        self._call(lambda: self.file_system.makedirs(folder, exist_ok=True))

    def _write(self, path: str, text: str) -> None:
        self._call(lambda: self.file_system.pipe_file(path, text.encode()))

    def _call(self, function: Callable[[], _T]) -> _T:
        return call_target(self.store, self.path, function)


_Row = dict[str, Any]


def _check_told(told: pa.Table, plan: ReadPlan) -> list[_Row]:
    """Return what the tasks told, if each partition is in it once."""
    rows: list[_Row] = told.select(PARTS_SCHEMA.names).cast(PARTS_SCHEMA).to_pylist()
    found = Counter(row["partition"] for row in rows)
    promised = [(row["partition"], row["bytes"]) for row in rows if row["kind"] == "omitted"]
    is_whole = sorted(promised) == sorted(found.items())
    if not is_whole or found.keys() != {each.index for each in plan.partitions}:
        raise DicomFrameError(
            f"the engine returned the results of {len(promised):,} tasks for "
            f"{len(plan.partitions):,} partitions, or not all of them, so nothing was written; "
            "report it to the authors of its backend"
        )
    return rows


def _rows_of(rows: Iterable[_Row], kind: str) -> list[_Row]:
    return [
        {name: row[name] for name in ("name", "rows", "bytes")}
        for row in sorted(rows, key=lambda row: str(row["name"]))
        if row["kind"] == kind
    ]


def _make_report(origin: str, rows: list[_Row], parts: Iterable[_Row], seconds: float) -> RunReport:
    counts: Counter[str] = Counter()
    for row in _rows_of(rows, "read"):
        counts[row["name"]] += row["rows"]
    return RunReport(
        path=origin,
        dicom=counts.pop("", 0),
        corrupt=dict(sorted(counts.items())),
        bytes_read=sum(row["bytes"] for row in _rows_of(rows, "read")),
        bytes_written=sum(part["bytes"] for part in parts),
        seconds=round(seconds, 3),
        omitted=sum(row["rows"] for row in _rows_of(rows, "omitted")),
    )
