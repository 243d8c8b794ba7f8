"""Count which files' pixels queries read: run as a program on Connect, imported on classic."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession, functions

from dicomframe.api import plan_read
from dicomframe.plugin import PixelReader, ReadPlan
from dicomframe.testing.samples import make_ct
from dicomframe_spark import SparkBackend

FILES = 2000
PARTITIONS = 8


@dataclass(frozen=True)
class CountingReader(PixelReader):
    """Write a line for each file whose pixels are read: its origin and the task's partition."""

    log: str = ""

    def __call__(self, origins: pa.Array, places: pa.Array) -> Iterator[pa.Array]:
        from pyspark import TaskContext

        partition = TaskContext.get().partitionId()  # type: ignore[union-attr]
        at = 0
        for piece in super().__call__(origins, places):
            read = zip(origins[at : at + len(piece)], piece.is_valid(), strict=True)
            lines = [f"{partition} {origin}\n" for origin, is_there in read if is_there.as_py()]
            at += len(piece)
            with Path(self.log, str(os.getpid())).open("a") as log:
                log.writelines(lines)
            yield piece


class CountingPlan(ReadPlan):
    """A plan whose pixels are read by a `CountingReader`."""

    @property
    def pixel_reader(self) -> PixelReader:
        reader = super().pixel_reader
        return CountingReader(reader.stores, reader.options, os.environ["PIXEL_LOG"])


def write_files(folder: Path) -> None:
    """Write the files, of which every tenth is of another modality, with 2 bytes of pixels."""
    series = make_ct(series=1)
    other = series.replace(b"\x08\x00\x60\x00CS\x02\x00CT", b"\x08\x00\x60\x00CS\x02\x00MR")
    assert other != series
    for number in range(FILES):
        (folder / f"{number:04}.dcm").write_bytes(series if number % 10 else other)


def count_reads(session: SparkSession, folder: Path, log: Path) -> dict[str, Any]:
    """Return what each query gave, and how many pixels it read: in all, of how many files,
    and in the partition that read the most."""
    os.environ["PIXEL_LOG"] = str(log)
    plan = plan_read(folder, tags=["Modality"], npartitions=PARTITIONS)
    plan = CountingPlan(plan.partitions, plan.reader)
    frame = SparkBackend().build(plan, session=session).dicom
    in_json = functions.get_json_object("metadata", "$.00080060.Value[0]")
    queries = {
        "no pixels": lambda: len(frame.select("origin", "metadata").collect()),
        "count": frame.count,
        "tag": lambda: len(frame.where("Modality = 'MR'").collect()),
        "json": lambda: len(frame.where(in_json == "MR").collect()),
        "limit": lambda: len(frame.limit(5).collect()),
        "all": lambda: len(frame.collect()),
    }
    counts = {}
    for name, run in queries.items():
        rows = run()
        lines = [line for part in log.iterdir() for line in part.read_text().splitlines()]
        for part in log.iterdir():
            part.unlink()
        partitions = [line.partition(" ")[0] for line in lines]
        most = max(map(partitions.count, partitions), default=0)
        counts[name] = [rows, len(lines), len(set(lines)), most]
    return counts


if __name__ == "__main__":
    connected = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
    json.dump(count_reads(connected, Path(sys.argv[2]), Path(sys.argv[3])), sys.stdout)
