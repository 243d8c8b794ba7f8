"""The clauses that every sink must pass, as a class of tests to derive from."""

from __future__ import annotations

import json
import logging
import pickle
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa
import pytest

from dicomframe.errors import InvalidOptionError, SinkError
from dicomframe.sinks.plugin import Document, Field, Outcome, SinkConnection, Target
from dicomframe.sinks.registry import get_sink
from dicomframe.sinks.retrying import Retrier
from dicomframe.sinks.search import write_search
from dicomframe.sinks.targets import parse_target
from dicomframe.sinks.writing import WriteTask

FIELDS = (
    Field("Modality", "keyword"),
    Field("ImageType", "keyword", many=True),
    Field("StudyDescription", "text"),
    Field("PatientName", "name"),
    Field("Rows", "integer"),
    Field("PatientAge", "number"),
    Field("StudyDate", "date"),
    Field("AcquisitionDateTime", "datetime"),
    Field("StudyTime", "time"),
    Field("ImagePositionPatient", "number", many=True),
    Field("SelectorOBValue", "binary"),
    Field("RequestAttributesSequence", "json"),
)
"""A field of every kind."""

VALUES: dict[str, Any] = {
    "Modality": "MR",
    "ImageType": ["ORIGINAL", "PRIMARY", "a \\ b"],
    "StudyDescription": 'Größe "groß", 脳 <b>&amp; 🧠',
    "PatientName": "Müller^Jürgen",
    "Rows": -(2**62),
    "PatientAge": 0.25,
    "StudyDate": "2004-01-19",
    "AcquisitionDateTime": "2004-01-19T08:30:00.000001",
    "StudyTime": "08:30:00.000001",
    "ImagePositionPatient": [-1.5, 0.1, 1e-300],
    "SelectorOBValue": "AAEC/w==",
    "RequestAttributesSequence": '[{"00400009":{"vr":"SH","Value":["1"]}}]',
}
"""A value for each of them."""

SECRET = "geheim-4711"  # noqa: S105  (of nobody)


