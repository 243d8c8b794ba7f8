"""Load what a catalogue knows of its files, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dicomframe.catalog.columns import GONE_SCHEMA, OWN_COLUMNS, make_schema
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import Part
from dicomframe.errors import CatalogError
from dicomframe.scan.live_rows import gone_keys

__all__ = ["Known", "load_known"]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The rows of some parts, without their tags.

    Attributes
    ----------
    rows
        The columns `OWN_COLUMNS`; ``reason``, null for a sound file; ``part``, the number of its
        part in `parts`; ``key``, the origin of the listed file.
    is_dead
        Which of them are gone.
    parts
        Each with its frame.
    """

    rows: pa.Table
    is_dead: pa.ChunkedArray
    parts: tuple[tuple[str, Part], ...]

    @property
    def live(self) -> pa.Table:
        """The rows that are not gone."""
        if not pc.any(self.is_dead).as_py():
            return self.rows
        return self.rows.filter(pc.invert(self.is_dead))

    def bury(self, is_dead: pa.ChunkedArray | pa.Array) -> Known:
        """Return the same with more of the rows gone."""
        return replace(self, is_dead=pc.or_(self.is_dead, is_dead))

    def bury_runs(self, keys: Iterable[tuple[str, int]]) -> Known:
        """Return the same with the rows gone that a run has read of some listed files."""
        found = self
        for key, run in keys:
            mask = pc.and_(pc.equal(self.rows["key"], key), pc.equal(self.rows["run"], run))
            found = found.bury(mask)
        return found

    def bury_older(self) -> Known:
        """Return the same where of the rows of one file only those of its last run are left."""
        runs = (
            self.live.select(["key", "run"])
            .group_by("key")
            .aggregate([("run", "max"), ("run", "min")])
        )
        several = runs.filter(pc.greater(runs["run_max"], runs["run_min"]))
        if not several.num_rows:
            return self
        at = pc.index_in(self.rows["key"], value_set=several["key"])
        last = several["run_max"].take(at.combine_chunks())
        return self.bury(pc.fill_null(pc.less(self.rows["run"], last), False))

    def bury_keys(self, keys: pa.ChunkedArray | pa.Array) -> Known:
        """Return the same with all rows of some listed files gone."""
        if not len(keys):
            return self
        return self.bury(pc.is_in(self.rows["key"], value_set=keys))

    def parts_now(self) -> tuple[tuple[str, Part], ...]:
        """Return the parts with the numbers of their dead rows."""
        dead = self.rows["part"].filter(self.is_dead)
        counts = {each["values"].as_py(): each["counts"].as_py() for each in pc.value_counts(dead)}
        return tuple(
            (frame, replace(part, dead=counts.get(number, 0)))
            for number, (frame, part) in enumerate(self.parts)
        )

    def dead_rows(self, numbers: Iterable[int]) -> pa.Table:
        """Return the dead rows of some parts, as `GONE_SCHEMA`."""
        wanted = pa.array(list(numbers), self.rows.schema.field("part").type)
        mask = pc.and_(self.is_dead, pc.is_in(self.rows["part"], value_set=wanted))
        return self.rows.filter(mask).select(GONE_SCHEMA.names).cast(GONE_SCHEMA)

    def counts(self) -> tuple[int, Mapping[str, int]]:
        """Return the listed files and the rows by reason, of what is live; "" if they are sound."""
        live = self.live
        files = pc.count_distinct(live["key"]).as_py() if live.num_rows else 0
        reasons = pc.value_counts(pc.fill_null(live["reason"], ""))
        return files, {each["values"].as_py(): each["counts"].as_py() for each in reasons}


def load_known(
    place: CatalogPlace, parts: Iterable[tuple[str, Part]], gone: Iterable[Part]
) -> Known:
    """Read the rows of parts, each given with its frame.

    Raises
    ------
    CatalogError
        A part is not there, or damaged.
    """
    parts = tuple(parts)
    tables = [_SCHEMA.empty_table()]
    for number, (frame, part) in enumerate(parts):
        names = [*OWN_COLUMNS, *(["reason"] if frame == "corrupt" else [])]
        table = _read(place, part, names)
        if frame == "dicom":
            table = table.append_column("reason", pa.nulls(table.num_rows, pa.string()))
        table = table.append_column("part", pa.repeat(pa.scalar(number, pa.int32()), len(table)))
        table = table.append_column("key", pc.coalesce(table["container"], table["origin"]))
        tables.append(table.select(_SCHEMA.names).cast(_SCHEMA))
    rows = pa.concat_tables(tables)
    is_dead = pa.chunked_array([pa.repeat(pa.scalar(False), rows.num_rows)])
    dead = [_read(place, part, GONE_SCHEMA.names) for part in gone]
    if dead:
        is_dead = pc.is_in(gone_keys(rows), value_set=gone_keys(pa.concat_tables(dead)))
    return Known(rows, is_dead, parts)


_CORRUPT = make_schema("corrupt", ())
_SCHEMA = pa.schema(  # no table: with its first array Arrow imports pandas
    [
        *(_CORRUPT.field(name).with_nullable(True) for name in (*OWN_COLUMNS, "reason")),
        pa.field("part", pa.int32()),
        pa.field("key", pa.string()),
    ]
)


def _read(place: CatalogPlace, part: Part, names: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(place.open(part.name), pre_buffer=True) as file:
            return file.read(columns=names)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise CatalogError(
            f"the part {part.name!r} of the catalogue {place.origin!r} cannot be read "
            f"({'it is not there' if isinstance(error, OSError) else 'it is damaged'}); "
            "index into a new folder"
        ) from None
