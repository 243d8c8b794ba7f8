"""Write tables as Parquet datasets that appear whole or not at all."""

from __future__ import annotations

import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.plugin import ReadPlan
from dicomframe.scan.parquet import PartedWriter

__all__ = ["Dataset", "FramesFolder"]

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
    row_count, byte_count : int
        What was written; all is there once it is closed.
    """

    def __init__(self, goal: Path, schema: pa.Schema) -> None:
        self.goal = goal
        self.row_count = self.byte_count = 0
        self._mark = uuid.uuid4().hex[:8]
        self._place = goal.with_name(f".{goal.name}-{self._mark}.partial")
        self._place.mkdir()
        self._writer = PartedWriter(schema, self._part, self._add_rows)

    @property
    def part_count(self) -> int:
        """The files that were begun."""
        return self._writer.part_count

    @property
    def omitted_count(self) -> int:
        """Values that are null because Parquet holds none of 2 GiB or more."""
        return self._writer.omitted

    def write(self, table: pa.Table) -> None:
        """Append rows; further columns are left out."""
        self._writer.write(table)

    def close(self) -> None:
        """Write what is held, and one part without rows if there is none."""
        self._writer.close(even_empty=True)
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
        self._writer.abandon()
        shutil.rmtree(self._place, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self._place / f"part-{number:05d}.parquet"

    def _add_rows(self, count: int) -> None:
        self.row_count += count


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
