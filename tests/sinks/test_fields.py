"""Columns of a frame as fields and ids of documents."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dicomframe import InvalidOptionError, UnknownTagError, scan_dicom
from dicomframe.sinks.documents import make_batches
from dicomframe.sinks.fields import choose_columns
from dicomframe.sinks.plugin import Document
from dicomframe.testing.conformance import TYPED_TAGS
from dicomframe.testing.samples import real_files
from dicomframe.testing.trees import write_typed_files


def kinds_of(schema: pa.Schema, tags: Any = None) -> dict[str, tuple[str, bool]]:
    """Return kind and multiplicity of each field."""
    return {c.field.name: (c.field.kind, c.field.many) for c in choose_columns(schema, tags)}


def documents_of(table: pa.Table, tags: Any = None, **bounds: int) -> list[list[Document]]:
    columns = choose_columns(table.schema, tags)
    return list(make_batches(table.to_batches(), columns, **bounds))


def one_document(value: Any, arrow: pa.DataType, name: str = "x") -> dict[str, Any]:
    table = pa.table({"origin": ["file:///a"], name: pa.array([value], arrow)})
    ((document,),) = documents_of(table)
    return dict(document.values)


def test_every_type_of_a_tag_is_a_field_of_its_kind(tmp_path: Any) -> None:
    write_typed_files(tmp_path)
    schema = next(iter(scan_dicom(tmp_path, tags=list(TYPED_TAGS), pixels="none"))).schema
    assert kinds_of(schema, list(TYPED_TAGS)) == {
        "PatientAge": ("number", False),
        "PatientName": ("name", False),
        "StudyDate": ("date", False),
        "StudyTime": ("time", False),
        "AcquisitionDateTime": ("datetime", False),
        "Rows": ("integer", False),
        "SliceThickness": ("number", False),
        "FileOffsetInContainer": ("keyword", False),
        "ImageType": ("keyword", True),
        "ImagePositionPatient": ("number", True),
        "SelectorASValue": ("number", True),
        "SelectorDAValue": ("date", True),
        "SelectorDTValue": ("datetime", True),
        "SelectorTMValue": ("time", True),
        "SelectorDSValue": ("number", True),
        "SelectorFDValue": ("number", True),
        "SelectorISValue": ("integer", True),
        "SelectorPNValue": ("name", True),
        "SelectorSVValue": ("integer", True),
        "SelectorUVValue": ("keyword", True),
        "SelectorATValue": ("keyword", True),
        "SelectorLOValue": ("keyword", True),
        "SelectorOBValue": ("binary", False),
        "RequestAttributesSequence": ("json", False),
        "TransferSyntaxUID": ("keyword", False),
        "RequestAttributesSequence_0_ScheduledProcedureStepID": ("keyword", False),
    }
    batches = list(scan_dicom(tmp_path, tags=list(TYPED_TAGS), pixels="none"))
    for batch in documents_of(pa.Table.from_batches(batches), list(TYPED_TAGS)):
        for document in batch:
            json.dumps(dict(document.values), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("StudyDescription", "text"),
        ("PatientComments", "text"),
        ("ImageComments", "text"),
        ("PatientID", "keyword"),
        ("Manufacturer", "keyword"),
        ("StudyInstanceUID", "keyword"),
        ("AccessionNumber", "keyword"),
        ("no tag", "keyword"),
    ],
)
def test_text_is_searched_by_words_where_people_write_prose(name: str, kind: str) -> None:
    schema = pa.schema([("origin", pa.string()), (name, pa.string())])
    assert next(iter(kinds_of(schema).values())) == (kind, False)


def test_columns_of_reads_and_catalogues_are_no_fields_unless_named() -> None:
    names = ["origin", "metadata", "run", "size", "container", "version", "pixel_data", "Rows"]
    schema = pa.schema([(name, pa.string()) for name in names])
    assert list(kinds_of(schema)) == ["Rows"]
    named = kinds_of(schema, {"size": "Rows", "Rows": "Rows"})
    assert list(named) == ["size", "Rows"]


def test_field_names_fit_every_server() -> None:
    schema = pa.schema([("origin", pa.string()), ("00101010", pa.int64()), ("größe in mm", "f8")])
    assert list(kinds_of(schema)) == ["tag_00101010", "gr_e_in_mm"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["origin", "a b", "a.b"], "'a b' and 'a.b' would both be the field 'a_b'"),
        (["origin", "id"], "'id'"),
        (["Rows"], "needs the column 'origin', found 'Rows'"),
    ],
)
def test_columns_that_cannot_be_fields_are_told(names: list[str], words: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        kinds_of(pa.schema([(name, pa.string()) for name in names]))
    assert words in str(caught.value)


def test_types_that_no_field_has_are_told_by_column() -> None:
    schema = pa.schema([("origin", pa.string()), ("x", pa.struct([("a", pa.int64())]))])
    with pytest.raises(InvalidOptionError, match="'x' is of the type 'struct<a: int64>'"):
        kinds_of(schema)


def test_tags_that_the_frame_has_not_are_told() -> None:
    schema = pa.schema([("origin", pa.string()), ("Rows", pa.int64())])
    with pytest.raises(InvalidOptionError, match=r"no column 'Columns'.*found 'origin', 'Rows'"):
        kinds_of(schema, ["Columns"])
    with pytest.raises(UnknownTagError, match="Colums"):
        kinds_of(schema, ["Colums"])


@pytest.mark.parametrize(
    ("value", "arrow", "spelled"),
    [
        (date(1, 1, 1), pa.date32(), "0001-01-01"),
        (datetime(2004, 1, 19, 8, 30), pa.timestamp("us"), "2004-01-19T08:30:00.000000"),
        (
            datetime(2004, 1, 19, 8, 30, tzinfo=timezone(timedelta(hours=2))),
            pa.timestamp("us", "Asia/Kathmandu"),
            "2004-01-19T06:30:00.000000",
        ),
        (2**64 - 1, pa.uint64(), "18446744073709551615"),
        (Decimal(2**64 - 1), pa.decimal128(20, 0), "18446744073709551615"),
        (True, pa.bool_(), "true"),
        (b"\x00\xff", pa.large_binary(), "AP8="),
        (["a", None, "b"], pa.large_list(pa.large_string()), ["a", "b"]),
        (7, pa.int8(), 7),
        (0.5, pa.float32(), 0.5),
    ],
)
def test_values_are_spelled_as_json(value: Any, arrow: pa.DataType, spelled: Any) -> None:
    assert one_document(value, arrow) == {"x": spelled}


@pytest.mark.parametrize(
    ("value", "arrow"),
    [
        (None, pa.string()),
        (math.nan, pa.float64()),
        (-math.inf, pa.float64()),
        ([], pa.list_(pa.string())),
        ([None], pa.list_(pa.int64())),
        ([math.nan], pa.list_(pa.float64())),
    ],
)
def test_what_cannot_be_indexed_is_left_out(value: Any, arrow: pa.DataType) -> None:
    assert one_document(value, arrow) == {}


def id_of(**columns: Any) -> str:
    table = pa.table({"origin": ["file:///a"], **{name: [v] for name, v in columns.items()}})
    ((document,),) = documents_of(table, [])
    return document.id


def test_id_is_the_sop_instance_uid_of_the_column_or_of_the_metadata() -> None:
    metadata = json.dumps({"00080018": {"vr": "UI", "Value": ["1.2.3"]}})
    assert id_of(SOPInstanceUID="1.2.4", metadata=metadata) == "1.2.4"
    assert id_of(SOPInstanceUID=pa.scalar(None, pa.string()), metadata=metadata) == "1.2.3"
    assert id_of(metadata=metadata) == "1.2.3"


@pytest.mark.parametrize(
    "metadata",
    [None, "", "{}", "no json", "[]", '{"00080018":{"vr":"UI"}}', '{"00080018":{"Value":[null]}}',
     '{"00080018":{"Value":["no uid"]}}', '{"00080018":{"Value":["' + "1" * 65 + '"]}}'],
)  # fmt: skip
def test_id_is_a_hash_of_the_origin_without_a_valid_uid(metadata: str | None) -> None:
    found = id_of(metadata=pa.scalar(metadata, pa.string()))
    assert found == "origin-" + found[7:]
    assert len(found) == 47
    assert found == id_of()


def test_ids_of_the_real_files_are_their_uids() -> None:
    table = pa.Table.from_batches(list(scan_dicom(real_files(), tags=["SOPInstanceUID"])))
    table = table.filter(pc.is_null(table["reason"])).select(
        ["origin", "metadata", "SOPInstanceUID"]
    )
    by_column = [d.id for batch in documents_of(table, []) for d in batch]
    bare = table.drop_columns(["SOPInstanceUID"])
    by_metadata = [d.id for batch in documents_of(bare, []) for d in batch]
    assert by_column == by_metadata
    uids = table["SOPInstanceUID"].to_pylist()
    assert sum(a == b for a, b in zip(by_column, uids, strict=True)) > 100


def test_batches_are_bounded_in_documents_and_in_bytes() -> None:
    table = pa.table(
        {"origin": [f"file:///{n}" for n in range(100)], "metadata": ["x" * 1000] * 100}
    )
    assert [len(batch) for batch in documents_of(table, [], most_documents=30)] == [30, 30, 30, 10]
    assert {len(batch) for batch in documents_of(table, [], most_bytes=10_000)} == {10}
    assert [len(batch) for batch in documents_of(table, [], most_bytes=10)] == [1] * 100
