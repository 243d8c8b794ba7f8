"""Elasticsearch and OpenSearch, by the official clients and real nodes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from servers.nodes import SearchServer
from servers.tls import start_tls
from sinks.reading import ask, count, fetch_all, search

from dicomframe import InvalidOptionError, SinkError, write_search
from dicomframe.sinks.plugin import Document, Field, Target
from dicomframe.testing import SinkConformance
from dicomframe.testing.sinks import FIELDS, SECRET, VALUES, make_document, make_table

TYPES = dict(
    field.split(":")
    for field in (
        "origin:keyword metadata:object Modality:keyword ImageType:keyword StudyDescription:text "
        "PatientName:text Rows:long PatientAge:double StudyDate:date AcquisitionDateTime:date "
        "StudyTime:keyword ImagePositionPatient:double SelectorOBValue:binary "
        "RequestAttributesSequence:object"
    ).split()
)
"""What the fields of the suite are in an index."""


class SearchConformance(SinkConformance):
    def fetch(self, url: str) -> dict[str, dict[str, Any]]:
        return fetch_all(url)

    def properties(self, url: str) -> dict[str, Any]:
        (index,) = ask(url, "/_mapping").values()
        assert index["mappings"]["dynamic"] == "strict"
        return dict(index["mappings"]["properties"])

    def test_the_mapping_is_explicit(self, target: Target, url: str) -> None:
        self.write(target, [make_document(1, VALUES)])
        found = self.properties(url)
        types = {name: properties.get("type", "object") for name, properties in found.items()}
        assert types == TYPES
        assert found["metadata"]["enabled"] is False
        assert found["RequestAttributesSequence"]["enabled"] is False
        assert found["PatientName"]["fields"]["keyword"]["type"] == "keyword"

    def test_a_document_adds_no_field(self, target: Target, url: str) -> None:
        one = make_document(1, {"Rows": 1, "Columns": SECRET})
        (outcome,) = self.write(target, [one], [Field("Rows", "integer")])
        assert outcome == ("refused", "strict_dynamic_mapping_exception")
        assert set(self.properties(url)) == {"origin", "metadata", "Rows"}

    def test_each_kind_is_found_as_it_is_searched(self, target: Target, url: str) -> None:
        others = make_document(2, {"PatientName": "Meier^Anna", "StudyDate": "1999-12-31"})
        self.write(target, [make_document(1, VALUES), others])
        for clause in (
            {"match": {"PatientName": "jürgen"}},
            {"term": {"PatientName.keyword": "Müller^Jürgen"}},
            {"match": {"StudyDescription": "größe"}},
            {"term": {"Modality": "MR"}},
            {"term": {"ImageType": "PRIMARY"}},
            {"range": {"PatientAge": {"gte": 0.2, "lte": 0.3}}},
            {"range": {"StudyDate": {"gte": "2004-01-01", "lt": "2004-02-01"}}},
            {"range": {"AcquisitionDateTime": {"gte": "2004-01-19T08:29:59"}}},
            {"term": {"Rows": -(2**62)}},
            {"term": {"origin": "file:///data/1.dcm"}},
        ):
            assert search(url, clause) == {"1.2.1"}, clause

    def test_values_that_are_refused_are_told_by_field_and_type_alone(
        self, target: Target, url: str
    ) -> None:
        values = {"StudyDate": SECRET, "Rows": SECRET, "PatientAge": [SECRET]}
        bad = [make_document(n, {name: value}) for n, (name, value) in enumerate(values.items())]
        outcomes = self.write(target, [*bad, make_document(99, VALUES)])
        assert outcomes[-1] == ("written", None)
        for name, outcome in zip(values, outcomes, strict=False):
            assert outcome.kind == "refused"
            assert f"in the field {name!r}" in (outcome.reason or "")
            assert SECRET not in (outcome.reason or "")

    def test_refused_rows_of_a_frame_are_in_the_report_and_the_rest_is_in(self, url: str) -> None:
        # Ours leaves out what is too long for a term; this index does not.
        ask(url, "", {"mappings": {"properties": {"ImageType": {"type": "keyword"}}}}, "PUT")
        table = make_table(900)
        types = [[SECRET * 3_000] if n % 10 == 3 else ["PRIMARY"] for n in range(900)]
        at = table.schema.get_field_index("ImageType")
        table = table.set_column(at, "ImageType", pa.array(types, pa.list_(pa.string())))
        report = write_search(table, url)
        refused = report.refused.to_pylist()
        wrong = range(3, 900, 10)
        assert [row["origin"] for row in refused] == [f"file:///data/{n}.dcm" for n in wrong]
        assert [row["id"] for row in refused] == [f"1.2.840.{n}" for n in wrong]
        assert {row["reason"].partition(" in ")[2] for row in refused} == {"the field 'ImageType'"}
        assert SECRET not in str(refused)
        assert report.written == count(url) == 810

    def test_an_index_that_was_made_otherwise_is_used_if_it_fits(self, url: str) -> None:
        mapping = {"properties": {"StudyDate": {"type": "date"}, "own": {"type": "keyword"}}}
        ask(url, "", {"mappings": mapping}, "PUT")
        assert write_search(make_table(5), url).written == 5
        assert search(url, {"range": {"StudyDate": {"gte": "2004-01-04"}}}) == {
            "1.2.840.3",
            "1.2.840.4",
        }

    def test_an_index_that_does_not_fit_is_told_by_field_and_types(self, url: str) -> None:
        ask(url, "", {"mappings": {"properties": {"PatientAge": {"type": "keyword"}}}}, "PUT")
        with pytest.raises(SinkError) as caught:
            write_search(make_table(5), url)
        assert "'PatientAge' is 'keyword', and 'double' is needed" in str(caught.value)
        assert count(url) == 0

    def test_an_index_with_parsed_metadata_is_refused(self, url: str) -> None:
        ask(url, "", {"mappings": {"properties": {"metadata": {"type": "object"}}}}, "PUT")
        with pytest.raises(
            SinkError, match="'metadata' is 'object', and 'object' \\(enabled False"
        ):
            write_search(make_table(1), url)

    def test_an_alias_stands_for_its_index(self, target: Target, url: str) -> None:
        self.write(target, [make_document(1, {})])
        body = {"actions": [{"add": {"index": target.name, "alias": f"{target.name}-now"}}]}
        server = url.rpartition("/")[0]
        ask(server, "/_aliases", body)
        report = write_search(make_table(3), f"{server}/{target.name}-now")
        assert (report.written, count(url)) == (3, 4)

    def test_shards_and_replicas_are_those_of_the_options(self, url: str) -> None:
        write_search(make_table(1), url, options={"shards": 3, "replicas": 0})
        (index,) = ask(url, "/_settings").values()
        found = index["settings"]["index"]
        assert (found["number_of_shards"], found["number_of_replicas"]) == ("3", "0")

    def test_a_name_that_no_index_can_have_is_one_sentence(self, url: str) -> None:
        with pytest.raises(SinkError, match="refuses the request \\(400\\): invalid_index_name"):
            write_search(make_table(1), url.rpartition("/")[0] + "/Not%20A%20Name")

    @pytest.mark.parametrize(
        "options", [{"shards": SECRET}, {"verify_certs": SECRET}, {"user": SECRET}, {"password": 5}]
    )
    def test_options_of_wrong_types_are_told_by_name(self, url: str, options: Any) -> None:
        with pytest.raises(InvalidOptionError) as caught:
            write_search(make_table(1), url, options=options)
        assert next(iter(options)) in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_certificate_is_checked_as_the_options_say(self, server: str, tmp_path: Path) -> None:
        authority = tmp_path / "authority.pem"
        with start_tls(server, authority) as endpoint:
            url = f"{self.sink}+{endpoint}/tls{uuid4().hex}"
            with pytest.raises(SinkError, match=r"no TLS with .* give the option 'ca_certs'"):
                write_search(make_table(3), url)
            options = {"ca_certs": str(authority), "user": "me", "password": SECRET}
            assert write_search(make_table(3), url, options=options).written == 3
            assert write_search(make_table(3), url, options={"verify_certs": False}).updated == 3

    def test_server_without_tls_and_a_file_that_is_not_there_are_told(self, url: str) -> None:
        secure = url.replace("http:", "https:")
        with pytest.raises(SinkError, match=r"no TLS with .* or write \+http://"):
            write_search(make_table(1), secure)
        with pytest.raises(InvalidOptionError, match="'ca_certs' names no file"):
            write_search(make_table(1), secure, options={"ca_certs": "/nope"})

    def test_clients_say_nothing_and_log_no_document(
        self, target: Target, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        documents = [make_document(1, {"PatientName": SECRET}), Document("2", "file:///b", {})]
        self.write(target, documents, FIELDS)
        assert target.name in caplog.text
        assert SECRET not in caplog.text
        assert capfd.readouterr() == ("", "")


class TestElasticsearch(SearchConformance):
    sink = "elasticsearch"

    @pytest.fixture
    def server(self, elasticsearch: SearchServer) -> str:
        return elasticsearch.endpoint

    def test_another_server_is_told_from_elasticsearch(self, opensearch: SearchServer) -> None:
        with pytest.raises(SinkError, match="begin the URL with 'opensearch\\+'"):
            write_search(make_table(1), f"elasticsearch+{opensearch.endpoint}/other")


class TestOpenSearch(SearchConformance):
    sink = "opensearch"

    @pytest.fixture
    def server(self, opensearch: SearchServer) -> str:
        return opensearch.endpoint

    def test_documents_that_a_busy_shard_turned_down_are_sent_again(self, url: str) -> None:
        """The node has one thread to write, and room for one more request before it."""
        server = url.rpartition("/")[0]
        before = count_rejections(server)
        report = write_search(make_table(5_000), url, options={"shards": 12})
        assert (report.written, report.refused.num_rows) == (5_000, 0)
        assert count(url) == 5_000
        assert count_rejections(server) > before


def count_rejections(server: str) -> int:
    """Return how many writes the node turned down with 429."""
    (node,) = ask(server, "/_nodes/stats/thread_pool")["nodes"].values()
    return int(node["thread_pool"]["write"]["rejected"])
