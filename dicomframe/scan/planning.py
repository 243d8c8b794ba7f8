"""Divide listed files into partitions of like cost."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.gathering import one_batch
from dicomframe.scan.listing import Listing
from dicomframe.scan.options import check_npartitions
from dicomframe.scan.packing import pack_files
from dicomframe.scan.partition import Partition
from dicomframe.scan.pixels import PixelReader
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.storage import Store

__all__ = ["OPEN_COST_BYTES", "ReadPlan", "plan_partitions"]

OPEN_COST_BYTES = 32 * 1024
"""What opening a file costs, told as bytes that could be read meanwhile."""

_HEADER_BYTES = 16 * 1024
_UNKNOWN_SIZE_BYTES = 512 * 1024
_MIN_PARTITION_BYTES = 8 * 1024 * 1024
_MAX_PARTITION_BYTES = 128 * 1024 * 1024
_USUAL_PARTITIONS = 16


@dataclass(frozen=True, slots=True, repr=False)
class ReadPlan:
    """Hold all that an engine needs: what each task reads, and how.

    Attributes
    ----------
    partitions
        One for each task, at least one.
    reader
        The callable that turns a partition into Arrow record batches, on the worker.
    """

    partitions: tuple[Partition, ...]
    reader: PartitionReader

    def __repr__(self) -> str:
        files = sum(map(len, self.partitions))
        return f"ReadPlan(partitions={len(self.partitions)}, files={files})"

    @property
    def pixel_reader(self) -> PixelReader:
        """What reads Pixel Data later, for an engine that knows which rows are left."""
        stores = dict.fromkeys(store for each in self.partitions for store in each.stores)
        return PixelReader(tuple(stores), self.reader.options)

    @property
    def schema(self) -> pa.Schema:
        """The columns of both frames side by side, as the reader yields them."""
        return self.reader.schema

    @property
    def dicom_schema(self) -> pa.Schema:
        """The columns of the frame of sound files."""
        return self.reader.dicom_schema

    @property
    def corrupt_schema(self) -> pa.Schema:
        """The columns of the frame of all other files."""
        return self.reader.corrupt_schema


def plan_partitions(
    listing: Listing, *, reads_pixels: bool, npartitions: int | None
) -> tuple[Partition, ...]:
    """Divide a listing, in its order, into partitions of like cost.

    The cost of a file is `OPEN_COST_BYTES` and the bytes that will be read of it. The same
    listing and options give the same partitions.

    Parameters
    ----------
    listing
        What `list_files` found.
    reads_pixels
        Whether whole files are read, or their headers only.
    npartitions
        The exact number of partitions; they are empty where there are fewer files. None for
        a number that follows from the cost; at least one.

    Raises
    ------
    InvalidOptionError
        `npartitions` is no whole number of at least 1.
    """
    check_npartitions(npartitions)
    totals = _running_totals(listing, reads_pixels=reads_pixels)
    cuts = _cut_by_size(totals) if npartitions is None else _cut_by_number(totals, npartitions)
    return tuple(
        _make_partition(index, files, listing.stores)
        for index, files in enumerate(_slices(listing, cuts))
    )


def _running_totals(listing: Listing, *, reads_pixels: bool) -> Sequence[int]:
    """Return the cost of all files up to and with each one."""
    totals = array("q")
    for files in listing.batches():
        sizes = pc.fill_null(files["size"], _UNKNOWN_SIZE_BYTES)
        if not reads_pixels:
            sizes = pc.min_element_wise(sizes, pa.scalar(_HEADER_BYTES, pa.int64()))
        costs = pc.if_else(pc.is_valid(files["trouble"]), 0, pc.add(sizes, OPEN_COST_BYTES))
        before = totals[-1] if totals else 0
        some = pc.add(pc.cumulative_sum(costs.cast(pa.int64())), before)
        totals.frombytes(some.buffers()[1].slice(some.offset * 8, len(some) * 8))
    return totals


def _slices(listing: Listing, cuts: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """Yield the files between each two cuts."""
    nothing = pa.RecordBatch.from_pylist([], listing.schema)
    batches, held, held_count = listing.batches(), [nothing], 0
    for start, stop in pairwise(cuts):
        while held_count < stop - start:
            held.append(next(batches))
            held_count += held[-1].num_rows
        whole = one_batch(held)
        yield whole.slice(0, stop - start)
        held, held_count = [whole.slice(stop - start)], held_count - (stop - start)


def _cut_by_size(totals: Sequence[int]) -> list[int]:
    """Return where partitions begin and end, each ending with the file that fills it."""
    count = len(totals)
    if not count:
        return [0, 0]
    target = max(_MIN_PARTITION_BYTES, min(_MAX_PARTITION_BYTES, totals[-1] // _USUAL_PARTITIONS))
    cuts = [0]
    while cuts[-1] < count:
        before = totals[cuts[-1] - 1] if cuts[-1] else 0
        cuts.append(min(count, bisect_left(totals, before + target, lo=cuts[-1]) + 1))
    return cuts


def _cut_by_number(totals: Sequence[int], npartitions: int) -> list[int]:
    """Return where `npartitions` partitions begin and end; none is empty that need not be."""
    count = len(totals)
    cuts = [0]
    for index in range(1, npartitions):
        share = totals[-1] * index // npartitions if count else 0
        cut = bisect_left(totals, share, lo=cuts[-1])
        if cut < count:
            before = totals[cut - 1] if cut else 0
            cut += totals[cut] - share <= share - before
        lowest = min(count, cuts[-1] + 1)
        highest = max(lowest, count - (npartitions - index))
        cuts.append(max(lowest, min(cut, highest)))
    return [*cuts, count]


def _make_partition(index: int, files: pa.RecordBatch, stores: tuple[Store, ...]) -> Partition:
    """Return a partition that carries the stores of its own files only."""
    numbers = files["store"].dictionary_encode()
    own = tuple(stores[number] for number in numbers.dictionary.to_pylist())
    files = files.set_column(0, files.schema.field(0), numbers.indices)
    return Partition(index, files.num_rows, own, pack_files(files))
