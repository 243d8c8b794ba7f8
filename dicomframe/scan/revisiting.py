"""Read Pixel Data again for rows of a frame, by their origins alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.locating import resolve_origins
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.packing import FILES_SCHEMA, pack_files
from dicomframe.scan.partition import Partition
from dicomframe.scan.planning import ReadPlan
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.storage import Store

__all__ = ["PixelFinder", "make_finder"]

_COLUMNS = ("origin", "metadata", "pixel_data")


@dataclass(frozen=True)
class PixelFinder:
    """Read the values for columns of a frame; a picklable callable.

    Attributes
    ----------
    stores : tuple of Store
        Those of the read.
    options : ReadOptions
        What the read asked for, but for its columns.
    """

    stores: tuple[Store, ...]
    options: ReadOptions

    def __repr__(self) -> str:
        return "with_pixels"

    def __call__(self, origins: pa.Array, metadata: pa.Array | None = None) -> Iterator[pa.Array]:
        """Yield the values of Pixel Data, one for each row, in their order.

        Each header is read again. A value is null without Pixel Data, where `origins` is null,
        and where the file cannot be read any more.

        Parameters
        ----------
        origins : pyarrow.StringArray
            The column ``origin``.
        metadata : pyarrow.StringArray, optional
            The column ``metadata``. With it a value is null also where the file has another
            header now.

        Yields
        ------
        pyarrow.LargeBinaryArray
            Together as long as `origins`; each of 1024 rows or ``batch_bytes`` at the most,
            unless one value alone is longer.

        Raises
        ------
        ValueError
            An origin is of no store of the read.
        """
        names = origins.to_pylist()
        headers = None if metadata is None else metadata.to_pylist()
        numbers = [number for number, name in enumerate(names) if name is not None]
        places = self._resolve([names[number] for number in numbers])
        done = 0
        for _, group in groupby(zip(numbers, places, strict=True), lambda each: each[1][0]):
            wanted = list(group)
            store = wanted[0][1][0]
            rows = [number for number, _ in wanted]
            for batch in self._read(store, [path for _, (_, path) in wanted]):
                taken, rows = _align(batch["origin"].to_pylist(), names, rows)
                if not taken:
                    continue
                values = batch["pixel_data"]
                is_same = None
                if headers is not None:
                    found = batch["metadata"].to_pylist()
                    is_same = [found[at] == headers[number] for at, number in taken]
                    taken = [each for each, same in zip(taken, is_same, strict=True) if same]
                last = taken[-1][1] if taken else done - 1
                yield _place(values, taken, done, last + 1)
                done = last + 1
        if done < len(names) or not names:
            yield pa.nulls(len(names) - done, pa.large_binary())

    def _resolve(self, origins: list[str]) -> Iterator[tuple[Store, str]]:
        try:
            yield from resolve_origins(origins, self.stores)
        except Exception:
            raise ValueError(
                "the frame holds an origin of another read; call with_pixels of the frames "
                "that it derives from"
            ) from None

    def _read(self, store: Store, paths: list[str]) -> Iterator[pa.RecordBatch]:
        raw = [path.encode("utf-8", "surrogateescape") for path in paths]
        columns = {"store": pa.array([0] * len(raw), pa.int32()), "path": pa.array(raw, "binary")}
        files = pa.RecordBatch.from_arrays(
            [columns.get(each.name, pa.nulls(len(raw), each.type)) for each in FILES_SCHEMA],
            schema=FILES_SCHEMA,
        )
        partition = Partition(0, len(raw), (store,), pack_files(files))
        return PartitionReader(self.options)(partition, _COLUMNS)


def make_finder(plan: ReadPlan) -> PixelFinder:
    """Return the finder for the frames of `plan`."""
    options = replace(
        plan.reader.options, tags=(), pixels="bytes", warnings=False, counts_bytes=False
    )
    return PixelFinder(plan.pixel_reader.stores, options)


def _align(
    found: list[str], names: list[str], rows: list[int]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Pair the rows of a batch with those wanted; return the pairs and what is still wanted.

    They are the same, in the same order, unless a file has become an archive meanwhile.
    """
    taken, at = [], 0
    for index, origin in enumerate(found):
        ahead = at
        while ahead < len(rows) and names[rows[ahead]] != origin:
            ahead += 1
        if ahead < len(rows):
            taken.append((index, rows[ahead]))
            at = ahead + 1
    return taken, rows[at:]


def _place(values: pa.Array, taken: list[tuple[int, int]], start: int, stop: int) -> pa.Array:
    """Return the values of the rows from `start` to `stop`, null where there is none."""
    if taken == [(at, start + at) for at in range(len(values))] and stop - start == len(values):
        return values
    indices: list[int | None] = [None] * (stop - start)
    for at, number in taken:
        indices[number - start] = at
    return pc.take(values, pa.array(indices, pa.int64()))
