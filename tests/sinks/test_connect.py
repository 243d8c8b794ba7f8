"""Spark Connect: the rows of a frame are written by the workers of its server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from servers.nodes import SearchServer
from servers.spark_cluster import start_connect_server
from sinks.reading import count, fetch_all

from dicomframe.testing.samples import real_files

CLIENT = """
import sys
from pyspark.sql import SparkSession
from dicomframe import read_dicom, write_search

folder, server, url = sys.argv[1:]
session = SparkSession.builder.remote(server).getOrCreate()
tags = ["Modality", "StudyDate"]
frames = read_dicom(folder, "spark", tags=tags, npartitions=2, session=session)
rows = frames.dicom.where("Modality = 'MR'").withColumnRenamed("StudyDate", "study `date`.x")
report = write_search(rows, url, options={"user": "me", "password": "secret"})
assert report.refused.num_rows == 0, report
print(report.written + report.updated)
"""


def test_a_filtered_frame_of_connect_is_written(opensearch: SearchServer, tmp_path: Path) -> None:
    url = f"opensearch+{opensearch.endpoint}/connect-{uuid4().hex}"
    settings = {
        "spark.master": "local[2]",
        "spark.executorEnv.PYSPARK_PYTHON": sys.executable,
        "spark.sql.execution.arrow.maxRecordsPerBatch": "7",
    }
    with start_connect_server(tmp_path, settings) as server:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(real_files()), server, url],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = fetch_all(url)
    assert 10 < count(url) == len(found) <= int(done.stdout)
    assert {row["Modality"] for row in found.values()} == {"MR"}
    assert any("study_date_x" in row for row in found.values())
