"""A process that has read from HDFS can start others, such as the Java of Spark."""

from __future__ import annotations

import subprocess
import sys

from servers.hdfs import HdfsServer

PROGRAM = """
import subprocess, sys
import dicomframe
from fsspec.core import url_to_fs

url_to_fs(sys.argv[1])[0].pipe_file("/forks/0.dcm", b"DICM")  # kept by fsspec alone
subprocess.run([sys.executable, "-c", ""], preexec_fn=lambda: None, check=True)
"""


def test_process_that_has_written_to_hdfs_can_fork(hdfs: HdfsServer) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, hdfs.url], check=True, timeout=120)
