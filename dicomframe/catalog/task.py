"""Read the files of one partition into parts of a catalogue; this runs on the workers."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.catalog.columns import FRAMES, make_schema
from dicomframe.catalog.naming import name_files
from dicomframe.catalog.parts import write_part
from dicomframe.catalog.place import CatalogPlace
from dicomframe.scan.packing import TIMED_SCHEMA, unpack_files
from dicomframe.scan.partition import Partition
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.schema import select_rows

__all__ = ["TOLD_SCHEMA", "Container", "IndexTask"]

_HELD_BYTES = 256 << 20

TOLD_SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int64()),
        pa.field("kind", pa.string()),
        pa.field("name", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("bytes", pa.int64()),
    ]
)
"""What a task returns: a row of the kind ``part`` for each file that it wrote; one of the kind
``read`` for each reason (and one without, for the sound files) with the bytes that were read; one
of the kind ``container`` for each archive that several tasks share, with the members that were
listed here, and instead of bytes those of the whole; last one of the kind ``end`` with the number
of all these rows."""


@dataclass(frozen=True, slots=True)
class Container:
    """What the listing knows of an archive whose members were listed in its place."""

    members: int
    size: int | None
    modified: int | None
    version: int | None


@dataclass(frozen=True, repr=False)
class IndexTask:
    """Read a partition and write its rows; a picklable callable.

    Attributes
    ----------
    reader
        The reader of the plan.
    place
        The catalogue.
    run
        The number that the rows get.
    journal
        The folder of the run, where it is written what was done; None to write no such file.
    containers
        The archives whose members were listed in their place, by their origins.
    """

    reader: PartitionReader
    place: CatalogPlace
    run: int
    journal: str | None
    containers: Mapping[str, Container]

    def __repr__(self) -> str:
        return "index_dicom"

    @property
    def schema(self) -> pa.Schema:
        """What it returns."""
        return TOLD_SCHEMA

    def __call__(self, partition: Partition) -> pa.RecordBatch:
        """Write the parts of `partition`; return what was written and read.

        Raises
        ------
        OSError
            A part cannot be written.
        """
        listed = self._list(partition)
        schemas = {frame: make_schema(frame, self.reader.options.tags) for frame in FRAMES}
        held: dict[str, list[pa.RecordBatch]] = {frame: [] for frame in FRAMES}
        rows: Counter[str] = Counter()
        bytes_read: Counter[str] = Counter()
        told: list[tuple[str, str, int, int]] = []
        options = replace(self.reader.options, counts_bytes=True)
        for batch in replace(self.reader, options=options)(partition):
            for reason, count, size in _count(batch):
                rows[reason] += count
                bytes_read[reason] += size
            stamped = self._stamp(batch, listed)
            for frame in FRAMES:
                rows_of_frame = select_rows(stamped, frame)
                if not rows_of_frame.num_rows:
                    continue
                held[frame].append(rows_of_frame.select(schemas[frame].names))
                if sum(each.nbytes for each in held[frame]) > _HELD_BYTES:
                    told.append(self._write(frame, held[frame], schemas[frame]))
                    held[frame] = []
        for frame, batches in held.items():
            if batches:
                told.append(self._write(frame, batches, schemas[frame]))
        told += (("read", reason, count, bytes_read[reason]) for reason, count in rows.items())
        shared = Counter(each for each in listed["container"].to_pylist() if each is not None)
        told += (
            ("container", origin, count, self.containers[origin].members)
            for origin, count in shared.items()
        )
        told.append(("end", "", len(told) + 1, 0))
        if self.journal is not None:
            name = f"{self.journal}/{partition.index:06d}-{uuid.uuid4().hex[:12]}.json"
            self.place.write(name, json.dumps({"files": len(partition), "told": told}).encode())
        columns = [[partition.index] * len(told), *map(list, zip(*told, strict=True))]
        return pa.RecordBatch.from_arrays(
            [pa.array(each, field.type) for each, field in zip(columns, TOLD_SCHEMA, strict=True)],
            schema=TOLD_SCHEMA,
        )

    def _write(
        self, frame: str, batches: list[pa.RecordBatch], schema: pa.Schema
    ) -> tuple[str, str, int, int]:
        part = write_part(self.place, frame, self.run, pa.Table.from_batches(batches).cast(schema))
        return "part", part.name, part.rows, part.bytes

    def _list(self, partition: Partition) -> pa.RecordBatch:
        """Return what the listing knows: of members listed by themselves, their archive's."""
        files = unpack_files(partition.data)
        columns = {
            "origin": name_files(partition.stores, files),
            "container": pa.nulls(len(files), pa.string()),
            "size": files["size"],
            "modified": _modified(files),
            "version": files["version"].view(pa.int64()),
        }
        for number, store in enumerate(partition.stores):
            if store.inner is None or not store.is_archive:
                continue
            origin = store.inner[0].origin(store.inner[1] or "")
            container = self.containers.get(origin)
            if container is not None:
                is_here = pc.equal(files["store"], number)
                columns["container"] = pc.if_else(is_here, origin, columns["container"])
                for name in ("size", "modified", "version"):
                    kind = columns[name].type
                    value = pa.scalar(getattr(container, name), pa.int64()).cast(kind)
                    columns[name] = pc.if_else(is_here, value, columns[name])
        return pa.RecordBatch.from_pydict(columns)

    def _stamp(self, batch: pa.RecordBatch, listed: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows with what is known of the file that each comes from."""
        at = pc.index_in(batch["origin"], value_set=listed["origin"])
        containers = listed["container"].take(at)
        if at.null_count:  # members of archives that were opened here
            behind = pc.replace_substring_regex(batch["origin"], r"(?s)^.*?::", "")
            at = pc.coalesce(at, pc.index_in(behind, value_set=listed["origin"]))
            is_member = pc.is_null(pc.index_in(batch["origin"], value_set=listed["origin"]))
            containers = pc.if_else(is_member, behind, containers)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns["container"] = containers
        for name in ("size", "modified", "version"):
            columns[name] = listed[name].take(at)
        columns["run"] = pa.repeat(pa.scalar(self.run, pa.int64()), batch.num_rows)
        return pa.RecordBatch.from_pydict(columns)


def _modified(files: pa.RecordBatch) -> pa.Array:
    if "modified" in files.schema.names:
        return files["modified"]
    return pa.nulls(len(files), TIMED_SCHEMA.field("modified").type)


def _count(batch: pa.RecordBatch) -> Iterator[tuple[str, int, int]]:
    rows = pa.table({"reason": pc.fill_null(batch["reason"], ""), "bytes": batch["bytes_read"]})
    grouped = rows.group_by("reason").aggregate([("bytes", "sum"), ([], "count_all")])
    for row in grouped.to_pylist():
        yield row["reason"], row["count_all"], row["bytes_sum"] or 0