class SinkConformance(ABC):
    """Check a sink against the laws that hold for all of them, on a real server.

    Derive a class whose name pytest collects, set `sink`, implement `server` and `fetch`, and
    set the other attributes where the server is another. The sink is found as users find it,
    by its entry point, so its distribution must be installed.

    Examples
    --------
    >>> class TestSolr(SinkConformance):
    ...     sink = "solr"
    ...
    ...     @pytest.fixture
    ...     def server(self, solr):
    ...         return solr.endpoint
    ...
    ...     def fetch(self, url):
    ...         return {row["id"]: row for row in ask_solr_for_all(url)}
    """

    sink: ClassVar[str]
    """The name of the entry point."""

    options: ClassVar[Mapping[str, Any]] = {}
    """What the sink needs besides a user and a password."""

    has_types: ClassVar[bool] = True
    """Whether the server refuses text in a field of numbers, and keeps the types of fields."""

    rounds_moments: ClassVar[bool] = False
    """Whether the server shows a moment only to the millisecond."""

    @pytest.fixture
    @abstractmethod
    def server(self) -> str:
        """Return ``http://HOST:PORT`` of the server."""

    @abstractmethod
    def fetch(self, url: str) -> dict[str, dict[str, Any]]:
        """Return all documents by their ids: the fields as JSON, ``origin`` and ``metadata``."""

    @pytest.fixture
    def url(self, server: str) -> str:
        """Return the URL of an index, collection or table that is not there yet."""
        return f"{self.sink}+{server}/t{uuid4().hex}"

    @pytest.fixture
    def target(self, url: str) -> Target:
        """Return what `url` means."""
        return parse_target(url, self.options)

    def connect(self, target: Target) -> SinkConnection:
        """Return a connection."""
        return get_sink(self.sink).connect(target)

    def write(
        self, target: Target, documents: Sequence[Document], fields: Sequence[Field] = FIELDS
    ) -> list[Outcome]:
        """Prepare, write and finish, each by a connection of its own."""
        steps = Retrier(target)
        with self.connect(target) as driver:
            steps.call(lambda: driver.prepare(fields))
        with self.connect(target) as worker:
            outcomes = steps.write(worker, documents)
        with self.connect(target) as driver:
            steps.call(driver.finish)
        return outcomes

    def test_all_fields_of_all_kinds_come_back(self, target: Target, url: str) -> None:
        one = make_document(1, VALUES)
        assert self.write(target, [one]) == [Outcome("written")]
        (found,) = self.fetch(url).values()
        assert found["origin"] == one.origin
        assert found["metadata"] == one.metadata
        cut = 23 if self.rounds_moments else None
        for name, value in VALUES.items():
            shown = found[name][:cut] if name == "AcquisitionDateTime" else found[name]
            wanted = value[:cut] if name == "AcquisitionDateTime" else value
            assert shown == wanted, name

    def test_a_document_without_values_and_metadata_is_written(
        self, target: Target, url: str
    ) -> None:
        empty = Document("1.2.3", "file:///data/a b/ü.dcm", {})
        assert self.write(target, [empty]) == [Outcome("written")]
        assert self.fetch(url)["1.2.3"]["origin"] == empty.origin

    @pytest.mark.parametrize(
        "text",
        [
            '{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Müller^脳🧠"}]}}',
            '{"00081030":{"vr":"LO","Value":["\\u0000\\u001b\\\\ \\" \\ud83e"]}}',
            "{}",
            json.dumps({"00091010": {"vr": "UN", "InlineBinary": "QUJD" * 1_250_000}}),
        ],
        ids=["letters", "escapes", "empty", "five megabytes"],
    )
    def test_metadata_comes_back_unchanged(self, target: Target, url: str, text: str) -> None:
        assert self.write(target, [Document("1.2", "file:///a", {}, text)])[0].kind == "written"
        assert self.fetch(url)["1.2"]["metadata"] == text

    def test_writing_twice_changes_nothing(self, target: Target, url: str) -> None:
        documents = [make_document(number, VALUES) for number in range(50)]
        assert {each.kind for each in self.write(target, documents)} == {"written"}
        before = self.fetch(url)
        assert {each.kind for each in self.write(target, documents)} == {"updated"}
        assert len(before) == 50
        assert self.fetch(url) == before

    def test_a_newer_document_replaces_the_whole_older_one(self, target: Target, url: str) -> None:
        self.write(target, [make_document(1, VALUES)])
        assert self.write(target, [Document("1.2.1", "file:///b", {"Rows": 7})]) == [
            Outcome("updated")
        ]
        (found,) = self.fetch(url).values()
        assert (found["origin"], found["Rows"]) == ("file:///b", 7)
        assert not {"Modality", "metadata", "ImageType"} & {
            name for name, value in found.items() if value is not None
        }

    def test_one_id_twice_in_a_batch_is_one_document(self, target: Target, url: str) -> None:
        pair = [
            Document("1.2", "file:///a", {"Rows": 1}),
            Document("1.2", "file:///b", {"Rows": 2}),
        ]
        assert len(self.write(target, pair)) == 2
        assert self.fetch(url)["1.2"]["origin"] == "file:///b"

    def test_a_refused_document_fails_no_other_and_its_reason_holds_no_value(
        self, target: Target, url: str
    ) -> None:
        documents = [make_document(number, {"Rows": number}) for number in range(40)]
        documents[17] = make_document(17, {"Rows": SECRET, "PatientAge": SECRET})
        outcomes = self.write(target, documents)
        kinds = [each.kind for each in outcomes]
        if self.has_types:
            assert kinds == ["written"] * 17 + ["refused"] + ["written"] * 22
            reason = outcomes[17].reason or ""
            assert "Rows" in reason or "PatientAge" in reason
            assert SECRET not in reason
        assert set(self.fetch(url)) >= {each.id for each in documents} - {documents[17].id}

    def test_fields_are_added_to_what_is_there(self, target: Target, url: str) -> None:
        self.write(target, [make_document(1, {"Rows": 1})], [Field("Rows", "integer")])
        fields = [Field("Rows", "integer"), Field("PatientAge", "number")]
        assert self.write(target, [make_document(2, {"PatientAge": 2.5})], fields) == [
            Outcome("written")
        ]
        assert {row.get("PatientAge") for row in self.fetch(url).values()} == {None, 2.5}

    def test_a_field_of_another_type_is_told_before_anything_is_written(
        self, target: Target, url: str
    ) -> None:
        self.write(target, [make_document(1, {})], [Field("StudyDate", "keyword")])
        with self.connect(target) as connection:
            if self.has_types:
                with pytest.raises(SinkError, match="StudyDate"):
                    connection.prepare([Field("StudyDate", "date")])
            connection.prepare([Field("StudyDate", "keyword")])
        assert len(self.fetch(url)) == 1

    def test_frame_is_written_and_written_again(self, url: str) -> None:
        table = make_table(1_200)
        told: list[int] = []
        report = write_search(table, url, options=self.options, progress=told.append)
        assert (report.written, report.updated, report.refused.num_rows) == (1_200, 0, 0)
        assert sum(told) == 1_200
        assert len(told) >= 3
        found = self.fetch(url)
        assert len(found) == 1_200
        assert found["1.2.840.7"]["PatientAge"] == 7.0
        assert found["1.2.840.7"]["StudyDate"] == "2004-01-08"
        assert "PatientAge" not in {k for k, v in found["1.2.840.50"].items() if v is not None}
        again = write_search(table.to_batches(), url, options=self.options)
        assert (again.written, again.updated, again.refused.num_rows) == (0, 1_200, 0)
        assert self.fetch(url) == found

    def test_an_empty_frame_makes_what_is_missing(self, url: str) -> None:
        report = write_search(make_table(0), url, options=self.options)
        assert report.documents == 0
        assert self.fetch(url) == {}

    def test_no_server_is_one_sentence_without_a_credential(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with socket.socket() as bound:  # and nobody listens
            bound.bind(("127.0.0.1", 0))
            url = f"{self.sink}+http://somebody:{SECRET}@127.0.0.1:{bound.getsockname()[1]}/name"
            target = parse_target(url, self.options)
            with self.connect(target) as connection, pytest.raises(SinkError) as caught:
                Retrier(target, attempts=2).call(lambda: connection.prepare(FIELDS))
        assert "2 attempts" in str(caught.value)
        assert caught.value.__cause__ is None
        shown = f"{caught.value!r} {target!r} {connection!r} {caplog.text}"
        assert f"/{target.name}" in shown
        assert SECRET not in shown

    def test_what_travels_to_workers_pickles_and_shows_no_credential(self, url: str) -> None:
        target = parse_target(url, {**self.options, "user": "somebody", "password": SECRET})
        task = WriteTask(target, (), ("origin",))
        again = pickle.loads(pickle.dumps(task))  # noqa: S301  (ours)
        assert again.target == target
        assert SECRET not in f"{target!r} {target} {task!r} {again!r} {again.target!r}"

    def test_options_are_told_and_others_are_refused(self, url: str) -> None:
        assert all(get_sink(self.sink).options.values())
        with pytest.raises(InvalidOptionError) as caught:
            parse_target(url, {"pasword": SECRET})
        assert "'pasword'" in str(caught.value)
        assert SECRET not in str(caught.value)


def make_document(number: int, values: Mapping[str, Any]) -> Document:
    """Return a document with an id, an origin and a metadata of its own."""
    metadata = json.dumps({"00080018": {"vr": "UI", "Value": [f"1.2.{number}"]}})
    return Document(f"1.2.{number}", f"file:///data/{number}.dcm", values, metadata)


def make_table(rows: int) -> pa.Table:
    """Return a frame as a catalogue has it; every fiftieth age is null."""
    numbers = range(rows)
    columns = {
        "origin": pa.array([f"file:///data/{n}.dcm" for n in numbers], pa.string()),
        "run": pa.array([1 for _ in numbers], pa.int64()),
        "SOPInstanceUID": pa.array([f"1.2.840.{n}" for n in numbers], pa.string()),
        "PatientAge": pa.array([float(n % 90) if n % 50 or not n else None for n in numbers]),
        "StudyDate": pa.array([date(2004, 1, n % 28 + 1) for n in numbers], pa.date32()),
        "AcquisitionDateTime": pa.array(
            [datetime(2004, 1, 1, n % 24) for n in numbers],
            pa.timestamp("us"),
        ),
        "ImageType": pa.array(
            [["ORIGINAL", None, "PRIMARY"] for _ in numbers], pa.list_(pa.string())
        ),
        "metadata": pa.array(["{}" for _ in numbers], pa.string()),
    }
    columns["PatientAge"] = columns["PatientAge"].cast(pa.float64())
    return pa.table(columns)
