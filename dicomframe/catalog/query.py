"""Ask a catalogue with conditions and in SQL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.database import open_database, quote_name
from dicomframe.errors import DicomFrameError, InvalidOptionError
from dicomframe.scan.tags import keywords

__all__ = ["query_catalog", "stream_query"]

_BATCH_ROWS = 8192
_UNKNOWN_COLUMN = re.compile(r'column (?:named )?"([^"]+)"')
_TELLS_OF_THE_QUERY = {"Binder", "Catalog", "Parser"}
"""DuckDB's errors that speak of the query and of columns, and not of what is in the rows."""


def query_catalog(
    catalog: Catalog,
    where: str | None = None,
    *,
    select: Sequence[str] | None = None,
    limit: int | None = None,
    group: Sequence[str] | None = None,
    sql: str | None = None,
) -> pa.Table:
    """Return the live rows of ``dicom`` that fit, or what a query in SQL returns.

    It runs here, in DuckDB, which reads no row group whose statistics tell that no row fits.
    Nothing is written, and no file is read but the parts of the catalogue.

    Parameters
    ----------
    catalog : Catalog
        What is asked.
    where : str, optional
        A condition in SQL, such as ``"PatientSex = 'F' AND PatientAge BETWEEN 20 AND 25"``.
    select : sequence of str, optional
        The columns; by default all but ``metadata``.
    limit : int, optional
        The most rows.
    group : sequence of str, optional
        The columns whose values are counted, in the column ``count``, the largest first; with
        none of them (``[]``) the number of rows.
    sql : str, optional
        A whole query instead, over the views ``dicom`` and ``corrupt``; ``tag(metadata,
        'PatientName')`` is an attribute's first value as text.

    Returns
    -------
    pyarrow.Table
        Its columns have the types of the catalogue. Rows have no order but of ``ORDER BY``.

    Raises
    ------
    EngineNotInstalledError
        DuckDB is missing.
    InvalidOptionError
        The query is not valid; the message never shows a value of a row.
    UnknownTagError
        ``tag()`` is asked for an attribute that PS3.6 does not know.

    Examples
    --------
    >>> import tempfile
    >>> from dicomframe import Catalog, index_dicom, query_catalog
    >>> from dicomframe.testing.samples import real_files
    >>> folder = tempfile.mkdtemp()
    >>> report = index_dicom(real_files("MR_small.dcm"), folder)
    >>> query_catalog(Catalog(folder), "Modality = 'MR'", select=["PatientID"]).num_rows
    1
    """
    asked = stream_query(catalog, where, select=select, limit=limit, group=group, sql=sql)
    with asked as reader:
        return reader.read_all()


