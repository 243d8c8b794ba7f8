"""Go from a listing to the next state of a catalogue."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dicomframe.catalog.catalog import read_live
from dicomframe.catalog.changes import Changes, find_changes
from dicomframe.catalog.cleaning import clean
from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.journal import Unfinished, find_unfinished
from dicomframe.catalog.known import Known, load_known
from dicomframe.catalog.merging import MergeTask, choose_merges
from dicomframe.catalog.parts import write_part
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.refreshing import Done, Engine, read_touched
from dicomframe.catalog.reports import IndexProgress, IndexReport, TellProgress
from dicomframe.catalog.state import Part, State, write_state
from dicomframe.catalog.workers import Workers, count_cpus
from dicomframe.scan.listing import Listing
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.patterns import Selection

__all__ = ["Run"]

_FEW_ROWS = 4096
_OF_A_RUN = ("new", "changed", "vanished", "unchanged", "resumed", "bytes_read", "seconds")
_COMPARED = ("origin", "reason", "detail", "offset")


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes
    ----------
    place
        The catalogue.
    before
        Its last state; one of number 0 where it has none.
    options
        What is read of a file.
    engine
        Who reads.
    tell
        Is told how far the run is.
    started
        When it began, by the monotonic clock.
    """

    place: CatalogPlace
    before: State
    options: ReadOptions
    engine: Engine
    tell: TellProgress
    started: float

    def go(self, listing: Listing, selection: Selection) -> IndexReport:
        """Write the next state if anything has changed; return the report."""
        with Workers(count_cpus()) as workers:
            return self._go(listing, selection, workers)

    def _go(self, listing: Listing, selection: Selection, workers: Workers) -> IndexReport:
        asked = {
            "tags": dict(self.before.tags),
            "limits": asdict(self.options.limits),
            "archives": self.options.archives,
        }
        unfinished = find_unfinished(self.place, self.before.last_run, asked)
        changes = find_changes(listing, self._load(unfinished), selection)
        number = unfinished.last_run + 1
        done = read_touched(
            changes.touched,
            self.options,
            self.place,
            number,
            asked,
            self.engine,
            workers,
            self.tell,
        )
        is_new = changes.new or changes.changed or changes.vanished or unfinished.parts
        if self.before.number and not is_new and self._is_read_alike(changes, done):
            self.place.remove(part.name for _, part in done.parts)
            if done.journal is not None:
                self.place.remove_folder(done.journal)
            return self._report(self.before, changes, done, unfinished)
        state = self._next_state(changes, done, number, workers)
        report = self._report(state, changes, done, unfinished)
        told = {name: value for name, value in asdict(report).items() if name in _OF_A_RUN}
        write_state(self.place, replace(state, report=told))
        clean(self.place, state)
        return report

    def _load(self, unfinished: Unfinished) -> Known:
        """Return what is known, that of interrupted runs too."""
        parts = [(frame, part) for frame in FRAMES for part in self.before.parts.get(frame, ())]
        known = load_known(
            self.place, [*parts, *unfinished.parts], self.before.parts.get("gone", ())
        )
        if unfinished.parts:
            known = known.bury_runs(unfinished.containers).bury_older()
        return known

    def _is_read_alike(self, changes: Changes, done: Done) -> bool:
        """Tell whether what could not be read before cannot be read now for the same reasons."""
        if not changes.retried:
            return True
        if any(frame == "dicom" for frame, _ in done.parts):
            return False
        old = read_live(self.place, self.before, "corrupt", [*_COMPARED, "container"])
        keys = pc.coalesce(old["container"], old["origin"])
        old = old.filter(pc.is_in(keys, value_set=changes.retried)).select(_COMPARED)
        new = [
            pq.read_table(self.place.open(part.name), columns=list(_COMPARED))
            for _, part in done.parts
        ]
        both = [each.sort_by("origin") for each in (old, pa.concat_tables(new))]
        return bool(both[0].equals(both[1]))

    def _next_state(self, changes: Changes, done: Done, number: int, workers: Workers) -> State:
        """Write what the state behind that of before needs; return it."""
        known = changes.known
        parts = dict(enumerate([*known.parts_now(), *done.parts]))
        merges = list(choose_merges(list(parts.values()), known))
        rows = sum(merge.rows for merge in merges)
        merged = 0
        if merges:
            self.tell(IndexProgress("merging", 0, rows))
        task = MergeTask(self.place, number)
        for merge, made in workers.map(task, merges, is_little=rows < _FEW_ROWS):
            for at in merge.numbers:
                del parts[at]
            if made is not None:
                parts[merge.numbers[0]] = merge.frame, made
            merged += merge.rows
            self.tell(IndexProgress("merging", merged, rows))
        kept: dict[str, tuple[Part, ...]] = {
            frame: tuple(part for _, (each, part) in sorted(parts.items()) if each == frame)
            for frame in FRAMES
        }
        gone = known.dead_rows(at for at, (_, part) in parts.items() if part.dead)
        kept["gone"] = (write_part(self.place, "gone", number, gone),) if gone.num_rows else ()
        files, counts = known.counts()
        reasons = Counter(counts) + Counter(done.rows)
        return State(
            number=self.before.number + 1,
            last_run=number,
            when=datetime.now(UTC).isoformat(timespec="milliseconds"),
            tags=self.before.tags,
            parts=kept,
            files=files + changes.touched.file_count,
            dicom=reasons.pop("", 0),
            corrupt=dict(sorted(reasons.items())),
        )

    def _report(
        self, state: State, changes: Changes, done: Done, unfinished: Unfinished
    ) -> IndexReport:
        retried = len(changes.retried)
        return IndexReport(
            new=changes.new,
            changed=changes.changed + retried,
            vanished=changes.vanished,
            unchanged=changes.unchanged,
            dicom=state.dicom,
            corrupt=state.corrupt,
            bytes_read=done.bytes_read,
            seconds=round(time.monotonic() - self.started, 3),
            state=state.number,
            resumed=unfinished.files,
        )
