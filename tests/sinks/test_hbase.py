"""HBase, by its REST server and a real cluster of one machine."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from servers.faults import Faults
from servers.hbase import HBaseServer
from servers.proxy import Proxy, start_proxy

from dicomframe import SinkError, read_dicom, write_search
from dicomframe.sinks.plugin import Document, Field, Outcome, Target
from dicomframe.testing.samples import real_files
from dicomframe.testing.sinks import FIELDS, SinkConformance, make_document
from dicomframe_hbase.rows import make_key, spell

THIRD = 0.5
"""A request that met a fault passes the next time, so of all of them a third does."""


class TestHBase(SinkConformance):
    sink = "hbase"
    has_types = False

    @pytest.fixture(autouse=True)
    def _remember(self, hbase: HBaseServer) -> None:
        self.hbase = hbase

    @pytest.fixture
    def server(self, hbase: HBaseServer) -> str:
        return hbase.endpoint

    def fetch(self, url: str) -> dict[str, dict[str, Any]]:
        return fetch_all(self.hbase, url.rpartition("/")[2])

    def test_column_families_are_three(self, target: Target, url: str) -> None:
        self.write(target, [make_document(1, {"Modality": "CT"})])
        found = read_families(self.hbase, url.rpartition("/")[2])
        assert {name: family["VERSIONS"] for name, family in found.items()} == dict.fromkeys(
            "imt", "1"
        )

    def test_table_that_is_there_keeps_its_families(self, target: Target, url: str) -> None:
        table = url.rpartition("/")[2]
        families = [{"name": "mine"}, {"name": "t", "VERSIONS": "5"}]
        body = {"name": table, "ColumnSchema": families}
        made = requests.put(f"{self.hbase.endpoint}/{table}/schema", json=body, timeout=60)
        made.raise_for_status()
        self.write(target, [make_document(1, {"Modality": "CT"})])
        found = read_families(self.hbase, table)
        assert set(found) == {"mine", "i", "m", "t"}
        assert found["t"]["VERSIONS"] == "5"

    def test_rows_are_as_documented(self, target: Target, url: str) -> None:
        values = {"Modality": "MR", "Rows": -2, "PatientAge": 23.5, "ImageType": ["A", "ü"]}
        self.write(target, [Document("1.2.840.7", "file:///ü", values, '{"a":"ü"}')])
        assert self.hbase.scan(url.rpartition("/")[2]) == {
            "7d-1.2.840.7": {
                "i:origin": "file:///ü".encode(),
                "m:json": '{"a":"ü"}'.encode(),
                "t:Modality": b"MR",
                "t:Rows": bytes.fromhex("7ffffffffffffffe"),
                "t:PatientAge": bytes.fromhex("c037800000000000"),
                "t:ImageType": '["A","ü"]'.encode(),
            }
        }

    def test_id_with_characters_of_urls_is_a_row_that_can_be_updated(
        self, target: Target, url: str
    ) -> None:
        name = "a/b?c&d#e%f+g,h:i=j;k"
        assert self.write(target, [Document(name, "file:///a", {"Modality": "CT"})]) == [
            Outcome("written")
        ]
        assert self.write(target, [Document(name, "file:///b", {"Rows": 1})]) == [
            Outcome("updated")
        ]
        ((key, row),) = self.hbase.scan(url.rpartition("/")[2]).items()
        assert key == make_key(Document(name, "", {}))
        assert set(row) == {"i:origin", "t:Rows"}

    def test_metadata_longer_than_a_cell_is_refused(self, target: Target) -> None:
        documents = [make_document(number, {}) for number in range(3)]
        documents[1] = Document("1.2.1", "file:///a", {}, "geheim" * 2**21)
        reason = "a value is longer than the server takes (hbase.client.keyvalue.maxsize)"
        assert self.write(target, documents) == [
            Outcome("written"),
            Outcome("refused", reason),
            Outcome("written"),
        ]

    def test_integer_beyond_64_bits_is_refused(self, target: Target) -> None:
        documents = [make_document(1, {"Rows": 2**63}), make_document(2, {"Rows": 2**63 - 1})]
        assert self.write(target, documents) == [
            Outcome("refused", "it has an integer beyond 64 bits"),
            Outcome("written"),
        ]

    def test_namespace_that_is_not_there_is_told(self, hbase: HBaseServer) -> None:
        with pytest.raises(SinkError, match="create_namespace 'nope'"):
            write_search(pa.table({"origin": ["a"]}), f"hbase+{hbase.endpoint}/nope:x")


@given(st.lists(st.floats(allow_nan=False)) | st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_bytes_of_numbers_sort_as_the_numbers(numbers: list[float] | list[int]) -> None:
    by_bytes = sorted(numbers, key=spell)
    assert by_bytes == sorted(numbers)
    assert [read_number(spell(number), type(number)) for number in numbers] == numbers


@pytest.fixture(scope="module")
def published(hbase: HBaseServer, frame: pa.Table) -> str:
    """A table that the whole archive was published to."""
    table = f"archive{uuid4().hex}"
    report = write_search(frame, f"hbase+{hbase.endpoint}/{table}")
    assert (report.written, report.updated, report.refused.num_rows) == (frame.num_rows, 0, 0)
    return table


@pytest.fixture
def proxy(hbase: HBaseServer) -> Iterator[Proxy]:
    with start_proxy(hbase.endpoint) as proxy:
        yield proxy


def test_cohort_is_exact(hbase: HBaseServer, published: str, cohort: frozenset[str]) -> None:
    where = {
        "type": "FilterList",
        "op": "MUST_PASS_ALL",
        "filters": [
            compare("PatientSex", "EQUAL", "F"),
            compare("PatientAge", "GREATER_OR_EQUAL", 20.0),
            compare("PatientAge", "LESS_OR_EQUAL", 25.0),
        ],
    }
    columns = ["t:PatientSex", "t:PatientAge"]
    found = hbase.scan(published, columns=columns, where=where)
    assert {key[3:] for key in found} == cohort


def test_documented_search_finds_the_cohort(
    hbase: HBaseServer, published: str, frame: pa.Table, cohort: frozenset[str]
) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
    (code,) = re.findall(r"^```python hbase\n(.*?)^```", docs, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("http://localhost:8080/images", f"{hbase.endpoint}/{published}"), names)
    uids = dict(zip(frame["origin"].to_pylist(), frame["SOPInstanceUID"].to_pylist(), strict=True))
    assert {uids[origin] for origin in names["origins"]} == cohort


def test_publishing_twice_leaves_as_many(
    hbase: HBaseServer, published: str, frame: pa.Table
) -> None:
    report = write_search(frame, f"hbase+{hbase.endpoint}/{published}")
    assert (report.written, report.updated, report.refused.num_rows) == (0, frame.num_rows, 0)
    found = hbase.scan(published, columns=["i:origin"])
    assert {row["i:origin"].decode() for row in found.values()} == set(frame["origin"].to_pylist())


def test_keys_are_spread_evenly(hbase: HBaseServer, published: str) -> None:
    counts: dict[str, int] = {}
    rows = hbase.scan(published, columns=["i:origin"])
    for key in rows:
        counts[key[0]] = counts.get(key[0], 0) + 1
    assert len(counts) == 16
    assert min(counts.values()) > len(rows) / 16 * 0.8


def test_busy_server_loses_nothing(hbase: HBaseServer, proxy: Proxy, frame: pa.Table) -> None:
    part = frame.slice(0, 5_000)
    table = f"busy{uuid4().hex}"
    proxy.faults = Faults(
        probability={"too_many": THIRD, "cut": 1 / 20}, requests=("get", "list", "post", "put")
    )
    report = write_search(part, f"hbase+{proxy.endpoint}/{table}")
    counts = proxy.counts
    asked = sum(counts.requests.values())
    assert asked >= 20
    assert 0.2 < counts.faults["too_many"] / asked < 0.5
    assert (report.written, report.updated, report.refused.num_rows) == (part.num_rows, 0, 0)
    found = hbase.scan(table, columns=["i:origin"])
    assert {row["i:origin"].decode() for row in found.values()} == set(part["origin"].to_pylist())


def test_real_files_are_written_by_the_workers_of_dask(
    hbase: HBaseServer, dask_processes: None
) -> None:
    tags = ["PatientName", "PatientAge", "StudyDate", "ImageType", "Rows", "PixelSpacing"]
    dicom, _ = read_dicom(real_files(), engine="dask", tags=tags, pixels="none", npartitions=4)
    place = f"real{uuid4().hex}"
    report = write_search(dicom, f"hbase+{hbase.endpoint}/{place}")
    assert report.refused.num_rows == 0
    rows = dicom.compute()
    assert report.documents == len(rows) > 50
    found = {row["i:origin"]: row["m:json"] for row in hbase.scan(place).values()}
    found = {origin.decode(): text.decode() for origin, text in found.items()}
    assert len(found) == report.written  # some real files share a SOP Instance UID
    texts = dict(zip(rows["origin"], rows["metadata"], strict=True))
    assert all(texts[origin] == text for origin, text in found.items())


def test_refused_document_is_reported_with_its_origin(hbase: HBaseServer, frame: pa.Table) -> None:
    part = frame.slice(0, 1_000)
    texts = part["metadata"].to_pylist()
    texts[700] = "geheim" * 2**21
    part = part.set_column(part.column_names.index("metadata"), "metadata", pa.array(texts))
    table = f"refused{uuid4().hex}"
    report = write_search(part, f"hbase+{hbase.endpoint}/{table}")
    assert report.written == 999
    (row,) = report.refused.to_pylist()
    assert row["origin"] == part["origin"][700].as_py()
    assert "geheim" not in row["reason"]
    assert len(hbase.scan(table, columns=["i:origin"])) == 999


def compare(field: str, operator: str, value: str | float) -> dict[str, Any]:
    """Return a filter of the rows whose field compares so."""
    return {
        "type": "SingleColumnValueFilter",
        "op": operator,
        "family": encode(b"t"),
        "qualifier": encode(field.encode()),
        "ifMissing": True,
        "latestVersion": True,
        "comparator": {"type": "BinaryComparator", "value": encode(spell(value))},
    }


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def read_families(hbase: HBaseServer, table: str) -> dict[str, dict[str, str]]:
    """Return the column families of a table by their names."""
    answer = requests.get(
        f"{hbase.endpoint}/{table}/schema", headers={"Accept": "application/json"}, timeout=60
    )
    answer.raise_for_status()
    return {family["name"]: family for family in answer.json()["ColumnSchema"]}


def read_number(content: bytes, kind: type) -> float | int:
    """Return a number from its bytes, as the documentation tells."""
    bits = int.from_bytes(content, "big")
    if kind is int:
        return bits - 2**63
    bits = bits ^ 2**63 if bits >> 63 else bits ^ (2**64 - 1)
    number: float = struct.unpack(">d", struct.pack(">Q", bits))[0]
    return number


def fetch_all(hbase: HBaseServer, table: str) -> dict[str, dict[str, Any]]:
    """Return all documents as they were written."""
    kinds = {field.name: field for field in (*FIELDS, Field("SOPInstanceUID", "keyword"))}
    found = {}
    for key, row in hbase.scan(table).items():
        document: dict[str, Any] = {}
        for column, content in row.items():
            family, _, name = column.partition(":")
            field = kinds.get(name)
            if family != "t":
                document["metadata" if family == "m" else name] = content.decode()
            elif field is not None and field.many:
                document[name] = json.loads(content)
            elif field is not None and field.kind in ("integer", "number") and len(content) == 8:
                document[name] = read_number(content, int if field.kind == "integer" else float)
            else:
                document[name] = content.decode()
        found[key[3:]] = document
    return found
