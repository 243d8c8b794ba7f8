"""Write tables as Parquet datasets that appear whole or not at all."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.plugin import ReadPlan

__all__ = ["Dataset", "FramesFolder"]

_ROW_GROUP_ROWS = 8192
_ROW_GROUP_BYTES = 64 << 20
_PART_BYTES = 512 << 20
_MAX_VALUE_BYTES = 2**31 - 1
_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")  # of two letters or more: C:/ is a drive


class FramesFolder:
    """Write both frames below one folder, as the datasets ``dicom`` and ``corrupt``.

    As a context manager it puts the datasets into place at the end of a block that called
    `keep`; after any other end nothing of it is left.

    Parameters
    ----------
    folder : Path
        A local folder; it is made if it is not there.
    plan : ReadPlan
        Gives the schemas.
    overwrite : bool
        Whether datasets of an earlier run are replaced.

    Raises
    ------
    CommandError
        There is something that would be lost, or the folder cannot be written.
    """

    def __init__(self, folder: Path, plan: ReadPlan, *, overwrite: bool) -> None:
        if _URL.match(str(folder)):
            raise CommandError("--out must be a local folder, found a URL")
        self._folder = folder
        for name in ("dicom", "corrupt"):
            _check_goal(folder / name, overwrite=overwrite)
        self._is_new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.dicom = Dataset(folder / "dicom", plan.dicom_schema)
            self.corrupt = Dataset(folder / "corrupt", plan.corrupt_schema)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        self._is_kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._is_kept:
                self.dicom.close()
                self.corrupt.close()
                self.dicom.publish()
                self.corrupt.publish()
        except OSError as fault:
            raise _cannot_write(self._folder, fault) from fault
        finally:
            self.dicom.discard()
            self.corrupt.discard()
            if self._is_new:
                with suppress(OSError):  # there is something in it
                    self._folder.rmdir()

    def write(self, dicom: pa.Table, corrupt: pa.Table) -> None:
        """Append rows to both datasets; further columns are left out."""
        try:
            self.dicom.write(dicom)
            self.corrupt.write(corrupt)
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def keep(self) -> None:
        """Have the datasets put into place at the end."""
        self._is_kept = True


class Dataset:
    """Write one dataset, in a hidden folder beside its goal until it is published.

    Attributes
    ----------
    goal : Path
        Where it will be.
    row_count, part_count, byte_count : int
        What was written; all bytes are there once it is closed.
    omitted_count : int
        Values that are null because Parquet holds none of 2 GiB or more.
    """

    def __init__(self, goal: Path, schema: pa.Schema) -> None:
        self.goal = goal
        self.row_count = self.part_count = self.byte_count = self.omitted_count = 0
        self._schema = schema
        self._mark = uuid.uuid4().hex[:8]
        self._place = goal.with_name(f".{goal.name}-{self._mark}.partial")
        self._place.mkdir()
        self._writer: pq.ParquetWriter | None = None
        self._part_bytes = 0
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append rows: row groups and parts of bounded size, whatever the size of `table`."""
        table = self._without_huge_values(table.select(self._schema.names))
        self.row_count += table.num_rows
        for piece in _cut(table):
            self._held.append(piece)
            self._held_rows += piece.num_rows
            self._held_bytes += piece.nbytes
            if self._held_rows >= _ROW_GROUP_ROWS or self._held_bytes >= _ROW_GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        """Write what is held, and one part without rows if there is none."""
        if self._held or not self.part_count:
            self._flush()
        self._close_part()
        self.byte_count = sum(path.stat().st_size for path in self._place.iterdir())

    def publish(self) -> None:
        """Put the closed dataset into place, instead of what is there."""
        old = self.goal.with_name(f".{self.goal.name}-{self._mark}.old")
        if self.goal.exists():
            self.goal.rename(old)
        self._place.rename(self.goal)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove what was not published."""
        with suppress(OSError, pa.ArrowException):
            self._close_part()
        shutil.rmtree(self._place, ignore_errors=True)

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._held])
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        if self._writer is None:
            path = self._place / f"part-{self.part_count:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self.part_count += 1
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._part_bytes += table.nbytes
        if self._part_bytes >= _PART_BYTES:
            self._close_part()

    def _close_part(self) -> None:
        writer, self._writer, self._part_bytes = self._writer, None, 0
        if writer is not None:
            writer.close()

    def _without_huge_values(self, table: pa.Table) -> pa.Table:
        if "pixel_data" not in table.column_names:
            return table
        values = table["pixel_data"]
        is_huge = pc.greater(pc.binary_length(values), _MAX_VALUE_BYTES)
        count = pc.sum(is_huge).as_py() or 0
        if not count:
            return table
        self.omitted_count += count
        index = table.column_names.index("pixel_data")
        kept = pc.if_else(pc.fill_null(is_huge, False), pa.scalar(None, values.type), values)
        return table.set_column(index, table.schema.field(index), kept)


def _check_goal(goal: Path, *, overwrite: bool) -> None:
    """Accept a goal with nothing to lose."""
    try:
        names = [path.name for path in goal.iterdir()] if goal.exists() else []
    except OSError as error:
        raise _cannot_write(goal, error) from error
    if not names:
        return
    is_ours = all(name.startswith("part-") and name.endswith(".parquet") for name in names)
    if overwrite and is_ours and not goal.is_symlink():
        return
    if overwrite:
        raise CommandError(
            f"{str(goal)!r} holds files that no scan wrote, and --overwrite would delete them; "
            "give another folder to --out"
        )
    hint = "add --overwrite to replace it, or give" if is_ours else "give"
    raise CommandError(f"{str(goal)!r} is there and not empty; {hint} another folder to --out")


def _cannot_write(path: Path, error: OSError) -> CommandError:
    cause = error.strerror or type(error).__name__
    return CommandError(
        f"cannot write to {str(path)!r} ({cause[:1].lower()}{cause[1:]}); "
        "give another folder to --out",
        ExitCode.USAGE,
    )


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    if not table.num_rows:
        return
    rows = table.num_rows * _ROW_GROUP_BYTES // max(1, table.nbytes)
    rows = max(1, min(rows, _ROW_GROUP_ROWS))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)
