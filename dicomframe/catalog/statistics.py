"""Count what is in a catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa
from pydicom.uid import UID

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.database import open_database

__all__ = ["Breakdown", "CatalogStatistics", "describe_catalog"]

_FILES = """
    SELECT count(*), sum(size) FROM (
        SELECT any_value(size) AS size
        FROM (SELECT origin, container, size FROM dicom
              UNION ALL SELECT origin, container, size FROM corrupt)
        GROUP BY coalesce(container, origin))
"""
_DISTINCT = {
    "patients": "PatientID",
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Hold how many rows there are of each value.

    Attributes
    ----------
    title : str
        What is counted, such as ``"modality"``.
    frame : str
        The rows, those of ``"dicom"`` or ``"corrupt"``.
    values : tuple of (str or None, int)
        Values with their counts; None stands for rows without one.
    others : int
        The rows of all other values.
    other_values : int
        How many other values there are.
    is_ordered : bool
        Whether the values are in an order of their own, as years are, and all are there.
    """

    title: str
    frame: str
    values: tuple[tuple[str | None, int], ...]
    others: int
    other_values: int
    is_ordered: bool = False

    @property
    def total(self) -> int:
        """All rows."""
        return sum(count for _, count in self.values) + self.others

    def named(self) -> list[tuple[str, int]]:
        """Return the values with their counts, as they are shown."""
        rows = [("none" if name is None else name, count) for name, count in self.values]
        if self.others:
            rows.append((f"{self.other_values:,} others", self.others))
        return rows


@dataclass(frozen=True, slots=True)
class CatalogStatistics:
    """Hold what is in a catalogue.

    Attributes
    ----------
    totals : dict of str to int
        ``instances`` (rows of ``dicom``), ``corrupt``, ``files``, ``bytes`` and, where the columns
        are there, ``patients``, ``studies`` and ``series``.
    breakdowns : tuple of Breakdown
        By modality, manufacturer, year, transfer syntax and reason, where the columns are there.
    """

    totals: dict[str, int]
    breakdowns: tuple[Breakdown, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return asdict(self)


def describe_catalog(catalog: Catalog, *, top: int = 10) -> CatalogStatistics:
    """Count what is in `catalog`, in DuckDB.

    Parameters
    ----------
    catalog : Catalog
        What is described.
    top : int
        How many values of each are told by name, the most frequent ones; years are all told.

    Raises
    ------
    EngineNotInstalledError
        DuckDB is missing.
    """
    schema = catalog.schema("dicom")
    with open_database(catalog) as connection:
        ((instances,),) = connection.execute("SELECT count(*) FROM dicom").fetchall()
        ((corrupt,),) = connection.execute("SELECT count(*) FROM corrupt").fetchall()
        ((files, size),) = connection.execute(_FILES).fetchall()
        totals = {
            "instances": instances,
            "corrupt": corrupt,
            "files": files,
            "bytes": int(size or 0),
        }
        for name, column in _DISTINCT.items():
            if column in schema.names:
                query = f"SELECT count(DISTINCT {column}) FROM dicom"  # noqa: S608
                ((totals[name],),) = connection.execute(query).fetchall()
        breakdowns = tuple(
            _break_down(connection, kind, expression, top)
            for kind in _KINDS
            if (expression := _expression(kind, catalog)) is not None
        )
    return CatalogStatistics(totals, breakdowns)


class _Kind(NamedTuple):
    title: str
    frame: str
    column: str
    name: Callable[[str], str] = str


_KINDS = (
    _Kind("modality", "dicom", "Modality"),
    _Kind("manufacturer", "dicom", "Manufacturer"),
    _Kind("year of study", "dicom", "StudyDate"),
    _Kind("transfer syntax", "dicom", "AvailableTransferSyntaxUID", lambda uid: UID(uid).name),
    _Kind("reason", "corrupt", "reason"),
)


def _expression(kind: _Kind, catalog: Catalog) -> str | None:
    """Return what of a row is counted, if it is there."""
    schema = catalog.schema(kind.frame)
    if kind.column not in schema.names:
        return None
    found = schema.field(kind.column).type
    if pa.types.is_date(found):
        return f"year({kind.column})"
    return f"{kind.column}[1]" if pa.types.is_list(found) else kind.column


def _break_down(connection: Any, kind: _Kind, expression: str, top: int) -> Breakdown:
    query = f"SELECT {expression}, count(*) FROM {kind.frame} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
    counts = connection.execute(query).fetchall()
    is_ordered = expression.startswith("year")
    if is_ordered:
        counts = sorted(counts, key=lambda pair: (pair[0] is None, pair[0]))
    if is_ordered or len(counts) == top + 1:  # a single other one can as well be told
        top = len(counts)
    values = tuple(
        (None if value is None else kind.name(str(value)), count) for value, count in counts[:top]
    )
    others = sum(count for _, count in counts[top:])
    return Breakdown(kind.title, kind.frame, values, others, len(counts[top:]), is_ordered)
