"""Read a plan step by step, here or by an engine, as Arrow tables of both frames."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from dicomframe import registry
from dicomframe.plugin import ReadPlan
from dicomframe.scan.schema import FRAMES, select_rows

__all__ = ["Step", "count_bytes", "quiet", "read_by_engine", "read_here"]

_WAVES = 25
_WAVE_PER_CPU = 8


class Step(NamedTuple):
    """Hold what one step of a run read.

    Attributes
    ----------
    file_count
        The files that were to be read in it.
    dicom, corrupt
        Their rows, with the schemas of the plan.
    """

    file_count: int
    dicom: pa.Table
    corrupt: pa.Table


def count_bytes(plan: ReadPlan) -> ReadPlan:
    """Return `plan` with the columns ``bytes_read`` and ``requests`` in both frames."""
    options = replace(plan.reader.options, counts_bytes=True)
    return replace(plan, reader=replace(plan.reader, options=options))


def read_here(plan: ReadPlan) -> Iterator[Step]:
    """Yield the rows of each batch that the library's own loop reads in this process."""
    schemas = plan.dicom_schema, plan.corrupt_schema
    for partition in plan.partitions:
        for batch in plan.reader(partition):
            dicom, corrupt = (
                pa.table(select_rows(batch, frame)).select(schema.names).cast(schema)
                for frame, schema in zip(FRAMES, schemas, strict=True)
            )
            yield Step(batch.num_rows, dicom, corrupt)


def read_by_engine(plan: ReadPlan, engine: str) -> Iterator[Step]:
    """Yield the rows of each wave of partitions that `engine` computes.

    A wave at a time is in memory: as many partitions as there are cores, or more where that
    leaves a long run with many waves and no Pixel Data is read.
    """
    to_arrow = registry.get_backend(engine).to_arrow
    size = _wave_size(len(plan.partitions), reads_pixels=plan.reader.options.pixels == "bytes")
    for start in range(0, len(plan.partitions), size):
        wave = replace(plan, partitions=plan.partitions[start : start + size])
        frames = registry.build_frames(engine, wave, {})
        dicom, corrupt = to_arrow(frames.dicom), to_arrow(frames.corrupt)
        yield Step(
            sum(len(each) for each in wave.partitions),
            dicom.select(plan.dicom_schema.names).cast(plan.dicom_schema),
            corrupt.select(plan.corrupt_schema.names).cast(plan.corrupt_schema),
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what pydicom and the engines have to say in passing off the screen."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "distributed", "pyspark")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _wave_size(count: int, *, reads_pixels: bool) -> int:
    cpus = os.cpu_count() or 1
    if reads_pixels:
        return cpus
    return max(cpus, min(-(-count // _WAVES), _WAVE_PER_CPU * cpus))
