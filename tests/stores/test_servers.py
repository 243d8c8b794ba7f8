"""The servers that the other tests rely on are real ones: they check, keep and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
import s3fs
from servers.hdfs import HdfsServer
from servers.processes import is_listening
from servers.s3 import BUCKET, S3Server

from dicomframe.testing.store import write_file

BODY = bytes(range(256)) * 12288
NAMES = [
    *("a b.dcm", " leading", "trailing ", "new\nline", "tab\t", "quote'\".dcm", ".hidden"),
    *("[1].dcm", "*.dcm", "{a,b}?.dcm", "a::b.dcm", "50%25.dcm", "#fragment", "x?y=z&a", "c:d"),
    *("~", "back\\slash", "...", "日本語.dcm", "e\u0301.dcm", "\u202egpj.dcm", "😀", "a+b"),
]


def connect(s3: S3Server, **options: Any) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(**{**s3.storage_options, **options}, use_listings_cache=False)


@pytest.mark.parametrize("wrong", [{"secret": "wrong"}, {"key": "nobody"}])
def test_s3_refuses_who_is_not_known(s3: S3Server, wrong: dict[str, str]) -> None:
    with pytest.raises(PermissionError):
        connect(s3, **wrong).call_s3("list_objects_v2", Bucket=BUCKET)
    with pytest.raises(PermissionError):
        s3fs.S3FileSystem(anon=True, client_kwargs=s3.storage_options["client_kwargs"]).call_s3(
            "list_objects_v2", Bucket=BUCKET
        )


def test_s3_answers_a_range_with_its_place_and_tag(s3: S3Server) -> None:
    store, key = connect(s3), uuid4().hex
    store.pipe_file(f"{BUCKET}/{key}", BODY)
    answer = store.call_s3("get_object", Bucket=BUCKET, Key=key, Range="bytes=5-10")
    assert answer["ContentRange"] == f"bytes 5-10/{len(BODY)}"
    assert answer["ETag"] == store.info(f"{BUCKET}/{key}")["ETag"]
    assert store.cat_file(f"{BUCKET}/{key}", start=5, end=11) == BODY[5:11]
    with pytest.raises(OSError, match="range"):
        store.call_s3("get_object", Bucket=BUCKET, Key=key, Range=f"bytes={len(BODY)}-")


def test_s3_refuses_a_read_of_another_version_than_asked_for(s3: S3Server) -> None:
    store, key = connect(s3), uuid4().hex
    store.pipe_file(f"{BUCKET}/{key}", BODY)
    with pytest.raises(OSError, match=r"(?i)condition"):
        store.call_s3("get_object", Bucket=BUCKET, Key=key, IfMatch='"another"')


def test_s3_puts_parts_together(s3: S3Server) -> None:
    store, path = connect(s3), f"{BUCKET}/{uuid4().hex}"
    with store.open(path, "wb", block_size=5 * 2**20) as file:
        for _ in range(4):
            file.write(BODY)
    assert store.cat_file(path) == BODY * 4


def test_s3_lists_by_prefix_in_pages(s3: S3Server) -> None:
    store, folder = connect(s3), uuid4().hex
    for number in range(5):
        store.pipe_file(f"{BUCKET}/{folder}/{number}/a", b"")
    place = {"Bucket": BUCKET, "Prefix": f"{folder}/"}
    folders = store.call_s3("list_objects_v2", **place, Delimiter="/")
    assert [row["Prefix"] for row in folders["CommonPrefixes"]] == [
        f"{folder}/{number}/" for number in range(5)
    ]
    first = store.call_s3("list_objects_v2", **place, MaxKeys=3)
    token = first["NextContinuationToken"]
    second = store.call_s3("list_objects_v2", **place, ContinuationToken=token)
    assert [row["Key"] for page in (first, second) for row in page["Contents"]] == [
        f"{folder}/{number}/a" for number in range(5)
    ]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_s3_keeps_odd_keys(s3: S3Server, name: str) -> None:
    store, key = connect(s3), f"{uuid4().hex}/{name}"
    store.pipe_file(f"{BUCKET}/{key}", BODY[:1000])
    listed = store.call_s3("list_objects_v2", Bucket=BUCKET, Prefix=key)
    assert [row["Key"] for row in listed["Contents"]] == [key]
    assert store.cat_file(f"{BUCKET}/{key}", start=10, end=20) == BODY[10:20]


@pytest.mark.parametrize("client", ["hdfs", "webhdfs"])
def test_hdfs_gives_ranges_over_its_blocks(hdfs: HdfsServer, client: str) -> None:
    path = f"/{uuid4().hex}/a.dcm"
    write_file(fsspec.core.url_to_fs(hdfs.url)[0], path, BODY)
    store, _ = fsspec.core.url_to_fs(hdfs.url if client == "hdfs" else hdfs.webhdfs_url)
    assert store.info(path)["size"] == len(BODY)
    border = 2**20
    assert store.cat_file(path, start=border - 9, end=border + 9) == BODY[border - 9 : border + 9]
    assert [name.rpartition("/")[2] for name in store.find(path.rpartition("/")[0])] == ["a.dcm"]


@pytest.mark.parametrize("name", [name for name in NAMES if ":" not in name], ids=ascii)
def test_hdfs_keeps_odd_names(hdfs: HdfsServer, name: str) -> None:
    path = f"/{uuid4().hex}/{name}"
    store, _ = fsspec.core.url_to_fs(hdfs.url)
    write_file(store, path, BODY[:1000])
    assert store.cat_file(path, start=10, end=20) == BODY[10:20]


def test_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from servers.s3 import start_s3\n"
        "with start_s3() as server:\n"
        "    print(server.endpoint, flush=True)\n"
        "    signal.pause()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(tmp_path)},  # what it cannot remove any more
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline().rpartition(":")[2])
    assert is_listening(port)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while is_listening(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_listening(port)
