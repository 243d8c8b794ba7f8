"""Run a real Spark: a standalone master with its workers, and a Spark Connect server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark
from servers.processes import find_free_port, is_listening, read_page, run_server

from dicomframe_spark.java import find_java_home

WORKERS = 2


@contextmanager
def start_spark_cluster(folder: Path) -> Iterator[str]:
    """Run a master and two workers until the context ends; their logs are in `folder`.

    Yields
    ------
    str
        The URL of the master.
    """
    port, page = find_free_port(), find_free_port()
    master = f"spark://127.0.0.1:{port}"
    launch = [*_environment(folder), f"{spark_home()}/bin/spark-class"]

    def count_workers() -> int:
        # The page listens before it serves its status; until then it answers in HTML.
        status = read_page(f"http://127.0.0.1:{page}/json/") or ""
        return int(json.loads(status)["aliveworkers"]) if status.startswith("{") else 0

    with ExitStack() as stack:
        command = [*launch, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--webui-port", str(page)]
        log = folder / "master.log"
        stack.enter_context(
            run_server(command, log, lambda: is_listening(page), timeout_seconds=_PATIENCE_SECONDS)
        )
        for number in range(1, WORKERS + 1):
            command = [*launch, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1"]
            command += ["--webui-port", "0", "--cores", "2", "--memory", "2g"]
            command += ["--work-dir", str(folder / f"worker{number}"), master]
            # They start side by side: only the last one is waited for.
            is_last = number == WORKERS
            stack.enter_context(
                run_server(
                    command,
                    folder / f"worker{number}.log",
                    lambda is_last=is_last: not is_last or count_workers() == WORKERS,
                    timeout_seconds=_PATIENCE_SECONDS,
                )
            )
        yield master


@contextmanager
def start_connect_server(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Run a Spark Connect server until the context ends; its log is in `folder`.

    Parameters
    ----------
    folder
        For the log and all else that is written.
    settings
        Of Spark, such as ``spark.master``.

    Yields
    ------
    str
        What ``SparkSession.builder.remote`` takes.
    """
    port = find_free_port()
    command = [*_environment(folder), f"{spark_home()}/bin/spark-submit"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    own = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
    }
    for name, value in {**settings, **own}.items():
        command += ["--conf", f"{name}={value}"]
    # Spark's launcher wants a resource, and this word for a class of its own.
    command.append("spark-internal")
    log = folder / "connect.log"
    with run_server(command, log, lambda: is_listening(port), timeout_seconds=_PATIENCE_SECONDS):
        yield f"sc://127.0.0.1:{port}"


def spark_home() -> Path:
    """Return the folder of the installed PySpark, which is a whole Spark."""
    return Path(pyspark.__file__).parent


def spark_environment() -> dict[str, str]:
    """Return the environment variables that a driver of this machine starts with."""
    variables = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    java_home = find_java_home() or os.environ.get("JAVA_HOME")
    return variables | ({"JAVA_HOME": java_home} if java_home else {})


def _environment(folder: Path) -> list[str]:
    """Return the start of a command that sets the environment of a server."""
    variables = spark_environment() | {
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOG_DIR": str(folder),
    }
    return ["env", *(f"{name}={value}" for name, value in variables.items())]


_PATIENCE_SECONDS = 180  # Java starts slowly where all cores are busy
