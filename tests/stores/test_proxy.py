"""The fault proxy does to a real S3 server's answers what it is told, and counts truly."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import fsspec
import pytest
import requests
import s3fs
from servers.faults import KINDS, Faults, Rule
from servers.hdfs import HdfsServer
from servers.proxy import Proxy
from servers.s3 import BUCKET, S3Server

BODY = bytes(range(256)) * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


Send = Callable[..., Answer]


@pytest.fixture
def key(s3: S3Server) -> str:
    """The key of a new object that holds `BODY`."""
    key = f"{uuid4().hex}/a.dcm"
    s3fs.S3FileSystem(**s3.storage_options).pipe_file(f"{BUCKET}/{key}", BODY)
    return key


@pytest.fixture
def send(s3: S3Server, s3_proxy: Proxy, key: str) -> Iterator[Send]:
    """A raw client, without retries, that asks the proxy for 1,000 bytes of the object."""
    options = s3.storage_options_at(s3_proxy.endpoint)
    options["config_kwargs"] = {"signature_version": "s3v4"}
    url = urlsplit(s3fs.S3FileSystem(**options).sign(f"{BUCKET}/{key}"))
    s3_proxy.reset()

    def send(method: str = "GET", start: int = 500, timeout: float = 10, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(url.netloc, timeout=timeout)
        headers = {"Range": f"bytes={start}-{start + 999}", **headers}
        connection.request(method, f"{url.path}?{url.query}", headers=headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())

    return send


def is_sound(answer: Answer) -> bool:
    return (
        answer.status == 206
        and answer.body == BODY[500:1500]
        and answer.headers["content-range"] == f"bytes 500-1499/{len(BODY)}"
    )


def test_nothing_is_changed_by_default(send: Send, s3_proxy: Proxy, key: str) -> None:
    assert is_sound(send())
    counts = s3_proxy.counts
    assert (counts.requests, counts.bytes) == ({"get": 1}, {"get": 1000})
    assert counts.requests_by_key == {("get", key): 1}
    assert counts.bytes_by_key == {("get", key): 1000}
    assert not counts.faults


@pytest.mark.parametrize(("fault", "status"), [("slow_down", 503), ("too_many", 429)])
def test_refusal_is_an_answer_and_the_retry_succeeds(
    send: Send, s3_proxy: Proxy, fault: str, status: int
) -> None:
    s3_proxy.faults = Faults(rules=(Rule(fault),))
    answer = send()
    assert answer.status == status
    assert b"<Error><Code>" in answer.body
    assert is_sound(send())
    assert s3_proxy.counts.faults == {fault: 1}


def test_reset_comes_before_any_answer(send: Send, s3_proxy: Proxy) -> None:
    s3_proxy.faults = Faults(rules=(Rule("reset"),))
    with pytest.raises(ConnectionResetError):
        send()
    assert is_sound(send())


def test_cut_body_ends_before_its_length(send: Send, s3_proxy: Proxy) -> None:
    s3_proxy.faults = Faults(rules=(Rule("cut"),))
    with pytest.raises(http.client.IncompleteRead) as caught:
        send()
    assert caught.value.partial == BODY[500:1000]
    assert is_sound(send())


def test_short_answer_is_consistent_in_itself(send: Send, s3_proxy: Proxy) -> None:
    s3_proxy.faults = Faults(rules=(Rule("short"),))
    answer = send()
    assert (answer.status, answer.body) == (206, BODY[500:1000])
    assert answer.headers["content-length"] == "500"
    assert answer.headers["content-range"] == f"bytes 500-999/{len(BODY)}"
    assert is_sound(send())


def test_wrong_range_says_so_or_says_nothing(send: Send, s3_proxy: Proxy) -> None:
    for fault, told in [("wrong_range", f"bytes 1000-1999/{len(BODY)}"), ("unmarked_range", None)]:
        s3_proxy.faults = Faults(rules=(Rule(fault),))
        answer = send()
        assert (answer.status, len(answer.body)) == (206, 1000)
        assert answer.body[:500] == BODY[1000:1500]
        assert answer.headers.get("content-range") == told
        assert is_sound(send())


def test_changed_object_has_another_tag_another_size_and_other_bytes(
    send: Send, s3_proxy: Proxy
) -> None:
    etag = send().headers["etag"]
    s3_proxy.faults = Faults(rules=(Rule("changed", times=None),))
    for _ in range(2):
        answer = send()
        assert answer.status == 206
        assert answer.headers["etag"] != etag
        assert answer.headers["content-range"] == f"bytes 500-1499/{len(BODY) + 1}"
        assert answer.body != BODY[500:1500]
    assert send(**{"If-Match": etag}).status == 412


def test_stalled_request_gets_no_answer(send: Send, s3_proxy: Proxy) -> None:
    s3_proxy.faults = Faults(rules=(Rule("stall"),), stall_seconds=20)
    with pytest.raises(TimeoutError):
        send(timeout=0.3)
    assert is_sound(send())


def test_rule_is_for_keys_that_match_and_may_last(send: Send, s3_proxy: Proxy, key: str) -> None:
    s3_proxy.faults = Faults(rules=(Rule("slow_down", key="another/.*", times=None),))
    assert is_sound(send())
    s3_proxy.faults = Faults(rules=(Rule("slow_down", key=".*/a[.]dcm", times=None),))
    assert {send().status for _ in range(4)} == {503}


def test_faults_come_as_often_as_asked_and_never_twice_in_a_row(
    send: Send, s3_proxy: Proxy
) -> None:
    kinds = [kind for kind in KINDS if kind not in ("stall", "reset", "cut")]
    seen = []
    for _ in range(2):
        s3_proxy.reset()
        s3_proxy.faults = Faults(probability=dict.fromkeys(kinds, 0.05), seed=7)
        first = [send(start=start).body == BODY[start : start + 1000] for start in range(400)]
        again = [send(start=s).body for s in range(400) if not first[s]]
        assert again == [BODY[s : s + 1000] for s in range(400) if not first[s]]
        seen.append((first, s3_proxy.counts.faults))
    assert seen[0] == seen[1]
    counts = seen[0][1]
    assert sum(counts.values()) == seen[0][0].count(False)
    assert all(5 < counts[kind] < 45 for kind in kinds)


def test_latency_delays_each_request_and_none_waits_for_another(
    send: Send, s3_proxy: Proxy
) -> None:
    s3_proxy.faults = Faults(latency_seconds=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(lambda _: is_sound(send()), range(32)))
    assert time.monotonic() - started > 0.5
    assert s3_proxy.counts.most_at_once > 16


def test_requests_are_counted_by_their_kind(s3: S3Server, s3_proxy: Proxy, key: str) -> None:
    store = s3fs.S3FileSystem(**s3.storage_options_at(s3_proxy.endpoint), use_listings_cache=False)
    s3_proxy.reset()
    folder = f"{BUCKET}/{key.partition('/')[0]}"
    assert store.find(folder) == [f"{BUCKET}/{key}"]
    before = s3_proxy.counts.requests["head"]
    store.call_s3("head_object", Bucket=BUCKET, Key=key)
    assert s3_proxy.counts.requests["head"] == before + 1
    store.pipe_file(f"{folder}/written through the proxy", BODY)
    assert store.cat_file(f"{folder}/written through the proxy") == BODY
    counts = s3_proxy.counts.requests
    assert (counts["list"], counts["get"], counts["put"]) == (1, 1, 1)


def test_webhdfs_goes_through_the_proxy_redirects_included(
    hdfs: HdfsServer, hdfs_proxy: Proxy
) -> None:
    path = f"/{uuid4().hex}/a b.dcm"
    fsspec.core.url_to_fs(hdfs.url)[0].pipe_file(path, BODY)
    host, port = urlsplit(hdfs_proxy.endpoint).netloc.split(":")
    store: Any = fsspec.filesystem("webhdfs", host=host, port=int(port), use_listings_cache=False)
    assert store.info(path)["size"] == len(BODY)
    assert store.cat_file(path, start=500, end=1500) == BODY[500:1500]
    counts = hdfs_proxy.counts
    assert (counts.requests["redirect"], counts.requests["get"]) == (1, 1)
    assert counts.requests_by_key["get", path] == 1
    assert counts.bytes["get"] >= 1000


def test_webhdfs_answers_can_be_short_and_refused(hdfs: HdfsServer, hdfs_proxy: Proxy) -> None:
    path = f"/{uuid4().hex}"
    fsspec.core.url_to_fs(hdfs.url)[0].pipe_file(path, BODY)
    url = f"{hdfs_proxy.endpoint}/webhdfs/v1{path}?op=OPEN&offset=0&length=1000"
    hdfs_proxy.faults = Faults(rules=(Rule("slow_down"), Rule("short")))
    answers = [requests.get(url, timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 200, 200]
    assert [len(answer.content) for answer in answers[1:]] == [500, 1000]
