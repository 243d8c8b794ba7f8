"""Measure what an engine costs: the same plan read by it and by two processes without one.

    python benchmarks/engines.py                       # 20,000 CT files, some minutes
    python benchmarks/engines.py --files 4000 --turns 3

In each turn every way reads the headers of the same files once, one way after the other in an
order that changes from turn to turn, and returns the number of sound files and the bytes of their
metadata. What is compared is wall time; CPU time of all processes together stands beside it, for
it says more where the machine has other work. Starting an engine and its first job are timed
apart; what is compared comes behind many small jobs of Spark and some turns, for Java goes on
compiling the code that plans a job for its first hundred or two. Spark's floor is its own share:
the same job over rows that are ready-made, so that no file is read. Peers read a part of the files.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
import distributed
import modalities
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pydicom
import pyspark
from corpora import DEFAULT_FOLDER, Corpus
from dask import bag
from pyspark.sql import SparkSession, functions
from readers import to_table

from dicomframe.api import plan_read
from dicomframe.plugin import ReadPlan
from dicomframe_dask import DaskBackend
from dicomframe_spark import SparkBackend, start_local_session

PROCESSES = 2
_SERIES_LENGTH = 400
_BASE = "two processes"
_SUBSET = 2_000
_SMALL_TASKS = 16

Answer = tuple[int, int]
"""How many files are sound, and the bytes of their metadata."""


@dataclass
class Way:
    """Name one way to read files, and hold what it took.

    Attributes
    ----------
    name : str
        What a reader of the results is told.
    read : callable
        Reads all files and returns the answer.
    files : int
        How many these are.
    first_seconds : float
        What the first job took.
    seconds, cpu_seconds : list of float
        For each turn that is compared.
    """

    name: str
    read: Callable[[], Answer]
    files: int
    first_seconds: float = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def measure(self) -> Answer:
        """Read once, and note the time."""
        cpu, start = _cpu_seconds(), time.perf_counter()
        answer = self.read()
        self.seconds.append(time.perf_counter() - start)
        self.cpu_seconds.append(_cpu_seconds() - cpu)
        return answer

    def forget(self) -> None:
        """Keep what the first job took, and forget the turns until now."""
        self.first_seconds = self.seconds[0]
        self.seconds.clear()
        self.cpu_seconds.clear()

    def ratio(self, base: Way, *, cpu: bool = False) -> float:
        """Return how many times the time of `base` this takes for a file, the median of turns."""
        own, others = (
            [seconds / way.files for seconds in (way.cpu_seconds if cpu else way.seconds)]
            for way in (self, base)
        )
        return statistics.median(a / b for a, b in zip(own, others, strict=True))


def make_corpus(files: int) -> list[str]:
    """Return the files, made if they are not there: CT, series of 400, pixels a hole."""
    build = partial(modalities.make_ct, pixels=False)
    series = files // _SERIES_LENGTH
    corpus = Corpus("ct-archive", "CT", series, _SERIES_LENGTH, build, hollow=2 * 512 * 512)
    return corpus.paths(DEFAULT_FOLDER)


@contextmanager
def run_processes(plan: ReadPlan) -> Iterator[Callable[[], Answer]]:
    """Start processes that read every second partition each, without an engine."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        shares = [ReadPlan(plan.partitions[at::PROCESSES], plan.reader) for at in range(PROCESSES)]

        def read() -> Answer:
            answers = list(pool.map(_read_share, shares))
            return sum(count for count, _ in answers), sum(size for _, size in answers)

        list(pool.map(time.sleep, [0.5] * PROCESSES))
        yield read


