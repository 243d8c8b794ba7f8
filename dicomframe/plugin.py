"""The door for authors of backends: what a plugin implements and what it is given."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import pluggy
import pyarrow as pa

from dicomframe.errors import DicomFrameError, EngineStartError, InvalidOptionError
from dicomframe.scan.live_rows import LiveRows
from dicomframe.scan.partition import Partition
from dicomframe.scan.pixels import PixelReader
from dicomframe.scan.planning import ReadPlan
from dicomframe.scan.publishing import write_dataset
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.reports import RunReport
from dicomframe.scan.request import plan_read
from dicomframe.scan.revisiting import PixelFinder, make_finder

__all__ = [
    "ENTRY_POINT_GROUP",
    "Backend",
    "BackendSpec",
    "BatchTask",
    "DicomFrames",
    "EngineStartError",
    "InvalidOptionError",
    "LiveRows",
    "Partition",
    "PartitionReader",
    "PartitionTask",
    "PixelFinder",
    "PixelReader",
    "ReadPlan",
    "RunReport",
    "hookimpl",
    "hookspec",
    "plan_read",
]

ENTRY_POINT_GROUP = "dicomframe.backends"
"""The entry-point group; the name of an entry point is the name of the engine."""

hookspec = pluggy.HookspecMarker("dicomframe")
hookimpl = pluggy.HookimplMarker("dicomframe")


class _Pair(NamedTuple):
    dicom: Any
    corrupt: Any


class DicomFrames(_Pair):
    """Hold the two frames of a read, lazy DataFrames of the engine's own kind.

    It is a tuple of both: ``dicom, corrupt = frames``.

    Attributes
    ----------
    dicom
        One row for each sound file.
    corrupt
        One row for each other file, with the reason.
    """

    _origin: _Origin | None = None

    def persist(self) -> DicomFrames:
        """Read the files once and keep both frames in the memory of the engine.

        The frames returned are of one read: no fault of storage can put a file into both or
        into neither. What the engine does when it loses what it kept stands in its guide.

        Raises
        ------
        NotImplementedError
            The engine cannot do that.
        DicomFrameError
            `read_dicom` did not make these frames.

        Examples
        --------
        >>> from dicomframe import read_dicom
        >>> from dicomframe.testing.samples import real_files
        >>> dicom, corrupt = read_dicom(real_files(), engine="dask", pixels="none").persist()
        >>> len(dicom) > len(corrupt)
        True
        """
        origin = self._known("persist")
        if origin.is_kept:
            return self
        kept = origin.backend.persist(self, origin.plan)
        return kept._bind(origin.backend, origin.plan, is_kept=True)

    def write_parquet(
        self,
        path: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> RunReport:
        """Read the files once and write both frames as Parquet, all of it or nothing.

        The datasets ``frame=dicom`` and ``frame=corrupt`` appear below `path` when all is
        written, and last a file ``_SUCCESS`` that holds the report and the names of the parts.

        Parameters
        ----------
        path : str or path
            A folder that is empty or not there, by path or URL; all workers must reach it.
        storage_options : dict, optional
            Handed to fsspec for `path`, shown nowhere. Those of the read are not used here.
        overwrite : bool
            Replace the dataset that is there, once the new one is whole.

        Returns
        -------
        RunReport
            What was read and written.

        Raises
        ------
        FileExistsError
            Something is there.
        InvalidOptionError
            `path` cannot name a dataset.
        OSError
            It cannot be written.
        DicomFrameError
            `read_dicom` did not make these frames, or they are in memory already.

        Examples
        --------
        >>> import tempfile
        >>> from dicomframe import read_dicom
        >>> from dicomframe.testing.samples import real_files
        >>> frames = read_dicom(real_files("CT_small.dcm"), engine="dask", pixels="none")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = frames.write_parquet(folder + "/out")
        >>> report.dicom, report.corrupt
        (1, {})
        """
        origin = self._known("write_parquet")
        if origin.is_kept:
            raise DicomFrameError(
                "these frames are in memory, and write_parquet reads the files; write each with "
                "the engine's own writer, or call write_parquet of what read_dicom returned"
            )
        return write_dataset(
            path,
            origin.plan,
            lambda task: origin.backend.collect(self, origin.plan, task),
            storage_options=storage_options,
            overwrite=overwrite,
        )

    def with_pixels(self, frame: Any) -> Any:
        """Return `frame` with a column ``pixel_data``, read for its rows and no others.

        Parameters
        ----------
        frame
            What is left of `dicom` after filters, or any frame of the engine with its column
            ``origin``. Whatever `pixels` was in the read will do; with ``"none"`` or
            ``"reference"`` no Pixel Data is read before.

        Returns
        -------
        frame of the engine
            Lazy. A value is null without Pixel Data, and where the file cannot be read any more;
            if `frame` has ``metadata``, also where the file has another header now.

        Raises
        ------
        InvalidOptionError
            `frame` has no ``origin``, or has ``pixel_data``.
        NotImplementedError
            The engine cannot do that.
        DicomFrameError
            `read_dicom` did not make these frames.

        Examples
        --------
        >>> from dicomframe import read_dicom
        >>> from dicomframe.testing.samples import real_files
        >>> frames = read_dicom(real_files(), engine="dask", tags=["Rows"], pixels="none")
        >>> small = frames.dicom[frames.dicom["Rows"] < 20]
        >>> pixels = frames.with_pixels(small)["pixel_data"].compute()
        >>> len(pixels) > 0 and all(len(value) > 0 for value in pixels)
        True
        """
        origin = self._known("with_pixels")
        return origin.backend.with_pixels(frame, make_finder(origin.plan))

    def _bind(self, backend: Backend, plan: ReadPlan, *, is_kept: bool = False) -> Self:
        """Return these frames with what their methods need."""
        bound = type(self)(*self)
        bound._origin = _Origin(backend, plan, is_kept)
        return bound

    def _known(self, method: str) -> _Origin:
        if self._origin is None:
            raise DicomFrameError(
                f"these frames were not made by read_dicom, so {method} does not know their "
                "files; call it on what read_dicom returned"
            )
        return self._origin


class PartitionTask(Protocol):
    """What `Backend.collect` runs: a picklable callable of one partition."""

    @property
    def schema(self) -> pa.Schema:
        """What a call returns; strings and 64-bit integers."""

    def __call__(self, partition: Partition) -> pa.RecordBatch:
        """Do the work for `partition` on a worker; return a few rows."""


class BatchTask(Protocol):
    """What `Backend.map_batches` runs: a picklable callable over the rows of one partition."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that a call needs."""

    @property
    def schema(self) -> pa.Schema:
        """What a call yields; strings and 64-bit integers."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Work through `batches` on a worker; yield a few rows."""


