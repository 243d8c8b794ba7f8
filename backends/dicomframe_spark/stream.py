"""Turn a folder that files arrive in into batches of new files, each file in exactly one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from dicomframe.plugin import InvalidOptionError
from dicomframe_spark.batch_log import FILES_SCHEMA, BatchLog
from dicomframe_spark.source import DicomPartition, read_rows
from dicomframe_spark.source_options import SourceOptions

try:
    from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow as _AvailableNow
except ImportError:  # before Spark 4.2
    _AvailableNow = object

_File = dict[str, Any]
_Offset = dict[str, Any]


class DicomStreamReader(DataSourceStreamReader, _AvailableNow):  # type: ignore[misc]
    """Read the files that are new under a path, batch after batch.

    A file is new if no batch of the log holds its origin with the same size and version (of a
    local file the time of its last change, of an object its ETag). The batches stand in the
    log before Spark hears of them, and an offset is no more than the number of a batch. So a
    batch that Spark repeats has the same files, and a file is in exactly one batch.

    Parameters
    ----------
    options
        What to read, and where the log is.
    columns
        Which columns of it.
    """

    def __init__(self, options: SourceOptions, columns: list[str]) -> None:
        if options.state_location is None:
            raise InvalidOptionError(
                "a stream of format('dicom') needs the option 'stateLocation', a folder of its "
                "own that the driver can write to and that lives as long as the checkpoint"
            )
        self._options = options
        self._columns = columns
        storage_options = options.read.get("storage_options", {})
        self._log = BatchLog(options.state_location, storage_options, options.paths)
        self._seen: set[bytes] | None = None
        self._waiting: Iterator[_File] = iter(())
        self._lists = True

    def __getstate__(self) -> dict[str, Any]:
        """Return what a task needs; what has been seen stays on the driver."""
        return {"_options": self._options, "_columns": self._columns}

    def initialOffset(self) -> _Offset:  # noqa: N802  (Spark's name)
        """Return where a stream without a checkpoint begins: before the first batch."""
        return self._offset(0)

    def latestOffset(  # noqa: N802  (Spark's name)
        self, start: _Offset | None = None, limit: object = None
    ) -> _Offset:
        """Return the number of the next batch; list the files if the log holds none.

        Before Spark 4.2 neither `start` nor `limit` are given.
        """
        last = self._log.last
        if start is not None:
            self._check(start)
            if start["batch"] < last:
                is_unlimited = type(limit).__name__ == "ReadAllAvailable"
                return self._offset(last if is_unlimited else start["batch"] + 1)
        files = self._take()
        return self._offset(self._log.append(files) if files else last)

    def getDefaultReadLimit(self) -> Any:  # noqa: N802  (Spark's name)
        """Return the limit that the option ``maxFilesPerTrigger`` sets."""
        from pyspark.sql.streaming import datasource  # noqa: PLC0415  (from Spark 4.2)

        if self._options.max_files is None:
            return datasource.ReadAllAvailable()
        return datasource.ReadMaxFiles(self._options.max_files)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802  (Spark's name)
        """List the files for the last time."""
        self._waiting = self._list()
        self._lists = False

    def partitions(self, start: _Offset, end: _Offset) -> Sequence[InputPartition]:
        """Divide the files of the batches behind `start`, up to `end`."""
        self._check(end)
        if start["batch"] >= end["batch"]:
            return []
        files = self._log.read(start["batch"] + 1, end["batch"])
        plan = self._options.plan(files.select(["origin", "size"]))
        return [DicomPartition(plan.reader, partition) for partition in plan.partitions]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition."""
        return read_rows(partition, self._columns, self._options.mode)

    def _offset(self, number: int) -> _Offset:
        return {"log": self._log.name, "batch": number}

    def _check(self, offset: _Offset) -> None:
        if offset["log"] != self._log.name or offset["batch"] > self._log.last:
            raise InvalidOptionError(
                f"the checkpoint is at batch {offset['batch']} of another log than the one at "
                f"{self._options.state_location!r}; give the stateLocation that belongs to it, "
                "or begin anew with another checkpoint"
            )

    def _take(self) -> list[_File]:
        """Return the files of a next batch."""
        seen = self._known()
        files = list(islice(self._waiting, self._options.max_files))
        if not files and self._lists:
            self._waiting = self._list()
            files = list(islice(self._waiting, self._options.max_files))
        seen.update(map(_key, files))
        return files

    def _list(self) -> Iterator[_File]:
        """Return the files that are there now and in no batch."""
        seen = self._known()
        files = []
        for partition in self._options.plan().partitions:
            for listed in partition.files():
                store = partition.stores[listed.store]
                origin = store.origin(listed.path)
                version = str(listed.version or "")
                if store.protocol == "file":
                    version = _changed(listed.path)
                file = {"origin": origin, "size": listed.size, "version": version}
                if _key(file) not in seen:
                    files.append(file)
        return iter(files)

    def _known(self) -> set[bytes]:
        if self._seen is None:
            self._seen = set()
            for files in self._log.all_files():
                self._seen.update(map(_key, files.select(FILES_SCHEMA.names).to_pylist()))
        return self._seen


def _key(file: _File) -> bytes:
    text = f"{file['origin']}\n{file['size']}\n{file['version']}"
    return blake2b(text.encode(), digest_size=16).digest()


def _changed(path: str) -> str:
    try:
        return str(os.stat(path).st_mtime_ns)  # noqa: PTH116  (a name need not be UTF-8)
    except OSError:
        return ""