@contextmanager
def run_dask() -> Iterator[distributed.Client]:
    """Start a Dask cluster of two worker processes."""
    with (
        distributed.LocalCluster(
            n_workers=PROCESSES,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def run_spark() -> Iterator[SparkSession]:
    """Start a local Spark of two cores, and so of two Python workers."""
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[{PROCESSES}] --driver-memory 2g "
        "--conf spark.ui.showConsoleProgress=false --conf spark.log.level=ERROR pyspark-shell"
    )
    session = start_local_session()
    session.conf.set("spark.sql.shuffle.partitions", PROCESSES)
    yield session
    session.stop()


def read_by_dask(plan: ReadPlan) -> Answer:
    """Read the plan with the backend of Dask."""
    lengths = DaskBackend().build(plan).dicom["metadata"].str.len()
    count, size = dask.compute(lengths.count(), lengths.sum())
    return int(count), int(size)


def read_by_spark(plan: ReadPlan, session: SparkSession) -> Answer:
    """Read the plan with the backend of Spark."""
    frame = SparkBackend().build(plan, session=session).dicom
    return _add_up(frame.select(functions.octet_length("metadata").alias("size")))


@contextmanager
def run_floor(plan: ReadPlan, session: SparkSession) -> Iterator[Callable[[], Answer]]:
    """Make the rows of the plan ready as Arrow files, which workers map and hand to Spark."""
    names = ["origin", "metadata", "reason"]
    with TemporaryDirectory() as folder:
        for number, partition in enumerate(plan.partitions):
            rows = pa.Table.from_batches(plan.reader(partition, names))
            with pa.ipc.new_file(f"{folder}/{number}", rows.schema) as file:
                file.write_table(rows)

        def hand_over(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            from dicomframe_spark.task import spare_collector  # noqa: PLC0415  (in the worker)

            for batch in batches:
                for number in batch.column(0).to_pylist():
                    with pa.memory_map(f"{folder}/{number}") as file:
                        yield from pa.ipc.open_file(file).read_all().to_batches()
            spare_collector()

        def read() -> Answer:
            count = len(plan.partitions)
            schema = ", ".join(f"{name} string" for name in names)
            frame = session.range(0, count, 1, count).mapInArrow(hand_over, schema)
            sound = frame.where("reason IS NULL")
            return _add_up(sound.select(functions.octet_length("metadata").alias("size")))

        yield read


def read_by_bag(paths: Sequence[str]) -> Answer:
    """Read the files as one does with pydicom and a Dask bag."""
    sizes = bag.from_sequence(paths, npartitions=8 * PROCESSES).map(_measure_by_pydicom)
    count, size = dask.compute(sizes.count(), sizes.sum())
    return int(count), int(size)


def read_by_binary_file(paths: Sequence[str], session: SparkSession) -> Answer:
    """Read the files as one does with pydicom and Spark's source of binary files.

    It is given folders, since Spark looks at each path that it is given in a task of its own.
    """

    def to_json(content: bytes) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).to_json())

    convert = functions.udf(to_json, "string")
    folders = sorted({str(Path(path).parent) for path in paths})
    content = session.read.format("binaryFile").load(folders).select(convert("content").alias("j"))
    return _add_up(content.select(functions.octet_length("j").alias("size")))


def report(ways: Sequence[Way], starts: dict[str, float]) -> str:
    """Return the table."""
    base = ways[0]
    head = [
        "",
        "files",
        "start, s",
        "first job, s",
        "then, s",
        "us a file",
        "times",
        "times, CPU",
    ]
    rows = [
        [
            way.name,
            f"{way.files:,}",
            f"{starts[way.name]:.1f}" if way.name in starts else "",
            f"{way.first_seconds:.2f}",
            f"{statistics.median(way.seconds):.2f}",
            f"{statistics.median(way.seconds) / way.files * 1e6:,.0f}",
            f"{way.ratio(base):.2f}",
            f"{way.ratio(base, cpu=True):.2f}",
        ]
        for way in ways
    ]
    return to_table(head, rows)


