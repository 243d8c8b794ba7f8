"""The snippets of docs/storage.md, run against real servers in place of the example's names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyspark.sql import SparkSession
from servers.hdfs import HdfsServer
from servers.s3 import S3Server

import dicomframe
from dicomframe.testing.samples import make_ct

TEXT = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()
SNIPPETS = re.findall(r"^```python store\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_there_is_a_snippet_for_each_store() -> None:
    assert [scheme for snippet in SNIPPETS for scheme in re.findall(r"\w+(?=://\w+[/:])", snippet)
            if scheme != "https"] == ["s3", "hdfs", "webhdfs"]  # fmt: skip


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["s3", "hdfs", "webhdfs"])
def test_the_snippet_reads(
    snippet: str, s3: S3Server, hdfs: HdfsServer, spark: SparkSession
) -> None:
    s3_files = fsspec.filesystem("s3", **s3.storage_options)
    s3_files.pipe("archive/2026/a.dcm", make_ct())
    hdfs_files = fsspec.filesystem("hdfs", host="127.0.0.1", port=int(hdfs.url.split(":")[2]))
    hdfs_files.makedirs("/archive", exist_ok=True)
    hdfs_files.pipe_file("/archive/a.dcm", make_ct())
    for example, real in (
        ("https://s3.example.org", s3.endpoint),
        ("eu-central-1", "us-east-1"),
        ('"key": "..."', f'"key": "{s3.key}"'),
        ('"secret": "..."', f'"secret": "{s3.secret}"'),
        ("hdfs://namenode:8020", hdfs.url),
        ("webhdfs://namenode:9870", hdfs.webhdfs_url),
    ):
        snippet = snippet.replace(example, real)
    names: dict[str, Any] = {"read_dicom": dicomframe.read_dicom}
    exec(snippet, names)
    assert len(names["dicom"].toPandas() if "spark" in snippet else names["dicom"].compute()) == 1
