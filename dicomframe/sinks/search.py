"""Write a frame to a sink, and tell what became of its rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.errors import InvalidOptionError
from dicomframe.plugin import Backend
from dicomframe.registry import find_backend
from dicomframe.sinks.fields import choose_columns
from dicomframe.sinks.plugin import SinkConnection, Target
from dicomframe.sinks.registry import get_sink
from dicomframe.sinks.retrying import Retrier
from dicomframe.sinks.targets import parse_target
from dicomframe.sinks.writing import REFUSED_SCHEMA, RESULT_SCHEMA, WriteTask

__all__ = ["SinkReport", "write_search"]


@dataclass(frozen=True, slots=True)
class SinkReport:
    """Tell what one run wrote.

    Attributes
    ----------
    written
        Documents that are new.
    updated
        Documents whose id was there: of an earlier run, of a file with the same SOP Instance
        UID, or of a request that was sent again because its answer was lost.
    refused
        The others: ``origin``, ``id`` and ``reason``, which holds no value.
    seconds
        How long it took.
    """

    written: int
    updated: int
    refused: pa.Table = field(repr=False)
    seconds: float

    @property
    def documents(self) -> int:
        """The rows of the frame."""
        return self.written + self.updated + int(self.refused.num_rows)

    def __str__(self) -> str:
        return (
            f"{self.documents:,} documents: {self.written:,} written, {self.updated:,} updated, "
            f"{self.refused.num_rows:,} refused; in {self.seconds:.1f} s"
        )


def write_search(
    frame: Any,
    url: str,
    *,
    tags: str | Iterable[str] | Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[int], object] | None = None,
) -> SinkReport:
    """Write the rows of `frame` as documents, on the workers of its engine.

    A document holds ``origin``, the typed fields and the whole ``metadata``. Its id is the SOP
    Instance UID, else a hash of the origin, so a second run replaces what the first one wrote.
    What a busy server (429, 503, no connection) did not take is sent again.

    Parameters
    ----------
    frame
        A DataFrame of Spark or Dask, a `pyarrow.Table`, or an iterable of record batches, which
        is written in this process as it comes. With the column ``origin``, and usually
        ``metadata`` and typed tags.
    url : str
        ``SINK+http://HOST:PORT/NAME`` or ``SINK+https://...``, as in
        ``elasticsearch+https://search:9200/images``. The index, collection or table is made
        where there is none.
    tags : list of str or dict of str to str, optional
        The columns that become fields, as `read_dicom` was given them; all but this library's
        own by default.
    options : dict, optional
        What the sink needs, such as ``user`` and ``password``; shown nowhere.
    progress : callable, optional
        Called with the number of documents of each batch that is done; not where an engine
        writes.

    Returns
    -------
    SinkReport
        What was written, and what the server refused.

    Raises
    ------
    UnknownSinkError
        No installed distribution offers the sink.
    SinkNotInstalledError
        Its client is not installed; the message holds the command.
    InvalidOptionError
        The URL, an option or a column is not valid.
    UnknownTagError
        `tags` names what is no attribute.
    SinkError
        The server cannot be reached or refuses the credentials, or what is there does not fit.
        What was written until then stays.

    Examples
    --------
    >>> from dicomframe import write_search
    >>> report = write_search(
    ...     frames.dicom,
    ...     "opensearch+https://search.example:9200/images",
    ...     tags=["PatientAge", "PatientSex", "Modality"],
    ...     options={"user": "me", "password": "secret"},
    ... )  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    20,000 documents: 19,899 written, 0 updated, 101 refused; in 12.3 s
    """
    target = parse_target(url, options)
    source = _open(frame)
    task = WriteTask(target, choose_columns(source.schema, tags), tuple(source.schema.names))
    started = time.monotonic()
    _call(target, lambda connection: connection.prepare([each.field for each in task.fields]))
    try:
        if source.backend is not None:
            rows = source.backend.map_batches(frame, task)
        else:
            steps = task.write(source.batches, progress or (lambda _: None))
            rows = pa.Table.from_batches(steps, RESULT_SCHEMA)
    except Exception:
        with suppress(Exception):  # what was written shall be found; the first error counts
            _call(target, lambda connection: connection.finish())
        raise
    _call(target, lambda connection: connection.finish())
    refused = rows.filter(pc.is_valid(rows["reason"])).select(REFUSED_SCHEMA.names)
    return SinkReport(
        written=pc.sum(rows["written"]).as_py() or 0,
        updated=pc.sum(rows["updated"]).as_py() or 0,
        refused=refused.combine_chunks(),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A frame, by its backend or by its batches."""

    schema: pa.Schema
    backend: Backend | None = None
    batches: Iterator[pa.RecordBatch] = field(default_factory=lambda: iter(()))


def _open(frame: Any) -> _Source:
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return _Source(frame.schema, batches=iter(frame.to_batches()))
    if isinstance(frame, pa.RecordBatchReader):
        return _Source(frame.schema, batches=iter(frame))
    found = find_backend(frame)
    if found is not None:
        return _Source(found[1], backend=found[0])
    batches = iter(frame) if isinstance(frame, Iterable) else iter([frame])
    first = next(batches, None)
    if first is None:
        return _Source(pa.schema([pa.field("origin", pa.string())]))
    if not isinstance(first, pa.RecordBatch):
        raise InvalidOptionError(
            "write_search takes a DataFrame of an engine, a pyarrow.Table or an iterable of "
            f"pyarrow.RecordBatch, found an object of {type(frame).__name__!r}"
        )
    return _Source(first.schema, batches=chain([first], batches))


def _call(target: Target, step: Callable[[SinkConnection], None]) -> None:
    with get_sink(target.sink).connect(target) as connection:
        Retrier(target).call(lambda: step(connection))