def report_peers(ours: Sequence[Way], peers: Sequence[Way]) -> str:
    """Return how many times as fast as each peer we are."""
    rows = [[way.name, *(f"{peer.ratio(way):.0f}" for peer in peers)] for way in ours]
    return to_table(["times as fast as", *(peer.name for peer in peers)], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000, help=f"by {_SERIES_LENGTH}")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=10, help="turns before those")
    parser.add_argument("--small-jobs", type=int, default=200, help="of Spark, before all turns")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    paths = make_corpus(arguments.files)
    plan = plan_read(paths, pixels="none")
    subset = paths[:_SUBSET]
    starts: dict[str, float] = {}
    with ExitStack() as stack:

        def start(name: str, context: Any) -> Any:
            begin = time.perf_counter()
            entered = stack.enter_context(context)
            starts[name] = time.perf_counter() - begin
            return entered

        processes = start(_BASE, run_processes(plan))
        start("Dask", run_dask())
        session = start("Spark", run_spark())
        ours = [
            Way(_BASE, processes, len(paths)),
            Way("Dask", partial(read_by_dask, plan), len(paths)),
            Way("Spark", partial(read_by_spark, plan, session), len(paths)),
        ]
        few = plan_read(paths[: 10 * _SMALL_TASKS], pixels="none", npartitions=_SMALL_TASKS)
        small = Way("small jobs", partial(read_by_spark, few, session), 10 * _SMALL_TASKS)
        ready = stack.enter_context(run_floor(plan, session))
        floor = Way("Spark's floor, no file read", ready, len(paths))
        peers = [
            Way("a Dask bag of pydicom", partial(read_by_bag, subset), len(subset)),
            Way(
                "Spark `binaryFile` and a pydicom UDF",
                partial(read_by_binary_file, subset, session),
                len(subset),
            ),
        ][: 0 if arguments.no_peers else 2]
        _measure([*ours, floor], peers, 1)
        _measure([small], [], arguments.small_jobs)
        _measure([*ours, floor], [], arguments.warm_up)
        for way in (*ours, floor, *peers):
            way.forget()
        loads = _measure([*ours, floor], peers, arguments.turns)
    print(describe(loads), f"{len(plan.partitions)} partitions.\n", sep="\n")
    print(report([*ours, floor, *peers], starts))
    last = statistics.median(small.seconds[-20:])
    jobs = f"{small.files} files in {_SMALL_TASKS} tasks"
    print(f"\nSpark's small jobs, {jobs}, in the end: {last:.2f} s.")
    if peers:
        print("\n" + report_peers(ours, peers))


def describe(loads: Sequence[float]) -> str:
    """Return what the figures were measured with."""
    versions = {"Dask": dask, "PySpark": pyspark, "pydicom": pydicom}
    named = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    return (
        f"Python {platform.python_version()}, {named}, {os.cpu_count()} cores of "
        f"{platform.machine()}, load of the machine {min(loads):.1f} to {max(loads):.1f}."
    )


def _measure(engines: Sequence[Way], peers: Sequence[Way], turns: int) -> list[float]:
    """Let every way read in every turn; return the loads of the machine."""
    chance = random.Random(7)
    loads = []
    for _ in range(turns):
        answers: dict[int, set[int]] = {}
        for way in chance.sample([*engines, *peers], len(engines) + len(peers)):
            count, _size = way.measure()
            answers.setdefault(way.files, set()).add(count)
            loads.append(os.getloadavg()[0])
        if any(found != {files} for files, found in answers.items()):
            sys.exit(f"files were lost: {answers}")
    return loads


def _read_share(plan: ReadPlan) -> Answer:
    count = size = 0
    for partition in plan.partitions:
        for batch in plan.reader(partition):
            sound = batch["metadata"].filter(batch["reason"].is_null())
            count += len(sound)
            size += pc.sum(pc.binary_length(sound)).as_py() or 0
    return count, size


def _measure_by_pydicom(path: str) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return len(pydicom.dcmread(path, stop_before_pixels=True).to_json())


def _add_up(frame: Any) -> Answer:
    (row,) = frame.agg(functions.count("size"), functions.sum("size")).collect()
    return int(row[0]), int(row[1])


def _cpu_seconds() -> float:
    """Return the CPU time so far of this process and all below it."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
