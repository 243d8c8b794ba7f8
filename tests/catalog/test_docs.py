"""The guide to the catalogue is complete; its examples run with Dask."""

import dataclasses
import inspect
import re
from pathlib import Path

import pyarrow as pa

from dicomframe import IndexProgress, IndexReport, index_dicom
from dicomframe.catalog.columns import (
    DEFAULT_TAGS,
    FRAMES,
    OWN_COLUMNS,
    SORT_COLUMNS,
    make_schema,
)
from dicomframe.scan.tags import parse_tags

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "catalogue.md").read_text()


def section(title):
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def names_in(text):
    return [name for code in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"\w+", code)]


def test_the_default_tags_are_those_of_the_table():
    rows = re.findall(r"^\| the .*$", section("Tags"), re.MULTILINE)
    assert names_in("".join(rows)) == list(DEFAULT_TAGS)


def test_the_columns_are_those_of_the_table():
    rows = re.findall(r"^\| `(\w+)` \| (\S+?)(?:,.*?)? \|", section("Columns"), re.MULTILINE)
    assert [name for name, _ in rows] == list(OWN_COLUMNS)
    for frame in FRAMES:
        schema = make_schema(frame, parse_tags(list(DEFAULT_TAGS)))
        assert schema.names[: len(rows)] == list(OWN_COLUMNS)
        for name, kind in rows:
            assert str(schema.field(name).type).startswith(kind.rstrip(","))
        rest = [name for name in schema.names[len(rows) :] if name not in DEFAULT_TAGS]
        assert set(rest) <= set(names_in(section("Columns")))


def test_every_option_and_field_is_in_the_guide():
    words = set(names_in(GUIDE)) | set(re.findall(r"\w+", GUIDE))
    options = set(inspect.signature(index_dicom).parameters) - {
        *("engine_options", "npartitions", "transfer"),  # as for read_dicom
    }
    assert options <= words
    assert {field.name for field in dataclasses.fields(IndexReport)} <= words
    assert set(IndexProgress._fields) <= words
    assert set(SORT_COLUMNS) <= set(names_in(section("Layout")))


def test_the_default_tags_can_all_be_columns():
    columns = parse_tags(list(DEFAULT_TAGS), OWN_COLUMNS)
    assert len(columns) == len(set(DEFAULT_TAGS)) == len(DEFAULT_TAGS)
    kinds = make_schema("dicom", columns)
    assert kinds.field("PatientAge").type == pa.float64()
    assert kinds.field("StudyDate").type == pa.date32()
    assert kinds.field("AvailableTransferSyntaxUID").type == pa.list_(pa.string())
