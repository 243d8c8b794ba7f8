"""Read Pixel Data by its place, later than the headers: for the rows that are left then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, cast

import pyarrow as pa

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Parser, Reading
from dicomframe.scan.ahead import AheadFile, read_ahead
from dicomframe.scan.feeding import read_file_header
from dicomframe.scan.locating import resolve_origins
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.places import PixelPlace
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.remote import PIECE_BYTES
from dicomframe.scan.storage import Store

__all__ = ["PixelReader"]

_MOST_ROWS = 64


@dataclass(frozen=True)
class PixelReader:
    """Read the values for a column of origins and one of places; a picklable callable.

    Attributes
    ----------
    stores : tuple of Store
        Those of the read, each of another prefix.
    options : ReadOptions
        What the read asked for.
    """

    stores: tuple[Store, ...]
    options: ReadOptions

    def __call__(self, origins: pa.Array, places: pa.Array) -> Iterator[pa.Array]:
        """Yield the values of Pixel Data, one for each row, in their order.

        A value is null where `places` is, and where the file cannot be read any more, or is no
        longer the one whose header was read.

        Parameters
        ----------
        origins : pyarrow.StringArray
            The column ``origin``.
        places : pyarrow.StringArray
            The column ``pixel_place``.

        Yields
        ------
        pyarrow.LargeBinaryArray
            Together as long as `origins`; each of 64 rows or ``batch_bytes`` at the most, unless
            one value alone is longer.
        """
        rows = [
            (number, origin, PixelPlace.parse(place))
            for number, (origin, place) in enumerate(
                zip(origins.to_pylist(), places.to_pylist(), strict=True)
            )
            if place is not None
        ]
        lengths = [0] * len(origins)
        for number, _, place in rows:
            lengths[number] = place.length
        files = self._open(rows)
        at = 0
        for piece in _cut(lengths, self.options.batch_bytes):
            wanted = []
            while at < len(rows) and rows[at][0] < piece.stop:
                wanted.append(rows[at])
                at += 1
            yield _fill(piece, lengths, wanted, files)

    def _open(self, rows: list[tuple[int, str, PixelPlace]]) -> Iterator[FileReader | None]:
        """Yield each row's file, ready to be read from, None if it cannot be had."""
        found = resolve_origins((origin for _, origin, _ in rows), self.stores)
        for store, group in groupby(zip(rows, found, strict=True), lambda each: each[1][0]):
            listed = [
                (place, ListedFile(0, path, place.size, None, place.version))
                for (_, _, place), (_, path) in group
            ]
            yield from self._open_group(store, listed)

    def _open_group(
        self, store: Store, files: list[tuple[PixelPlace, ListedFile]]
    ) -> Iterator[FileReader | None]:
        transfer = self.options.transfer
        try:
            fetcher = store.connect(transfer)
        except (Damage, StorageFault):
            yield from (None for _ in files)
            return
        if fetcher is None:
            for _, listed in files:
                try:
                    with store.open(
                        listed.path, listed.size, limits=self.options.limits, transfer=transfer
                    ) as file:
                        yield file if file.size == listed.size else None
                except (Damage, StorageFault):
                    yield None
            return

        places = {id(listed): place for place, listed in files}

        def start_reading(file: AheadFile) -> Reading[Header]:
            return _read_place(places[id(file.listed)])

        every = [listed for _, listed in files]
        for file in read_ahead(every, fetcher, start_reading, wants_pixels=True):
            yield None if file.failure else file


class _Fetched(NamedTuple):
    """What stands for a header where only its Pixel Data is read."""

    pixel_offset: int
    pixel_length: int


def _read_place(place: PixelPlace) -> Reading[Header]:
    if 0 < place.length <= PIECE_BYTES and not place.inflated:
        yield place.offset, place.offset + place.length
    return cast("Header", _Fetched(place.offset, place.length))


def _cut(lengths: list[int], batch_bytes: int) -> Iterator[range]:
    start, total = 0, 0
    for number, length in enumerate(lengths):
        if number > start and (total + length > batch_bytes or number - start >= _MOST_ROWS):
            yield range(start, number)
            start, total = number, 0
        total += length
    yield range(start, len(lengths))


def _fill(
    piece: range,
    lengths: list[int],
    rows: Iterable[tuple[int, str, PixelPlace]],
    files: Iterator[FileReader | None],
) -> pa.Array:
    """Return the values of some rows, read straight into the buffer of an array."""
    ends = [0]
    for number in piece:
        ends.append(ends[-1] + lengths[number])
    buffer = pa.allocate_buffer(ends[-1])
    values = memoryview(buffer).cast("B")
    is_there = [False] * len(piece)
    for number, _, place in rows:
        row = number - piece.start
        value = values[ends[row] : ends[row + 1]]
        file = next(files)
        try:
            if file is None:
                raise StorageFault("it cannot be opened")
            if place.inflated:
                inflated = read_file_header(Parser(), "", file).inflated
                if inflated is None:
                    raise StorageFault("it is no longer the same file")
                value[:] = inflated.read(place.offset, place.offset + place.length)
            elif place.length:
                file.read_into(place.offset, value)
            is_there[row] = True
        except Exception:  # a file must never cost the job; the null tells
            value[:] = bytes(len(value))
    validity = pa.array(is_there, pa.bool_()).buffers()[1]
    offsets = pa.array(ends, pa.int64()).buffers()[1]
    return pa.Array.from_buffers(pa.large_binary(), len(piece), [validity, offsets, buffer])
