"""The columns of a catalogue: where a row comes from, and the tags of its files."""

from __future__ import annotations

import pyarrow as pa

from dicomframe.scan.schema import FRAMES, column_type
from dicomframe.scan.tags import TagColumn

__all__ = [
    "DEFAULT_TAGS",
    "FRAMES",
    "GONE_SCHEMA",
    "OWN_COLUMNS",
    "SORT_COLUMNS",
    "make_schema",
    "sort_rows",
]

DEFAULT_TAGS = (
    *("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "PatientAge"),
    *("PatientSize", "PatientWeight"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC"),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDate", "SeriesDescription", "Modality"),
    *("BodyPartExamined", "Laterality", "ProtocolName"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    *("Manufacturer", "ManufacturerModelName", "StationName", "InstitutionName"),
    *("SoftwareVersions", "MagneticFieldStrength", "KVP"),
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImageType"),
    *("AcquisitionDate", "ContentDate", "Rows", "Columns", "NumberOfFrames", "BitsAllocated"),
    *("PhotometricInterpretation", "PixelSpacing", "SliceThickness"),
    "AvailableTransferSyntaxUID",
)
"""The tags of a catalogue for which no others are named: what QIDO-RS returns of studies, series
and instances (PS3.18 section 10.6.3) and what people filter by."""

SORT_COLUMNS = (
    *("StudyDate", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("InstanceNumber", "origin"),
)
"""What the rows of a part are sorted by, as far as there are such columns."""

_STAMP_FIELDS = [
    pa.field("container", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("modified", pa.timestamp("us", "UTC")),
    pa.field("version", pa.int64()),
    pa.field("run", pa.int64(), nullable=False),
]
_ORIGIN = pa.field("origin", pa.string(), nullable=False)

OWN_COLUMNS = (_ORIGIN.name, *(field.name for field in _STAMP_FIELDS))
"""What every row of both frames has: where it comes from, and when it was read."""

GONE_SCHEMA = pa.schema([_ORIGIN, _STAMP_FIELDS[-1]])
"""The rows of either frame that are dead, by their origin and run."""


def make_schema(frame: str, tags: tuple[TagColumn, ...]) -> pa.Schema:
    """Return the schema of all parts of a frame."""
    if frame == "dicom":
        own = [pa.field(column.name, column_type(column)) for column in tags]
        own.append(pa.field("metadata", pa.string(), nullable=False))
    else:
        own = [
            pa.field("reason", pa.string(), nullable=False),
            pa.field("detail", pa.string()),
            pa.field("offset", pa.int64()),
        ]
    return pa.schema([_ORIGIN, *_STAMP_FIELDS, *own])


def sort_rows(table: pa.Table) -> pa.Table:
    """Return the rows of a part in their order."""
    names = [
        name
        for name in SORT_COLUMNS
        if name in table.column_names and not pa.types.is_nested(table.schema.field(name).type)
    ]
    return table.sort_by([(name, "ascending") for name in names])
