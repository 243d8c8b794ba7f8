"""Read the files of one partition into record batches; this runs on the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Learned
from dicomframe.scan.batches import Batch
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.outcomes import Outcomes
from dicomframe.scan.partition import ListedFile, Partition
from dicomframe.scan.ranges import StorageFault
from dicomframe.scan.schema import (
    PIXEL_PLACE,
    make_corrupt_schema,
    make_dicom_schema,
    make_scan_schema,
    select_rows,
)

__all__ = ["PartitionReader"]


@dataclass(frozen=True)
class PartitionReader:
    """Read a partition: a picklable callable that backends ship to their workers.

    Attributes
    ----------
    options : ReadOptions
        What the read asks for.
    """

    options: ReadOptions

    @property
    def schema(self) -> pa.Schema:
        """Both frames side by side; `reason` is null for a sound file."""
        return make_scan_schema(self.options)

    @property
    def dicom_schema(self) -> pa.Schema:
        """The dicom frame."""
        return make_dicom_schema(self.options)

    @property
    def corrupt_schema(self) -> pa.Schema:
        """The corrupt frame."""
        return make_corrupt_schema(self.options)

    def __call__(
        self, partition: Partition, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one row for each file of `partition`, in its order.

        Parameters
        ----------
        partition : Partition
            The files.
        columns : sequence of str, optional
            Columns of `schema`, in the order wanted; all of them by default. Pixel Data is read
            only if ``pixel_data`` is among them; ``pixel_place``, which is in no schema, tells
            `PixelReader` where to read it later. No choice changes which files are corrupt.

        Yields
        ------
        pyarrow.RecordBatch
            At least one, perhaps without rows; 1024 rows, ``batch_bytes`` of Pixel Data and as
            many of metadata at the most, unless one value alone is larger.

        Raises
        ------
        KeyError
            A column is not in `schema`.
        """
        schema = self.schema
        if columns is not None:
            every = schema.append(PIXEL_PLACE)
            schema = pa.schema([every.field(name) for name in columns])
        batch = Batch(schema, self.options)
        learned = _learned_here()
        learned.begin()
        is_first = True
        files, at = list(partition.files()), 0
        outcomes = Outcomes(
            self.options, partition.stores, learned, wants_pixels=batch.wants_pixels
        )
        for origin, file, header, listed in outcomes.read(files):
            failure: object = header
            if isinstance(header, Header) and file is not None:
                try:
                    if not batch.has_room_for(header):
                        yield batch.finish()
                        is_first = False
                    if batch.lacks_memory_for(header):
                        unread_bytes = self.options.batch_bytes  # of an archive nobody knows
                        if listed is not None:
                            at = files.index(listed, at)
                            unread_bytes = self._likely_bytes(islice(files, at, None))
                        batch.allocate(header, unread_bytes)
                    batch.append(origin, header, file)
                    continue
                except Exception as error:  # a file must never cost the job
                    failure = error
            batch.append_corrupt(origin, _damage_of(failure), file)
        if batch.rows or is_first:
            yield batch.finish()

    def read_frame(
        self, frame: str, partition: Partition, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `partition` that belong to one of both frames.

        Parameters
        ----------
        frame : str
            ``"dicom"`` or ``"corrupt"``.
        partition : Partition
            The files.
        columns : sequence of str
            Columns of that frame, in the order wanted.
        """
        for batch in self(partition, list(dict.fromkeys([*columns, "reason"]))):
            yield select_rows(batch, frame).select(list(columns))

    def _likely_bytes(self, unread: Iterable[ListedFile]) -> int:
        """Return how large files are, as far as a batch reaches; of unknown size is a whole one."""
        most, total = self.options.batch_bytes, 0
        for listed in unread:
            total += most if listed.size is None else listed.size
            if total >= most:
                break
        return total


def _damage_of(failure: object) -> Damage:
    if isinstance(failure, Damage):
        return failure
    if isinstance(failure, StorageFault):
        return Damage("unreadable", failure.detail)
    return Damage("malformed", f"dicomframe failed on this file with {type(failure).__name__}")


def _learned_here() -> Learned:
    """Return what this thread has learned; a process keeps it from task to task."""
    learned: Learned | None = getattr(_threads, "learned", None)
    if learned is None:
        learned = _threads.learned = Learned()
    return learned


_threads = threading.local()
