"""The columns of a read and their Arrow types."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.options import ReadOptions
from dicomframe.scan.tags import Kind, TagColumn

RESERVED_COLUMNS = (
    "origin",
    "metadata",
    "pixel_offset",
    "pixel_length",
    "pixel_data",
    "warnings",
    "reason",
    "detail",
    "offset",
    "bytes_read",
    "requests",
    "pixel_place",
)
"""Names that a column of `tags` cannot have."""

FRAMES = ("dicom", "corrupt")
"""The two frames of a read."""

_COST_FIELDS = [pa.field("bytes_read", pa.int64()), pa.field("requests", pa.int64())]
PIXEL_PLACE = pa.field("pixel_place", pa.string())
"""A column beside those of the schema, on demand: what `PixelReader` reads the pixels by."""

_CORRUPT_FIELDS = [
    pa.field("origin", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("detail", pa.string()),
    pa.field("offset", pa.int64()),
]
_TYPE_OF_KIND: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "unsigned": pa.decimal128(20, 0),
    "decimal": pa.float64(),
    "age": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "time": pa.string(),
    "name": pa.string(),
    "text": pa.string(),
    "binary": pa.binary(),
    "json": pa.string(),
}


def column_type(column: TagColumn) -> pa.DataType:
    """Return the Arrow type of a column of `tags`."""
    single = _TYPE_OF_KIND[column.kind]
    return pa.list_(single) if column.many else single


def make_dicom_schema(options: ReadOptions) -> pa.Schema:
    """Return the schema of the dicom frame."""
    fields = [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
        *(pa.field(column.name, column_type(column)) for column in options.tags),
    ]
    if options.pixels == "bytes":
        fields.append(pa.field("pixel_data", pa.large_binary()))
    elif options.pixels == "reference":
        fields.append(pa.field("pixel_offset", pa.int64()))
        fields.append(pa.field("pixel_length", pa.int64()))
    if options.warnings:
        fields.append(pa.field("warnings", pa.list_(pa.string())))
    return pa.schema([*fields, *(_COST_FIELDS if options.counts_bytes else [])])


def make_corrupt_schema(options: ReadOptions) -> pa.Schema:
    """Return the schema of the corrupt frame."""
    return pa.schema([*_CORRUPT_FIELDS, *(_COST_FIELDS if options.counts_bytes else [])])


def make_scan_schema(options: ReadOptions) -> pa.Schema:
    """Return the schema of both frames side by side; all columns but `origin` can be null."""
    dicom, corrupt = make_dicom_schema(options), make_corrupt_schema(options)
    fields = [*dicom, *(field for field in corrupt if field.name not in dicom.names)]
    return pa.schema([fields[0], *(field.with_nullable(True) for field in fields[1:])])


def select_rows(batch: pa.RecordBatch, frame: str) -> pa.RecordBatch:
    """Return the rows of one frame of a batch that has `reason`; a copy only where it has others.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows of both frames.
    frame : str
        ``"dicom"`` or ``"corrupt"``.
    """
    sound = batch["reason"].null_count
    count = sound if frame == "dicom" else batch.num_rows - sound
    if count in (0, batch.num_rows):
        return batch.slice(0, count)
    is_sound = pc.is_null(batch["reason"])
    return batch.filter(is_sound if frame == "dicom" else pc.invert(is_sound))
