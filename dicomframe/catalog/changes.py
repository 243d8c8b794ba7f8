"""Compare a listing with what a catalogue knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.catalog.known import Known
from dicomframe.catalog.naming import name_files
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.scope import choose_missed
from dicomframe.scan.gathering import one_batch
from dicomframe.scan.listing import Listing
from dicomframe.scan.packing import TIMED_SCHEMA, pack_files
from dicomframe.scan.patterns import Selection

__all__ = ["Changes", "find_changes", "leave_out"]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run has to do.

    Attributes
    ----------
    new, changed, unchanged, vanished
        How many files.
    retried
        The origins of unchanged files that could not be read before.
    touched
        The listing of the files that are read: what is new, changed or tried again.
    known
        What the catalogue knew, without the rows of what changed, is tried again or vanished.
    """

    new: int
    changed: int
    unchanged: int
    vanished: int
    retried: pa.ChunkedArray
    touched: Listing
    known: Known


def leave_out(listing: Listing, place: CatalogPlace) -> Listing:
    """Return a listing without the files of the catalogue, which may lie below its roots."""
    folder = f"{place.path}/".encode("utf-8", "surrogateescape")
    numbers = [
        number
        for number, store in enumerate(listing.stores)
        if (store.prefix, store.suffix) == (place.store.prefix, place.store.suffix)
    ]
    if not numbers:
        return listing
    return _filter(
        listing,
        lambda files, _: pc.invert(
            pc.and_(
                pc.is_in(files["store"], value_set=pa.array(numbers, pa.int32())),
                pc.starts_with(files["path"], folder),
            )
        ),
    )


def find_changes(listing: Listing, known: Known, selection: Selection) -> Changes:
    """Return what to do so that `known` is as `listing` tells.

    A file has changed if its size, its time or its version is another one. It has vanished if
    the listing should have found it and did not.
    """
    live = known.live.select(["key", "size", "modified", "version", "reason"]).combine_chunks()
    keys = live["key"].combine_chunks() if live.num_rows else pa.array([], pa.string())
    unread = pc.unique(pc.filter(keys, pc.fill_null(pc.equal(live["reason"], "unreadable"), False)))
    origins = [name_files(listing.stores, files) for files in listing.batches()]
    listed = pa.chunked_array(origins, pa.string())
    places = pc.index_in(listed, value_set=keys)
    counts = dict.fromkeys(("new", "changed", "unchanged"), 0)
    masks: list[pa.Array] = []
    again: list[pa.Array] = []
    retried: list[pa.Array] = []
    troubled: list[str] = []
    start = 0
    for files, names in zip(listing.batches(), origins, strict=True):
        at = places.slice(start, len(names)).combine_chunks()
        start += len(names)
        has_trouble = pc.is_valid(files["trouble"])
        troubled += names.filter(has_trouble).to_pylist()
        is_new = pc.is_null(at)
        is_same = pc.and_(pc.invert(is_new), _same_stamps(files, live, at))
        is_retried = pa.repeat(pa.scalar(False), len(names))
        if len(unread):
            is_retried = pc.and_not(
                pc.and_(is_same, pc.is_in(names, value_set=unread)), has_trouble
            )
        is_touched = pc.or_(pc.invert(is_same), is_retried)
        counts["new"] += is_new.true_count
        retried.append(names.filter(is_retried))
        counts["changed"] += pc.invert(pc.or_(is_same, is_new)).true_count
        counts["unchanged"] += len(names) - is_touched.true_count
        masks.append(is_touched)
        again.append(names.filter(pc.and_not(is_touched, is_new)))
    missed = pc.filter(keys, pc.invert(pc.is_in(keys, value_set=listed)))
    gone = choose_missed(pc.unique(missed), listing.roots, selection, troubled)
    waiting = iter(masks)
    touched = _filter(listing, lambda *_: next(waiting))
    rest = known.bury_keys(pa.chunked_array([*again, gone], pa.string()))
    return Changes(
        **counts,
        vanished=len(gone),
        retried=pa.chunked_array(retried, pa.string()),
        touched=touched,
        known=rest,
    )


def _same_stamps(files: pa.RecordBatch, live: pa.Table, at: pa.Array) -> pa.Array:
    """Return for each file whether all is as in the row `at`."""
    result = pa.repeat(pa.scalar(True), len(at))
    version = files["version"].view(pa.int64())
    no_times = pa.nulls(len(at), TIMED_SCHEMA.field("modified").type)
    modified = files["modified"] if "modified" in files.schema.names else no_times
    for name, now in (("size", files["size"]), ("modified", modified), ("version", version)):
        before = live[name].take(at).combine_chunks()
        is_equal = pc.fill_null(pc.equal(now, before), False)
        is_nothing = pc.and_(pc.is_null(now), pc.is_null(before))
        result = pc.and_(result, pc.or_(is_equal, is_nothing))
    return result


def _filter(listing: Listing, choose: object) -> Listing:
    """Return the files for which `choose`, given a batch and its number, returns True."""
    chunks, count = [], 0
    for number, files in enumerate(listing.batches()):
        kept = files.filter(choose(files, number))  # type: ignore[operator]
        if kept.num_rows:
            chunks.append(pack_files(one_batch([kept])))
            count += kept.num_rows
    return replace(listing, chunks=tuple(chunks), file_count=count)
