"""Credentials reach the server, and nothing and nobody else."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pytest
from servers.nodes import SearchServer

from dicomframe import SinkError, read_dicom, write_search
from dicomframe.testing.samples import real_files
from dicomframe.testing.sinks import make_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECRET = f"s3cret-{uuid4().hex}"
BASIC = "Basic " + base64.b64encode(f"somebody:{SECRET}".encode()).decode()
TAGS = ["Modality", "PatientAge", "SOPInstanceUID"]


class FakeServer(HTTPServer):
    """Refuse everybody, and keep who asked: no node of these tests has passwords."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuse)
        self.seen: list[str | None] = []


class _Refuse(BaseHTTPRequestHandler):
    server: FakeServer

    def do_GET(self) -> None:
        self.server.seen.append(self.headers["Authorization"])
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[FakeServer]:
    """A fake server that runs."""
    with FakeServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("sink", "options", "sent"),
    [
        ("elasticsearch", {"user": "somebody", "password": SECRET}, BASIC),
        ("elasticsearch", {"api_key": SECRET}, f"ApiKey {SECRET}"),
        ("opensearch", {"user": "somebody", "password": SECRET}, BASIC),
    ],
    ids=["elasticsearch, password", "elasticsearch, key", "opensearch, password"],
)
def test_credentials_reach_the_server_and_a_refusal_is_told_without_them(
    sink: str, options: dict[str, str], sent: str, refusing: FakeServer
) -> None:
    url = f"{sink}+http://127.0.0.1:{refusing.server_port}/images"
    with pytest.raises(SinkError) as caught:
        write_search(make_table(3), url, options=options)
    assert refusing.seen == [sent]
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert f"Target('{url}') refuses access (401); check the options that log in" in shown
    assert SECRET not in shown


def test_credentials_in_the_url_reach_the_server(refusing: FakeServer) -> None:
    url = f"opensearch+http://somebody:{SECRET}@127.0.0.1:{refusing.server_port}/images"
    with pytest.raises(SinkError) as caught:
        write_search(make_table(3), url)
    assert refusing.seen == [BASIC]
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("sink", ["elasticsearch", "opensearch"])
def test_neither_engine_nor_log_nor_report_shows_them(
    sink: str,
    spark: SparkSession,
    logs: Path,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    server: SearchServer = request.getfixturevalue(sink)
    logging.getLogger().setLevel(logging.DEBUG)
    shown: list[str] = []
    options = {"user": "somebody", "password": SECRET}
    names = {}
    for engine, more in (("dask", {}), ("spark", {"session": spark})):
        frame = read_dicom(real_files(), engine, tags=TAGS, npartitions=2, **more).dicom
        names[engine] = f"{engine}-{uuid4().hex}"
        url = f"{sink}+{server.endpoint}/{names[engine]}"
        report = write_search(frame, url, options=options)
        assert report.written > 100
        shown += [repr(report), str(report), repr(frame)]
    table = pa.table({"origin": ["file:///a"], "Rows": [1]})
    shown.append(repr(write_search(table, url.replace("://", f"://somebody:{SECRET}@"))))
    written = capfd.readouterr()
    texts = {"shown": "".join(shown), "stdout": written.out, "stderr": written.err}
    texts["server"] = server.log.read_text()
    texts |= {
        str(path.relative_to(logs)): path.read_text(errors="replace")
        for path in logs.rglob("*")
        if path.is_file()
    }
    assert names["dask"] in texts["python.log"]
    assert "DAGScheduler" in texts["spark.log"]
    assert any("SparkListenerJobStart" in text for text in texts.values())
    for secret in (SECRET, BASIC):
        assert [name for name, text in texts.items() if secret in text] == []
