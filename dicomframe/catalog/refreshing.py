"""Have the new and changed files of a catalogue read, here or by an engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe import registry
from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.journal import begin_journal
from dicomframe.catalog.naming import name_files
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.reports import IndexProgress, TellProgress
from dicomframe.catalog.state import Part
from dicomframe.catalog.task import TOLD_SCHEMA, Container, IndexTask
from dicomframe.catalog.workers import Workers, count_cpus
from dicomframe.errors import CatalogError
from dicomframe.scan.listing import Listing
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.planning import ReadPlan, plan_partitions
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.splitting import split_archives
from dicomframe.scan.storage import Store

__all__ = ["Done", "Engine", "read_touched"]

_FEW_FILES = 2000
_WAVES = 25


@dataclass(frozen=True, slots=True, repr=False)
class Engine:
    """Who reads.

    Attributes
    ----------
    name
        The name of a backend; None for processes of this machine.
    options
        Its own options.
    npartitions
        In how many partitions; None for as many as the cost makes.
    in_waves
        Whether a backend is given some partitions after the others, so that somebody can be
        told how far it is; workers that a wave has no partition for are idle meanwhile.
    """

    name: str | None
    options: Mapping[str, Any]
    npartitions: int | None
    in_waves: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What was read and written.

    Attributes
    ----------
    parts
        Each with its frame, in the order of the partitions.
    rows
        How many rows have a reason; that of sound files is empty.
    bytes_read
        Of the files.
    journal
        The folder of the run; None if there was no need for one.
    """

    parts: tuple[tuple[str, Part], ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    bytes_read: int = 0
    journal: str | None = None


def read_touched(
    touched: Listing,
    options: ReadOptions,
    place: CatalogPlace,
    run: int,
    asked: Mapping[str, Any],
    engine: Engine,
    workers: Workers,
    tell: TellProgress,
) -> Done:
    """Read files and write their rows as parts of `run`.

    Parameters
    ----------
    touched
        The files.
    options
        What is read of them.
    place
        The catalogue.
    run
        The number of the run.
    asked
        What a run must have been asked for to take these parts up, if this one does not end.
    engine
        Who reads.
    workers
        The processes of this machine.
    tell
        Is told how far this is.

    Raises
    ------
    OSError
        A part cannot be written.
    CatalogError
        The engine did not do all the work, or did it elsewhere.
    """
    if not touched.file_count:
        return Done()
    listing = split_archives(touched) if options.archives else touched
    is_little = touched.file_count <= _FEW_FILES
    npartitions = engine.npartitions
    if is_little and npartitions is None:  # sooner done here than an engine starts
        npartitions, engine = 1, replace(engine, name=None)
    partitions = plan_partitions(listing, reads_pixels=False, npartitions=npartitions)
    plan = ReadPlan(partitions, PartitionReader(options))
    journal = begin_journal(place, run, asked) if len(partitions) > 1 else None
    task = IndexTask(plan.reader, place, run, journal, _containers(touched, listing))
    total = listing.file_count
    done = 0
    tell(IndexProgress("reading", done, total))
    tables = []
    for count, told in _run(plan, task, engine, workers, is_little=is_little):
        done += count
        tables.append(told)
        tell(IndexProgress("reading", done, total))
    return replace(_check(pa.concat_tables(tables), plan, place), journal=journal)


def _run(
    plan: ReadPlan, task: IndexTask, engine: Engine, workers: Workers, *, is_little: bool
) -> Iterator[tuple[int, pa.Table]]:
    """Yield what tasks told, with the number of files behind it."""
    if engine.name is None:
        for partition, told in workers.map(task, plan.partitions, is_little=is_little):
            yield len(partition), pa.Table.from_batches([told])
        return
    backend = registry.get_backend(engine.name)
    size = len(plan.partitions)
    if engine.in_waves:
        size = max(-(-size // _WAVES), count_cpus())
    for start in range(0, len(plan.partitions), size):
        wave = replace(plan, partitions=plan.partitions[start : start + size])
        frames = registry.build_frames(engine.name, wave, engine.options)
        told = backend.collect(frames, wave, task)
        yield sum(map(len, wave.partitions)), told.select(TOLD_SCHEMA.names).cast(TOLD_SCHEMA)


def _containers(touched: Listing, listing: Listing) -> dict[str, Container]:
    """Return what is known of the archives that `listing` holds the members of."""
    before = set(touched.stores)
    own = {number: each for number, each in enumerate(listing.stores) if each not in before}
    if not own:
        return {}
    members: Counter[int] = Counter()
    for files in listing.batches():
        for count in pc.value_counts(files["store"]):
            members[count["values"].as_py()] += count["counts"].as_py()
    numbers = {_origin_of(store): number for number, store in own.items()}
    wanted = pa.array(list(numbers), pa.string())
    found = {}
    for files in touched.batches():
        names = name_files(touched.stores, files)
        mask = pc.is_in(names, value_set=wanted)
        stamps = files.filter(mask)
        modified = [None] * len(stamps)
        if "modified" in stamps.schema.names:
            modified = stamps["modified"].cast(pa.int64()).to_pylist()
        for origin, size, when, version in zip(
            names.filter(mask).to_pylist(),
            stamps["size"].to_pylist(),
            modified,
            stamps["version"].view(pa.int64()).to_pylist(),
            strict=True,
        ):
            found[origin] = Container(members[numbers[origin]], size, when, version)
    return found


def _origin_of(archive: Store) -> str:
    store, path = archive.inner or (archive, "")
    return store.origin(path or "")


def _check(told: pa.Table, plan: ReadPlan, place: CatalogPlace) -> Done:
    """Return what was done, if each partition is in it once and each part is there."""
    rows = sorted(told.to_pylist(), key=lambda row: (row["partition"], str(row["name"])))
    found = Counter(row["partition"] for row in rows)
    promised = [(row["partition"], row["rows"]) for row in rows if row["kind"] == "end"]
    if sorted(promised) != sorted(found.items()) or found.keys() != {
        each.index for each in plan.partitions
    }:
        raise CatalogError(
            f"the engine returned the results of {len(promised):,} tasks for "
            f"{len(plan.partitions):,} partitions, or not all of them, so the catalogue is as "
            "before; report it to the authors of its backend"
        )
    parts = [Part(row["name"], row["rows"], row["bytes"]) for row in rows if row["kind"] == "part"]
    there = {
        f"{frame}/{name}": stored.size
        for frame in FRAMES
        for name, stored in place.list(frame).items()
    }
    for part in parts:
        if there.get(part.name) != part.bytes:
            raise CatalogError(
                f"a part that a worker wrote below {place.origin!r} is not there for this "
                "process; give a folder that all workers and this process share"
            )
    counts: Counter[str] = Counter()
    for row in rows:
        if row["kind"] == "read":
            counts[row["name"]] += row["rows"]
    return Done(
        tuple((part.name.partition("/")[0], part) for part in parts),
        counts,
        sum(row["bytes"] for row in rows if row["kind"] == "read"),
    )