@contextmanager
def stream_query(
    catalog: Catalog,
    where: str | None = None,
    *,
    select: Sequence[str] | None = None,
    limit: int | None = None,
    group: Sequence[str] | None = None,
    sql: str | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Yield what `query_catalog` returns, batch by batch.

    Raises
    ------
    EngineNotInstalledError, InvalidOptionError, UnknownTagError
        As `query_catalog`, also while batches are read.
    """
    if sql is not None and any(each is not None for each in (where, select, limit, group)):
        raise InvalidOptionError(
            "sql is a whole query; write the condition, columns, groups and limit into it"
        )
    if group is not None and (select is not None or limit is not None):
        raise InvalidOptionError("group counts rows; it goes with a condition alone")
    if where is not None and not where.strip():
        raise InvalidOptionError(
            "where must be a condition such as \"Modality = 'MR'\", found none"
        )
    if select is not None and not select:
        raise InvalidOptionError("select must name columns, found none")
    if limit is not None and limit < 0:
        raise InvalidOptionError(f"limit must be a number of rows, found {limit!r}")
    with open_database(catalog, sql or where or "") as connection:
        with _explained(catalog):
            if sql is not None:
                relation = _query(connection, sql)
            else:
                relation = _choose(connection, catalog, where, select, limit, group)
            # the second is the name in older versions
            begin = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            reader = begin(_BATCH_ROWS)
        schema = _catalog_types(reader.schema, catalog)
        batches = _read(reader, schema, catalog)
        yield pa.RecordBatchReader.from_batches(schema, batches)


def _query(connection: Any, sql: str) -> Any:
    """Return the relation of one SELECT or EXPLAIN."""
    statements = connection.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if len(kinds) != 1 or kinds[0] not in {"SELECT", "EXPLAIN"}:
        found = " and ".join(kinds) or "nothing"
        raise InvalidOptionError(f"sql must be one SELECT, found {found}; a catalogue is only read")
    return connection.sql(sql)


def _choose(
    connection: Any,
    catalog: Catalog,
    where: str | None,
    select: Sequence[str] | None,
    limit: int | None,
    group: Sequence[str] | None,
) -> Any:
    columns = catalog.schema("dicom").names
    relation = connection.view("dicom")
    if where is not None:
        relation = relation.filter(where)
    if group is not None:
        names = ", ".join(quote_name(_find(name, columns)) for name in group)
        if not names:
            return relation.aggregate('count(*) AS "count"')
        counts = relation.aggregate(f'{names}, count(*) AS "count"', names)
        return counts.order(f'"count" DESC, {names}')
    if select is None:
        select = [name for name in columns if name != "metadata"]
    relation = relation.project(", ".join(quote_name(_find(name, columns)) for name in select))
    return relation if limit is None else relation.limit(limit)


def _find(name: str, columns: Sequence[str]) -> str:
    """Return the column of that name, in any case."""
    for column in columns:
        if column.casefold() == name.casefold():
            return column
    raise InvalidOptionError(_unknown_column(name, columns))


def _read(
    reader: pa.RecordBatchReader, schema: pa.Schema, catalog: Catalog
) -> Iterator[pa.RecordBatch]:
    with _explained(catalog):
        for batch in reader:
            yield batch.cast(schema)


def _catalog_types(schema: pa.Schema, catalog: Catalog) -> pa.Schema:
    """Return `schema` with the names of items and zones that the catalogue has."""
    own = {field.name: field.type for frame in FRAMES for field in catalog.schema(frame)}
    for position, field in enumerate(schema):
        wanted = own.get(field.name)
        if wanted is not None and _is_alike(field.type, wanted):
            schema = schema.set(position, pa.field(field.name, wanted))
    return schema


def _is_alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_list(found) and pa.types.is_list(wanted):
        return _is_alike(found.value_type, wanted.value_type)
    both_times = pa.types.is_timestamp(found) and pa.types.is_timestamp(wanted)
    return found.equals(wanted) or (both_times and bool(found.tz) == bool(wanted.tz))


@contextmanager
def _explained(catalog: Catalog) -> Iterator[None]:
    """Say what is wrong with the query, and never what is in a row, which DuckDB does."""
    try:
        yield
    except DicomFrameError:
        raise
    except Exception as error:
        kind, sign, text = str(error).partition(" Error: ")
        if not sign:
            raise
        sentence = _explain(kind, text.partition("\n")[0], catalog)
        raise InvalidOptionError(sentence) from None  # the cause's text can hold values


def _explain(kind: str, text: str, catalog: Catalog) -> str:
    found = _UNKNOWN_COLUMN.search(text)
    if kind == "Binder" and found is not None:
        columns = [name for frame in FRAMES for name in catalog.schema(frame).names]
        return _unknown_column(found[1], columns)
    if kind in _TELLS_OF_THE_QUERY:
        told = text.partition("Did you mean")[0].strip().rstrip("!.")
        views = "; the tables are dicom and corrupt" if told.startswith("Table") else ""
        return f"the query is not valid: {told}{views}"
    if kind == "Permission":
        return "a query reads the catalogue alone: no other file, no server, no extension"
    if kind == "IO":
        return "a part of the catalogue is gone or damaged; ask again, for it may be renewed now"
    if kind == "Conversion":
        return (
            "a value cannot be converted as the query wants (it is not shown, it could be a "
            "patient's); write dates as DATE '2024-01-31', and TRY_CAST where some values may fail"
        )
    return (
        f"DuckDB gave the query up with {kind!r} (what it says is not shown, it could hold a "
        "patient's values); try a simpler expression"
    )


def _unknown_column(name: str, columns: Sequence[str]) -> str:
    lower = {column.casefold(): column for column in columns}
    close = difflib.get_close_matches(name.casefold(), lower, n=3, cutoff=0.6)
    if name in keywords():
        hint = f"; the attribute is found by tag(metadata, {name!r}) or indexed with tags"
    elif close:
        hint = f"; did you mean {' or '.join(repr(lower[each]) for each in close)}?"
    else:
        hint = "; text stands in single quotes ('F')"
    return f"unknown column {name!r}{hint} (DESCRIBE dicom lists the columns)"
