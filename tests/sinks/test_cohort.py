"""The question that the library is for, asked of search engines over 20,000 files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from servers.faults import Faults
from servers.nodes import SearchServer
from servers.proxy import start_proxy
from sinks.reading import count, search

from dicomframe import read_dicom, write_search
from dicomframe.sinks.plugin import ENTRY_POINT_GROUP, SinkSpec
from dicomframe.sinks.registry import get_sink

DOCS = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
TAGS = ["PatientAge", "PatientSex", "Modality", "StudyDate", "PatientName", "SOPInstanceUID"]
COHORT = (
    {"term": {"PatientSex": "F"}},
    {"range": {"PatientAge": {"gte": 20, "lte": 25}}},
)
MR = {"term": {"Modality": "MR"}}
THIRD = 0.5
"""A request that met a fault passes the next time, so of all of them a third does."""


def wanted(truth: pa.Table, modality: str | None = None) -> set[str]:
    """Return the SOP Instance UIDs that the answer has."""
    mask = pc.and_(
        pc.equal(truth["PatientSex"], "F"),
        pc.and_(pc.greater_equal(truth["PatientAge"], 20), pc.less_equal(truth["PatientAge"], 25)),
    )
    if modality:
        mask = pc.and_(mask, pc.equal(truth["Modality"], modality))
    return set(truth.filter(mask)["SOPInstanceUID"].to_pylist())


@pytest.fixture(params=[("dask", "elasticsearch"), ("spark", "opensearch")], ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], str, str]:
    """An engine, its options, a sink, and the endpoint of its server."""
    engine, sink = request.param
    request.getfixturevalue("dask_processes")
    options = {"session": request.getfixturevalue("spark")} if engine == "spark" else {}
    return engine, options, sink, request.getfixturevalue(sink).endpoint


def test_cohort_is_exact_and_publishing_again_with_429_for_a_third_changes_nothing(
    pair: tuple[str, dict[str, Any], str, str], archive: tuple[Path, pa.Table]
) -> None:
    engine, options, sink, endpoint = pair
    folder, truth = archive
    sound = truth.filter(pc.is_null(truth["reason"]))
    frames = read_dicom(folder, engine, tags=TAGS, npartitions=8, **options)
    place = f"/{engine}-{uuid4().hex}"
    url = f"{sink}+{endpoint}{place}"
    report = write_search(frames.dicom, url, tags=TAGS)
    assert (report.written, report.updated, report.refused.num_rows) == (sound.num_rows, 0, 0)
    assert count(url) == sound.num_rows
    assert len(wanted(sound, "MR")) > 20
    assert search(url, *COHORT) == wanted(sound)
    assert search(url, *COHORT, MR) == wanted(sound, "MR")

    with start_proxy(endpoint) as proxy:
        proxy.faults = Faults(probability={"too_many": THIRD}, requests=("get", "post", "put"))
        again = write_search(frames.dicom, f"{sink}+{proxy.endpoint}{place}", tags=TAGS)
        counts = proxy.counts
    assert (again.written, again.updated, again.refused.num_rows) == (0, sound.num_rows, 0)
    assert count(url) == sound.num_rows
    assert search(url, *COHORT, MR) == wanted(sound, "MR")
    asked = sum(counts.requests.values())
    assert asked >= 40
    assert 0.2 < counts.faults["too_many"] / asked < 0.5


def test_documented_search_finds_the_cohort(
    elasticsearch: SearchServer,
    opensearch: SearchServer,
    archive: tuple[Path, pa.Table],
) -> None:
    truth = archive[1]
    sound = truth.filter(pc.is_null(truth["reason"])).slice(0, 5_000)
    (code,) = re.findall(r"^```python elasticsearch\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    origins = dict(
        zip(sound["SOPInstanceUID"].to_pylist(), sound["origin"].to_pylist(), strict=True)
    )
    for sink, server in (("elasticsearch", elasticsearch), ("opensearch", opensearch)):
        name = f"docs-{uuid4().hex}"
        write_search(sound, f"{sink}+{server.endpoint}/{name}", tags=["PatientSex", "PatientAge"])
        own = code.replace("http://localhost:9200", server.endpoint).replace('"images"', repr(name))
        if sink == "opensearch":
            own = own.replace("from elasticsearch", "from opensearchpy")
            own = own.replace("import Elasticsearch", "import OpenSearch as Elasticsearch")
        names: dict[str, Any] = {}
        exec(own, names)
        assert len(names["origins"]) > 20
        assert set(names["origins"]) == {origins[uid] for uid in wanted(sound)}


def test_options_kinds_and_the_hook_are_documented() -> None:
    section = DOCS.split("## Elasticsearch and OpenSearch")[1].split("\n## ")[0]
    for sink in ("elasticsearch", "opensearch"):
        assert all(f"`{name}`" in section for name in get_sink(sink).options)
    assert ENTRY_POINT_GROUP in DOCS
    assert [name for name in vars(SinkSpec) if not name.startswith("_")] == [
        "dicomframe_register_sink"
    ]
    assert "`dicomframe_register_sink`" in DOCS
    for name in ("ServerBusy", "BatchRefused", "SinkError", "SinkConformance"):
        assert name in DOCS
