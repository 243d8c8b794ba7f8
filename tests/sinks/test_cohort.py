"""The question that the library is for, asked of search engines over 20,000 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from servers.faults import Faults
from servers.proxy import start_proxy
from sinks.reading import count, search

from dicomframe import read_dicom, write_search

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
