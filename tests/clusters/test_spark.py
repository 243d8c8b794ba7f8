"""Spark's own cluster manager: the clauses of every backend, and what dies during a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from clusters.crowd import PARTITIONS, TAGS
from clusters.killing import kill_one
from clusters.settings import SPARK_SETTINGS
from on_spark import OnSpark
from pyspark.sql import SparkSession
from servers.spark_cluster import spark_environment

from dicomframe import read_dicom
from dicomframe.registry import get_backend
from dicomframe.testing.conformance import assert_same_rows


@pytest.fixture(scope="module")
def spark(spark_master: str) -> Iterator[SparkSession]:
    builder = SparkSession.builder.master(spark_master).appName("dicomframe")
    for name, value in SPARK_SETTINGS.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment().items():
            patch.setenv(name, value)
        session = builder.getOrCreate()
    yield session
    session.stop()


class TestConformance(OnSpark):
    pass


def find_executors() -> list[psutil.Process]:
    return _find_descendants("CoarseGrainedExecutorBackend")


def find_python_workers() -> list[psutil.Process]:
    return _find_descendants("pyspark.daemon", is_fork=True)


class Stages:
    """What the driver knows of the stages of one job."""

    def __init__(self, spark: SparkSession) -> None:
        self._tracker = spark.sparkContext.statusTracker()
        self._stages: set[int] = set()

    def is_half_done(self) -> bool:
        """Tell whether some tasks are done and some wait."""
        active = self._tracker.getActiveStageIds()
        self._stages |= set(active)
        found = [self._tracker.getStageInfo(stage) for stage in active]
        return any(
            0 < info.numCompletedTasks < info.numTasks - info.numActiveTasks
            for info in found
            if info
        )

    def count_failures(self) -> int:
        """Return how many tasks failed and were done again."""
        found = [self._tracker.getStageInfo(stage) for stage in self._stages]
        return sum(info.numFailedTasks for info in found if info)


@pytest.mark.parametrize("find_victims", [find_python_workers, find_executors])
def test_death_in_the_middle_costs_no_row(
    spark: SparkSession,
    crowd: Path,
    expected: tuple[Any, Any],
    find_victims: Callable[[], list[psutil.Process]],
    turn: int,
) -> None:
    frames = read_dicom(crowd, engine="spark", session=spark, tags=TAGS, npartitions=PARTITIONS)
    which = turn % 2  # each frame in turn
    stages = Stages(spark)
    with kill_one(find_victims, stages.is_half_done, crowd):
        rows = get_backend("spark").to_arrow(frames[which])
    assert stages.count_failures() > 0
    assert_same_rows(rows.sort_by("origin"), expected[which])


def _find_descendants(word: str, *, is_fork: bool = False) -> list[psutil.Process]:
    """Return processes below this one that run a command, or those that were forked from it."""
    commands: dict[int, str] = {}
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            commands[process.pid] = command = " ".join(process.cmdline())
            if word in command and (commands.get(process.ppid()) == command) is is_fork:
                found.append(process)
        except psutil.Error:  # it has ended
            continue
    return found