class Backend(ABC):
    """Turn a plan into frames of one engine, and such a frame into Arrow.

    Two methods must be implemented. The others have defaults that are sound and not
    distributed, or that say what the engine cannot do.
    """

    @abstractmethod
    def build(self, plan: ReadPlan) -> DicomFrames:
        """Return the two lazy frames of `plan`; open no file.

        The engine calls ``plan.reader(partition, columns)`` once in each task, one task for
        each of ``plan.partitions``. Rows whose ``reason`` is null make ``dicom`` (with the
        columns ``plan.dicom_schema``), the others ``corrupt`` (``plan.corrupt_schema``).
        Options of the engine are further keyword-only parameters of an implementation.
        """

    @abstractmethod
    def to_arrow(self, frame: Any) -> pa.Table:
        """Compute `frame`, which `build` made or which derives from it, into Arrow."""

    def collect(
        self,
        frames: DicomFrames,  # noqa: ARG002
        plan: ReadPlan,
        task: PartitionTask,
    ) -> pa.Table:
        """Return the rows of `task` for all partitions of `plan`, each of them once.

        The default is a loop in this process. An engine calls the task on its workers; where it
        calls it more than once for a partition (a retry, a race), only the rows of one call
        may be in the result. `frames` is what `build` returned.
        """
        return pa.Table.from_batches(map(task, plan.partitions), task.schema)

    def persist(self, frames: DicomFrames, plan: ReadPlan) -> DicomFrames:
        """Return frames over one read of the files that the engine keeps.

        There is no default: two lazy frames are two reads.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot keep both frames of one read; "
            "use write_parquet, which reads each file once on every engine"
        )

    def with_pixels(self, frame: Any, finder: PixelFinder) -> Any:
        """Return `frame` with the column ``pixel_data`` behind its others.

        The engine calls ``finder(origins, metadata)`` with these columns of a partition, None
        for ``metadata`` where `frame` has none.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot read pixels later; read them with pixels='bytes'"
        )

    def read_parquet(self, rows: LiveRows) -> Any:
        """Return a lazy frame of rows of a catalogue; open no file of them.

        The engine calls ``rows(part)`` for each of ``rows.parts`` on its workers, or reads
        ``rows.urls`` by itself and leaves out what ``rows.gone_urls`` tell dead. Options of the
        engine are further keyword-only parameters of an implementation.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot read a catalogue; read it with Catalog(path).batches"
        )

    def schema_of(self, frame: Any) -> pa.Schema | None:  # noqa: ARG002
        """Return the columns of a DataFrame of this engine, None for any other object.

        Nothing is computed. A column of a type that Arrow does not have may be left out.
        """
        return None

    def map_batches(self, frame: Any, task: BatchTask) -> pa.Table:
        """Return the rows of `task` for all partitions of `frame`, computed on the workers.

        The engine calls it once for each partition, with the batches of its rows; it need bring
        the columns ``task.columns`` only. Where it calls it more than once for a partition (a
        retry, a race), only the rows of one call may be in the result.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot run a task over the rows of a frame; "
            "give a pyarrow.Table or an iterable of record batches"
        )


@dataclass(frozen=True)
class _Origin:
    """What made a pair of frames."""

    backend: Backend
    plan: ReadPlan
    is_kept: bool


class BackendSpec:
    """The one hook of a backend."""

    @hookspec
    def dicomframe_register_backend(self) -> Backend:  # type: ignore[empty-body]
        """Return the backend; import the engine at the top of the module that does so."""
