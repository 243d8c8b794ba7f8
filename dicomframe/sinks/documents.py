"""Turn record batches into documents, in batches of bounded size."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from dicomframe.sinks.fields import FieldColumn, spell_column
from dicomframe.sinks.plugin import Document

__all__ = ["BATCH_BYTES", "BATCH_DOCUMENTS", "ID_COLUMN", "make_batches"]

BATCH_DOCUMENTS = 500
BATCH_BYTES = 5_000_000
ID_COLUMN = "SOPInstanceUID"


def make_batches(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[FieldColumn],
    *,
    most_documents: int = BATCH_DOCUMENTS,
    most_bytes: int = BATCH_BYTES,
) -> Iterator[list[Document]]:
    """Yield the rows as documents, so many at a time and of about so many bytes.

    A document that is longer than that comes alone.
    """
    waiting: list[Document] = []
    size = 0
    for document in _make_documents(batches, columns):
        length = _estimate_bytes(document)
        if waiting and (len(waiting) >= most_documents or size + length > most_bytes):
            yield waiting
            waiting, size = [], 0
        waiting.append(document)
        size += length
    if waiting:
        yield waiting


def _make_documents(
    batches: Iterable[pa.RecordBatch], columns: Sequence[FieldColumn]
) -> Iterator[Document]:
    for whole in batches:
        for start in range(0, whole.num_rows, BATCH_DOCUMENTS):
            batch = whole.slice(start, BATCH_DOCUMENTS)
            origins = batch.column("origin").to_pylist()
            metadata = _column(batch, "metadata")
            uids = _column(batch, ID_COLUMN)
            spelled = [
                spell_column(batch.column(each.column).to_pylist(), each.field) for each in columns
            ]
            names = [each.field.name for each in columns]
            for row, (origin, text, uid) in enumerate(zip(origins, metadata, uids, strict=True)):
                pairs = zip(names, (values[row] for values in spelled), strict=True)
                values = {name: value for name, value in pairs if value is not None}
                yield Document(_make_id(uid, text, origin or ""), origin or "", values, text)


def _column(batch: pa.RecordBatch, name: str) -> list[str | None]:
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    values: list[str | None] = batch.column(name).to_pylist()
    return values


def _make_id(uid: str | None, metadata: str | None, origin: str) -> str:
    """Return the SOP Instance UID (PS3.5 section 9.1), else a hash of the origin."""
    found = uid or _find_uid(metadata)
    if isinstance(found, str) and _UID.fullmatch(found):
        return found
    return "origin-" + hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _find_uid(metadata: str | None) -> str | None:
    if not metadata:
        return None
    try:
        value = json.loads(metadata)["00080018"]["Value"][0]
    except (ValueError, AttributeError, LookupError, TypeError):
        return None
    return value if isinstance(value, str) else None


def _estimate_bytes(document: Document) -> int:
    return len(document.metadata or "") + sum(
        20 + len(name) + len(str(value)) for name, value in document.values.items()
    )


_UID = re.compile(r"[0-9.]{1,64}")
