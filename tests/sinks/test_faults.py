"""Search engines that fail: no document is lost, none is there twice, and a rerun completes."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from servers.faults import Faults, Rule
from servers.proxy import Proxy, start_proxy
from sinks.reading import count, fetch_all

from dicomframe import SinkError, write_search
from dicomframe.sinks import retrying
from dicomframe.testing.sinks import SECRET, make_table

WRITES = ("post", "put")
BULK = ".*_bulk"
ROWS = 3_000


@pytest.fixture(params=["elasticsearch", "opensearch"])
def sink(request: pytest.FixtureRequest) -> str:
    """The name of a sink whose server runs."""
    return str(request.param)


@pytest.fixture
def endpoint(sink: str, request: pytest.FixtureRequest) -> str:
    """The server itself."""
    return str(request.getfixturevalue(sink).endpoint)


@pytest.fixture
def proxy(endpoint: str) -> Iterator[Proxy]:
    """What stands before it."""
    with start_proxy(endpoint) as proxy:
        yield proxy


@pytest.fixture
def name() -> str:
    """An index that is not there."""
    return f"faults-{uuid4().hex}"


@pytest.fixture
def url(sink: str, endpoint: str, name: str) -> str:
    """The index, without the proxy."""
    return f"{sink}+{endpoint}/{name}"


@pytest.fixture
def shaky(sink: str, proxy: Proxy, name: str) -> str:
    """The index behind the proxy."""
    return f"{sink}+{proxy.endpoint}/{name}"


def test_faults_of_every_kind_lose_no_document(url: str, shaky: str, proxy: Proxy) -> None:
    proxy.faults = Faults(
        probability={"too_many": 0.2, "slow_down": 0.1, "reset": 0.1, "cut": 0.1},
        requests=("get", *WRITES),
        seed=5,
    )
    small = make_table(ROWS).to_batches(max_chunksize=100)
    reports = [write_search([batch], shaky) for batch in small]
    assert sum(report.refused.num_rows for report in reports) == 0
    assert sum(report.written + report.updated for report in reports) == ROWS
    assert count(url) == ROWS
    assert len(fetch_all(url)) == ROWS
    met = proxy.counts.faults
    assert all(met[kind] for kind in ("too_many", "slow_down", "reset", "cut")), met


@pytest.mark.parametrize("fault", ["too_many", "slow_down", "reset"])
def test_a_fault_before_the_server_is_asked_leaves_the_counts_exact(
    fault: str, url: str, shaky: str, proxy: Proxy
) -> None:
    proxy.faults = Faults(rules=(Rule(fault, requests=("get", *WRITES)),))
    report = write_search(make_table(ROWS), shaky)
    assert (report.written, report.updated, report.refused.num_rows) == (ROWS, 0, 0)
    assert count(url) == ROWS
    assert proxy.counts.faults[fault] >= 2


def test_an_answer_that_is_lost_makes_documents_updated_and_not_double(
    url: str, shaky: str, proxy: Proxy
) -> None:
    proxy.faults = Faults(rules=(Rule("cut", key=BULK, requests=WRITES),))
    report = write_search(make_table(ROWS), shaky)
    assert (report.written, report.updated) == (ROWS - 500, 500)
    assert count(url) == ROWS


def test_a_server_that_goes_down_is_told_and_a_rerun_completes(
    url: str, shaky: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "ATTEMPTS", 3)
    table = make_table(ROWS)
    done: list[int] = []

    def advance(rows: int) -> None:
        done.append(rows)
        if sum(done) >= 1_000:
            proxy.faults = Faults(rules=(Rule("reset", requests=("get", *WRITES), times=None),))

    with pytest.raises(SinkError, match=r"takes nothing: there is no answer \(3 attempts\)"):
        write_search(table, shaky, progress=advance, options={"user": "me", "password": SECRET})
    proxy.reset()
    again = write_search(table, shaky)
    assert (again.written, again.updated) == (ROWS - 1_000, 1_000)
    assert count(url) == ROWS
