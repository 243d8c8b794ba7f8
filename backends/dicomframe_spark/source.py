"""The Python data source behind ``spark.read.format("dicom")`` and ``spark.readStream``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import types
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from dicomframe.plugin import InvalidOptionError, Partition, PartitionReader
from dicomframe_spark.schema import make_spark_schema
from dicomframe_spark.source_options import SourceOptions, parse_options
from dicomframe_spark.task import fit_batch, spare_collector


class DicomDataSource(DataSource):  # type: ignore[misc]
    """Read DICOM files with ``format("dicom")``, as batches and as streams."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "dicom"

    def schema(self) -> types.StructType:
        """Return the columns that the options ask for; list nothing."""
        return make_spark_schema(parse_options(self.options).schema)

    def reader(self, schema: types.StructType) -> DataSourceReader:
        """Return what reads the columns of `schema` and no other."""
        options = parse_options(self.options)
        return DicomSourceReader(options, check_columns(options, schema))

    def streamReader(self, schema: types.StructType) -> Any:  # noqa: N802  (Spark's name)
        """Return what reads new files into the columns of `schema` and no other."""
        from dicomframe_spark.stream import DicomStreamReader  # noqa: PLC0415

        options = parse_options(self.options)
        return DicomStreamReader(options, check_columns(options, schema))


class DicomSourceReader(DataSourceReader):  # type: ignore[misc]
    """List the files once for each query, and read them.

    Parameters
    ----------
    options
        What to read.
    columns
        Which columns of it.
    """

    def __init__(self, options: SourceOptions, columns: list[str]) -> None:
        self._options = options
        self._columns = columns
        self._wanted: frozenset[str] | None = None
        self.pushFilters = _FilterPushdown(self)

    def partitions(self) -> list[InputPartition]:
        """List the files and divide them."""
        plan = self._options.plan()
        if self._wanted is not None:
            kept = [
                (origin, size)
                for origin, size in _origins(plan.partitions)
                if origin in self._wanted
                or any(each.endswith(f"::{origin}") for each in self._wanted)
            ]
            names, sizes = zip(*kept, strict=True) if kept else ((), ())
            files = {"origin": pa.array(names, pa.string()), "size": pa.array(sizes, pa.int64())}
            plan = self._options.plan(pa.table(files))
        return [DicomPartition(plan.reader, partition) for partition in plan.partitions]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition."""
        return read_rows(partition, self._columns, self._options.mode)

    def keep_origins(self, filters: Iterable[Any]) -> None:
        """Leave files out that no row of an answer can come from."""
        for each in filters:
            if tuple(getattr(each, "attribute", ())) != ("origin",):
                continue
            kind = type(each).__name__
            if kind in {"EqualTo", "EqualNullSafe"}:
                values = frozenset([each.value])
            elif kind == "In":
                values = frozenset(each.value)
            else:
                continue
            values = frozenset(value for value in values if isinstance(value, str))
            self._wanted = values if self._wanted is None else self._wanted & values


class _FilterPushdown:
    """Take filters where Spark pushes them.

    Where it does not, which is its default, it refuses a reader whose ``pushFilters`` is
    not its own, and no reader can ask. So this passes for its own.
    """

    def __init__(self, reader: DicomSourceReader) -> None:
        self.__func__ = getattr(DataSourceReader, "pushFilters", None)  # from Spark 4.1
        self._reader = reader

    def __call__(self, filters: list[Any]) -> list[Any]:
        self._reader.keep_origins(filters)
        return filters  # Spark applies them too: a member of an archive has its own origin


class DicomPartition(InputPartition):  # type: ignore[misc]
    """Carry the files of one task and what reads them."""

    def __init__(self, reader: PartitionReader, partition: Partition) -> None:
        super().__init__(partition.index)
        self.reader = reader
        self.partition = partition

    def __repr__(self) -> str:
        return f"DicomPartition({self.partition!r})"


def check_columns(options: SourceOptions, schema: types.StructType) -> list[str]:
    """Return the names of the columns that are read.

    Raises
    ------
    InvalidOptionError
        A schema of the user's has a column that is not there, or is of another type.
    """
    ours = {field.name: field.dataType for field in make_spark_schema(options.schema)}
    for field in schema:
        if field.name not in ours:
            raise InvalidOptionError(
                f"a schema may name the columns {', '.join(ours)}, found {field.name!r}; "
                "attributes come by the option 'tags'"
            )
        if field.dataType != ours[field.name]:
            raise InvalidOptionError(
                f"the column {field.name!r} is of type {ours[field.name].simpleString()}, found "
                f"{field.dataType.simpleString()} in the schema; cast it in the query"
            )
    return [field.name for field in schema]


def read_rows(
    partition: InputPartition, columns: Sequence[str], mode: str
) -> Iterator[pa.RecordBatch]:
    """Yield rows of a partition in the types that Spark demands.

    Raises
    ------
    CorruptFileError
        A file is corrupt, and `mode` is ``FAILFAST``.
    """
    assert isinstance(partition, DicomPartition)  # noqa: S101  (for the types)
    asked = list(dict.fromkeys([*columns, "origin", "reason", "detail"]))
    for batch in partition.reader(partition.partition, asked):
        for fitted in fit_batch(_sound_rows(batch, mode).select(columns)):
            yield _as_spark_wants(fitted)
    spare_collector()


class CorruptFileError(RuntimeError):
    """A file is corrupt where none may be."""


def _sound_rows(batch: pa.RecordBatch, mode: str) -> pa.RecordBatch:
    is_sound = pc.is_null(batch["reason"])
    if mode == "PERMISSIVE" or batch["reason"].null_count == batch.num_rows:
        return batch
    if mode == "FAILFAST":
        row = batch.filter(pc.invert(is_sound)).slice(0, 1).to_pylist()[0]
        raise CorruptFileError(
            f"{row['origin']!r} is corrupt, {row['reason']}: {row['detail']}; with the mode "
            "'PERMISSIVE' it is a row, with 'DROPMALFORMED' it is left out"
        )
    return batch.filter(is_sound)


def _as_spark_wants(batch: pa.RecordBatch) -> pa.RecordBatch:
    fields = [pa.field(field.name, _spark_arrow_type(field.type)) for field in batch.schema]
    arrays = [column.cast(field.type) for column, field in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _spark_arrow_type(arrow: pa.DataType) -> pa.DataType:
    if pa.types.is_list(arrow):
        return pa.list_(pa.field("element", _spark_arrow_type(arrow.value_type)))
    return arrow


def _origins(partitions: Iterable[Partition]) -> Iterator[tuple[str, int | None]]:
    for partition in partitions:
        for file in partition.files():
            yield partition.stores[file.store].origin(file.path), file.size
