"""Compare late pixels with the one-pass way on Spark, on local disk and on S3 with latency.

    python benchmarks/spark_late.py --local 400 --s3 100 --latency 0.02 --rounds 3

prints seconds and ratios: the best of some rounds in which the ways take turns. The S3 server and
the proxy that delays are those of ``tests/servers``.

    python benchmarks/spark_late.py --memory

sends 2,200 files of 1 MiB of pixels through one partition of an executor with 2 GB, both ways, and
prints the largest resident memory of its processes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import modalities
from pyspark.sql import DataFrame, SparkSession

from dicomframe import read_dicom
from dicomframe.testing.samples import make_ct
from dicomframe_spark import start_local_session

ROOT = Path(__file__).parent.parent
WAYS = {"late": True, "one pass": False}
MEMORY_FILES = 2200


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--local", type=int, default=400, help="files on local disk, 0 for none")
    parser.add_argument("--s3", type=int, default=100, help="files on S3, 0 for none")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds a request waits")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure memory, and nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spark-late-") as name:
        folder = Path(name)
        if given.memory:
            measure_memory(folder)
            return
        write_series(folder / "files", max(given.local, given.s3))
        session = start_local_session()
        if given.local:
            keep(folder / "files", given.local)
            compare(session, "local disk", str(folder / "files"), {}, folder, given.rounds)
        if given.s3:
            keep(folder / "files", given.s3)
            with serve_s3(folder / "files", given.latency) as (path, options):
                title = f"S3, {given.latency * 1000:g} ms"
                compare(session, title, path, options, folder, given.rounds)


def write_series(folder: Path, count: int) -> None:
    """Write CT slices of half a megabyte; of a hundred, one has the instance number 100."""
    folder.mkdir()
    for number in range(count):
        data = modalities.make_ct(number % 100 + 1, number // 100 + 1)
        (folder / f"{number:05}.dcm").write_bytes(data)


def keep(folder: Path, count: int) -> None:
    """Leave the first files only."""
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()


def compare(
    session: SparkSession,
    title: str,
    path: str,
    storage_options: dict[str, Any],
    folder: Path,
    rounds: int,
) -> None:
    """Print a table of both ways and the kinds of job."""

    def write_all(frame: DataFrame) -> None:
        frame.write.mode("overwrite").parquet(str(folder / "out"))

    def consume_all(frame: DataFrame) -> None:
        frame.write.format("noop").mode("overwrite").save()

    jobs: dict[str, Callable[[DataFrame], None]] = {
        "write everything, Parquet": write_all,
        "write everything, nowhere": consume_all,
        "filter 1 percent": lambda frame: consume_all(frame.where("InstanceNumber = 100")),
        "metadata only": lambda frame: consume_all(frame.select("origin", "metadata")),
    }
    frames = {
        way: read_dicom(
            path,
            engine="spark",
            session=session,
            tags=["InstanceNumber"],
            storage_options=storage_options,
            npartitions=4,
            late_pixels=late_pixels,
        ).dicom
        for way, late_pixels in WAYS.items()
    }
    print(f"\n{title}: {frames['late'].count()} files of 0.5 MB\n")
    print("| job | late | one pass | late / one pass |\n|---|---|---|---|")
    for job, run in jobs.items():
        best = dict.fromkeys(WAYS, float("inf"))
        for frame in frames.values():
            run(frame)  # warms workers and page cache
        for _ in range(rounds):
            for way, frame in frames.items():
                start = time.perf_counter()
                run(frame)
                best[way] = min(best[way], time.perf_counter() - start)
        late, one = best.values()
        print(f"| {job} | {late:.2f} s | {one:.2f} s | {late / one:.2f} |", flush=True)


@contextmanager
def serve_s3(folder: Path, latency_seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Put the files on a server behind a proxy that delays; yield their URL and its options."""
    sys.path.insert(0, str(ROOT / "tests"))
    import s3fs  # noqa: PLC0415
    from servers.faults import Faults  # noqa: PLC0415
    from servers.proxy import start_proxy  # noqa: PLC0415
    from servers.s3 import BUCKET, start_s3  # noqa: PLC0415

    with start_s3() as server, start_proxy(server.endpoint) as proxy:
        remote = s3fs.S3FileSystem(**server.storage_options)
        for path in sorted(folder.iterdir()):
            remote.pipe_file(f"{BUCKET}/files/{path.name}", path.read_bytes())
        proxy.faults = Faults(latency_seconds=latency_seconds)
        yield f"s3://{BUCKET}/files", server.storage_options_at(proxy.endpoint)


def measure_memory(folder: Path) -> None:
    """Print the peaks of a job whose one partition is larger than the memory of its executor."""
    data = make_ct(rows=724, columns=724)
    first = folder / "0000.dcm"
    first.write_bytes(data)
    for number in range(1, MEMORY_FILES):
        shutil.copyfile(first, folder / f"{number:04}.dcm")
    session = (
        SparkSession.builder.master("local-cluster[1,1,2048]")
        .config("spark.executor.memory", "2g")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    for way, late_pixels in WAYS.items():
        frame = read_dicom(
            folder, engine="spark", session=session, npartitions=1, late_pixels=late_pixels
        ).dicom
        with watch_memory() as peaks:
            total = frame.selectExpr("count(*)", "sum(length(pixel_data))").first()
        worker = max(peaks.get("python", {}).values(), default=0) / 1e6
        executor = max(peaks.get("java", {}).values(), default=0) / 1e6
        print(
            f"{way}: {total[0]} rows, {total[1] / 2**20:.0f} MiB of pixels; largest Python worker "
            f"{worker:.0f} MB, executor {executor:.0f} MB",
            flush=True,
        )


@contextmanager
def watch_memory() -> Iterator[dict[str, dict[int, int]]]:
    """Note the largest resident bytes of Python workers and executors while the context lasts."""
    peaks: dict[str, dict[int, int]] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    if b"CoarseGrainedExecutorBackend" in command:
                        kind = "java"
                    elif b"pyspark.daemon" in command:
                        kind = "python"
                    else:
                        continue
                    pages = int((process / "statm").read_text().split()[1])
                except (OSError, IndexError):
                    continue
                found = peaks.setdefault(kind, {})
                number = int(process.name)
                found[number] = max(found.get(number, 0), pages * 4096)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
