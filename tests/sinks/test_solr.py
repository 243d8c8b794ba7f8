"""Solr, by its JSON API and a real node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import certifi
import pyarrow as pa
import pytest
from servers.faults import Faults
from servers.proxy import Proxy, start_proxy
from servers.solr import SolrServer
from servers.tls import start_tls

from dicomframe import InvalidOptionError, SinkError, read_dicom, write_search
from dicomframe.sinks.plugin import Document, Field, Outcome, Target
from dicomframe.sinks.registry import get_sink
from dicomframe.testing.samples import real_files
from dicomframe.testing.sinks import FIELDS, VALUES, SinkConformance, make_document, make_table

DOCS = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
THIRD = 0.5
"""A request that met a fault passes the next time, so of all of them a third does."""
MOMENTS = {field.name: field.kind for field in FIELDS if field.kind in ("date", "datetime")}


class TestSolr(SinkConformance):
    sink = "solr"
    rounds_moments = True

    @pytest.fixture(autouse=True)
    def _remember(self, solr: SolrServer) -> None:
        self.solr = solr

    @pytest.fixture
    def server(self, solr: SolrServer) -> str:
        return solr.endpoint

    def fetch(self, url: str) -> dict[str, dict[str, Any]]:
        return fetch_all(self.solr, url.rpartition("/")[2])

    @pytest.mark.parametrize(
        "query",
        [
            "Modality:MR",
            "ImageType:PRIMARY",
            "PatientName:müller",
            'PatientName_exact:"Müller^Jürgen"',
            "StudyDescription:größe",
            "PatientAge:[0.2 TO 0.3]",
            "Rows:[* TO -1]",
            "StudyDate:[2004-01-19T00:00:00Z TO 2004-01-20T00:00:00Z}",
            'StudyTime:["08:00" TO "09:00"]',
            "ImagePositionPatient:[-2 TO -1]",
        ],
    )
    def test_each_kind_is_searched_as_what_it_is(
        self, target: Target, url: str, query: str
    ) -> None:
        others = {"Rows": 1, "PatientAge": 1.0, "PatientName": "Meier^Eva", "Modality": "CT"}
        self.write(target, [make_document(1, VALUES), make_document(2, others)])
        core = url.rpartition("/")[2]
        assert [row["id"] for row in self.solr.select(core, query)] == ["1.2.1"]

    def test_no_value_adds_a_field_and_metadata_is_one_field_that_is_kept_only(
        self, target: Target, url: str
    ) -> None:
        document = Document("1.2", "file:///a", {"Modality": "CT"}, '{"00080060":{"vr":"CS"}}')
        self.write(target, [document], [Field("Modality", "keyword")])
        path = f"{url.rpartition('/')[2]}/schema/fields?showDefaults=true"
        fields = {each["name"]: each for each in self.solr.ask(path)["fields"]}
        assert set(fields) == {"_version_", "id", "origin", "metadata", "Modality"}
        metadata = fields["metadata"]
        assert [metadata[key] for key in ("stored", "indexed", "docValues")] == [True, False, False]

    def test_field_that_is_not_in_the_schema_is_refused(self, target: Target) -> None:
        outcomes = self.write(target, [make_document(1, {"Secret_s": "x"})])
        assert outcomes == [Outcome("refused", "the field 'Secret_s' does not take its value")]

    def test_value_of_many_bytes_is_refused_with_the_name_of_its_field(
        self, target: Target
    ) -> None:
        documents = [make_document(number, {"Modality": "MR"}) for number in range(3)]
        documents[1] = make_document(1, {"Modality": "geheim" * 10_000})
        outcomes = self.write(target, documents)
        reason = "the field 'Modality' has a value of more than 32,766 bytes"
        assert outcomes == [Outcome("written"), Outcome("refused", reason), Outcome("written")]

    def test_field_of_one_value_is_not_taken_for_one_of_many(self, target: Target) -> None:
        with self.connect(target) as connection:
            connection.prepare([Field("ImageType", "keyword")])
            with pytest.raises(SinkError, match=r"'ImageType' of .* is of one value, not of many"):
                connection.prepare([Field("ImageType", "keyword", many=True)])
            connection.prepare([Field("ImageType", "keyword")])

    def test_indexed_metadata_is_not_taken(self, target: Target, url: str) -> None:
        with self.connect(target) as connection:
            connection.prepare([])
            change = {"name": "metadata", "type": "string", "indexed": True}
            path = f"{url.rpartition('/')[2]}/schema"
            self.solr.ask(path, body={"replace-field": change})
            with pytest.raises(SinkError, match=r"'metadata' of .* is indexed"):
                connection.prepare([])

    @pytest.mark.parametrize(
        "options",
        [{"user": "somebody"}, {"timeout_seconds": "geheim"}, {"timeout_seconds": 0}],
    )
    def test_option_with_an_impossible_value_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidOptionError, match=r"the options? '(user|timeout_seconds)'"):
            self.connect(Target("solr", False, "127.0.0.1", 1, "x", options))


def test_server_without_tls_is_told(solr: SolrServer) -> None:
    url = f"solr+{solr.endpoint}/x".replace("http:", "https:")
    with pytest.raises(SinkError, match=r"no TLS with .* write \+http://"):
        write_search(make_table(1), url)


def test_certificate_is_checked_with_the_file_of_the_option_only(
    solr: SolrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    certificates = tmp_path / "authority.pem"
    with start_tls(solr.endpoint, certificates) as endpoint:
        url = f"solr+{endpoint}/tls{uuid4().hex}"
        with pytest.raises(SinkError, match="as the option 'ca_certs'"):
            write_search(make_table(1), url)
        report = write_search(make_table(10), url, options={"ca_certs": str(certificates)})
    assert report.written == 10


def test_certificates_that_cannot_be_read_are_told() -> None:
    with pytest.raises(InvalidOptionError, match="'ca_certs' names no file"):
        write_search(make_table(1), "solr+https://127.0.0.1:1/x", options={"ca_certs": "/nope"})


@pytest.mark.parametrize("options", [{}, {"user": "somebody", "password": "geheim-4711"}])
def test_wrong_credentials_are_told_and_not_shown(
    solr_alone: SolrServer, options: dict[str, str]
) -> None:
    with pytest.raises(SinkError, match="refuses the credentials with 401") as caught:
        write_search(make_table(1), f"solr+{solr_alone.endpoint}/x", options=options)
    assert "geheim" not in repr(caught.value)


def test_core_that_is_not_there_is_told_how_to_make(solr_alone: SolrServer) -> None:
    with pytest.raises(SinkError, match="bin/solr create -c mine"):
        write_search(make_table(1), f"solr+{solr_alone.endpoint}/mine", options=solr_alone.options)


def test_core_of_a_node_by_itself_is_written_with_a_password_in_the_url(
    solr_alone: SolrServer,
) -> None:
    user, password = solr_alone.options["user"], solr_alone.options["password"]
    core = f"core{uuid4().hex}"
    solr_alone.make_core(core)
    url = f"solr+{solr_alone.endpoint}/{core}".replace("//", f"//{user}:{password}@")
    for kinds in ((1_000, 0), (0, 1_000)):
        report = write_search(make_table(1_000), url)
        assert (report.written, report.updated, report.refused.num_rows) == (*kinds, 0)
    assert len(solr_alone.select(core, "*:*", "id")) == 1_000


@pytest.fixture(scope="module")
def published(solr: SolrServer, frame: pa.Table) -> str:
    """A core that the whole archive was published to."""
    core = f"archive{uuid4().hex}"
    report = write_search(frame, f"solr+{solr.endpoint}/{core}")
    assert (report.written, report.updated, report.refused.num_rows) == (frame.num_rows, 0, 0)
    return core


@pytest.fixture
def proxy(solr: SolrServer) -> Iterator[Proxy]:
    with start_proxy(solr.endpoint) as proxy:
        yield proxy


def test_cohort_is_exact(solr: SolrServer, published: str, cohort: frozenset[str]) -> None:
    found = solr.select(published, "PatientSex:F AND PatientAge:[20 TO 25]", "id")
    assert {row["id"] for row in found} == cohort
    assert len(found) == len(cohort)


def test_documented_search_finds_the_cohort(
    solr: SolrServer, published: str, frame: pa.Table, cohort: frozenset[str]
) -> None:
    (code,) = re.findall(r"^```python solr\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(
        code.replace("http://localhost:8983/solr/images", f"{solr.endpoint}/solr/{published}"),
        names,
    )
    uids = dict(zip(frame["origin"].to_pylist(), frame["SOPInstanceUID"].to_pylist(), strict=True))
    assert {uids[origin] for origin in names["origins"]} == cohort


def test_options_are_documented() -> None:
    section = DOCS.split("## Solr")[1].split("## ")[0]
    assert all(f"`{name}`" in section for name in get_sink("solr").options)


def test_publishing_twice_leaves_as_many(solr: SolrServer, published: str, frame: pa.Table) -> None:
    report = write_search(frame, f"solr+{solr.endpoint}/{published}")
    assert (report.written, report.updated, report.refused.num_rows) == (0, frame.num_rows, 0)
    assert len(solr.select(published, "*:*", "id")) == frame.num_rows


def test_busy_server_loses_nothing(solr: SolrServer, proxy: Proxy, frame: pa.Table) -> None:
    part = frame.slice(0, 5_000)
    core = f"busy{uuid4().hex}"
    proxy.faults = Faults(
        probability={"too_many": THIRD, "cut": 1 / 20}, requests=("get", "list", "post")
    )
    report = write_search(part, f"solr+{proxy.endpoint}/{core}")
    counts = proxy.counts
    asked = sum(counts.requests.values())
    assert asked >= 20
    assert 0.2 < counts.faults["too_many"] / asked < 0.5
    assert (report.written, report.updated, report.refused.num_rows) == (part.num_rows, 0, 0)
    found = solr.select(core, "*:*", "id,origin")
    assert {row["origin"] for row in found} == set(part["origin"].to_pylist())
    assert len(found) == part.num_rows


def test_real_files_are_written_by_the_workers_of_dask(
    solr: SolrServer, dask_processes: None
) -> None:
    tags = ["PatientName", "PatientAge", "StudyDate", "ImageType", "Rows", "PixelSpacing"]
    dicom, _ = read_dicom(real_files(), engine="dask", tags=tags, pixels="none", npartitions=4)
    place = f"real{uuid4().hex}"
    report = write_search(dicom, f"solr+{solr.endpoint}/{place}")
    assert report.refused.num_rows == 0
    rows = dicom.compute()
    assert report.documents == len(rows) > 50
    found = {row["origin"]: row["metadata"] for row in solr.select(place, "*:*")}
    assert len(found) == report.written  # some real files share a SOP Instance UID
    texts = dict(zip(rows["origin"], rows["metadata"], strict=True))
    assert all(texts[origin] == text for origin, text in found.items())


def test_refused_document_is_reported_with_its_origin(solr: SolrServer, frame: pa.Table) -> None:
    part = frame.slice(0, 1_000)
    names = part["PatientID"].to_pylist()
    names[700] = "geheim" * 10_000
    part = part.set_column(part.column_names.index("PatientID"), "PatientID", pa.array(names))
    core = f"refused{uuid4().hex}"
    report = write_search(part, f"solr+{solr.endpoint}/{core}")
    assert report.written == 999
    (row,) = report.refused.to_pylist()
    assert row["origin"] == part["origin"][700].as_py()
    assert "'PatientID'" in row["reason"]
    assert "geheim" not in row["reason"]
    assert len(solr.select(core, "*:*", "id")) == 999


def fetch_all(solr: SolrServer, core: str) -> dict[str, dict[str, Any]]:
    """Return all documents as they were written."""
    found = {}
    for row in solr.select(core, "*:*"):
        for name, kind in MOMENTS.items():
            if name in row and str(row[name]).endswith("Z"):
                moment = datetime.fromisoformat(str(row[name])).replace(tzinfo=None)
                spelled = moment.isoformat(timespec="milliseconds")
                row[name] = spelled[:10] if kind == "date" else spelled
        del row["_version_"]  # another one with each update
        found[str(row["id"])] = row
    return found
