"""Spark Connect: a server on a cluster, and a client in an environment that has no Java."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters.settings import SPARK_SETTINGS
from servers.spark_cluster import start_connect_server

SUITE = Path(__file__).with_name("connect_client.py")


@pytest.fixture(scope="module")
def server(spark_master: str, logs: Path) -> Iterator[str]:
    settings = {**SPARK_SETTINGS, "spark.master": spark_master}
    with start_connect_server(logs, settings) as url:
        yield url


def test_client_without_java_passes_the_conformance_suite(server: str, tmp_path: Path) -> None:
    python = os.environ.get("DICOMFRAME_CONNECT_CLIENT")
    assert python, "set DICOMFRAME_CONNECT_CLIENT to the Python of an environment with the client"
    empty = tmp_path / "bin"
    empty.mkdir()
    done = subprocess.run(
        [python, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "-ra", str(SUITE)],
        env={"PATH": str(empty), "HOME": str(tmp_path), "SPARK_REMOTE": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"=+ (\d+) passed[^,]*(?:, \d+ warnings?)? in", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 20
