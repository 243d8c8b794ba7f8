"""What a worker does: write the rows of its batches and count what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from dicomframe.sinks.documents import ID_COLUMN, make_batches
from dicomframe.sinks.fields import FieldColumn
from dicomframe.sinks.plugin import Target
from dicomframe.sinks.registry import get_sink
from dicomframe.sinks.retrying import Retrier

__all__ = ["REFUSED_SCHEMA", "RESULT_SCHEMA", "WriteTask"]

REFUSED_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string()),
        pa.field("id", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
"""The columns of refused documents."""

RESULT_SCHEMA = pa.schema(
    [pa.field("written", pa.int64()), pa.field("updated", pa.int64()), *REFUSED_SCHEMA]
)
"""What a task yields: rows of counts, without an origin, and one row for each refusal."""


@dataclass(frozen=True, repr=False)
class WriteTask:
    """Write the rows of one partition; a picklable callable that shows no credential.

    Attributes
    ----------
    target
        Where to.
    fields
        The columns that become fields.
    available
        The columns of the frame.
    """

    target: Target
    fields: tuple[FieldColumn, ...]
    available: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The columns that documents are made of."""
        wanted = ["origin", ID_COLUMN, *(each.column for each in self.fields), "metadata"]
        return [name for name in dict.fromkeys(wanted) if name in self.available]

    @property
    def schema(self) -> pa.Schema:
        """What a call yields."""
        return RESULT_SCHEMA

    def __repr__(self) -> str:
        return "write_search"

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write `batches`; yield a few rows for each batch of documents."""
        yield from self.write(batches, lambda _: None)

    def write(
        self, batches: Iterable[pa.RecordBatch], advance: Callable[[int], object]
    ) -> Iterator[pa.RecordBatch]:
        """Write `batches`; call `advance` with how many rows each step has done."""
        retrier = Retrier(self.target)
        with get_sink(self.target.sink).connect(self.target) as connection:
            for documents in make_batches(batches, self.fields):
                outcomes = retrier.write(connection, documents)
                kinds = [outcome.kind for outcome in outcomes]
                rows: list[tuple[int | None, int | None, str | None, str | None, str | None]]
                rows = [(kinds.count("written"), kinds.count("updated"), None, None, None)]
                rows += [
                    (None, None, document.origin, document.id, outcome.reason)
                    for document, outcome in zip(documents, outcomes, strict=True)
                    if outcome.kind == "refused"
                ]
                columns = zip(*rows, strict=True)
                arrays = [
                    pa.array(column, field.type)
                    for column, field in zip(columns, RESULT_SCHEMA, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=RESULT_SCHEMA)
                advance(len(documents))
