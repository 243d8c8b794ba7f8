"""Choose the fields of documents from the columns of a frame, and spell their values as JSON."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dicomframe.errors import InvalidOptionError, UnknownTagError
from dicomframe.scan.schema import RESERVED_COLUMNS
from dicomframe.scan.tags import Kind, TagColumn, describe, parse_tags
from dicomframe.sinks.plugin import Field, FieldKind

__all__ = ["OWN_COLUMNS", "FieldColumn", "choose_columns", "spell_column"]

OWN_COLUMNS = frozenset({*RESERVED_COLUMNS, "container", "size", "modified", "version", "run"})
"""Columns that are no fields unless `tags` names them: those of reads and of catalogues."""


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """Pair a column of the frame with the field that it becomes."""

    column: str
    field: Field


def choose_columns(
    schema: pa.Schema, tags: str | Iterable[str] | Mapping[str, str] | None
) -> tuple[FieldColumn, ...]:
    """Return the columns that become fields.

    Parameters
    ----------
    schema
        The columns of the frame.
    tags
        Which of them, as `read_dicom` was told; None for all that are not this library's own.

    Raises
    ------
    InvalidOptionError
        A column is not there or of a type that no field has, or two fields have one name.
    UnknownTagError
        `tags` names what is no attribute.
    """
    if "origin" not in schema.names:
        raise InvalidOptionError(
            f"the frame needs the column 'origin', found {_listed(schema.names)}"
        )
    chosen: list[FieldColumn] = []
    taken: dict[str, str] = {"id": "id", "origin": "origin", "metadata": "metadata"}
    for name, tag in _wanted(schema, tags):
        if name not in schema.names:
            raise InvalidOptionError(
                f"the frame has no column {name!r} of a type that can be a field, "
                f"found {_listed(schema.names)}"
            )
        field = _make_field(name, schema.field(name).type, tag)
        if taken.setdefault(field.name.lower(), name) != name or name in ("id", "origin"):
            raise InvalidOptionError(
                f"the columns {taken[field.name.lower()]!r} and {name!r} would both be the field "
                f"{field.name!r}; rename one of them in the frame"
            )
        chosen.append(FieldColumn(name, field))
    return tuple(chosen)


def spell_column(values: Sequence[Any], field: Field) -> list[Any]:
    """Return Python values of a column as JSON has them, None where there is nothing to index.

    An empty list is nothing, and so is a null within a list and a number that is not finite.
    """
    spell = _SPELLINGS[field.kind]
    if not field.many:
        return [None if value is None else spell(value) for value in values]
    lists = []
    for value in values:
        spelled = (spell(each) for each in value or () if each is not None)
        lists.append([each for each in spelled if each is not None] or None)
    return lists


def _wanted(
    schema: pa.Schema, tags: str | Iterable[str] | Mapping[str, str] | None
) -> list[tuple[str, TagColumn | None]]:
    if tags is not None:
        return [(column.name, column) for column in parse_tags(tags)]
    names = [name for name in schema.names if name not in OWN_COLUMNS]
    return [(name, _tag_of(name)) for name in names]


def _tag_of(name: str) -> TagColumn | None:
    """Return the attribute that a column is named after, None if there is none."""
    try:
        return parse_tags([name])[0]
    except UnknownTagError:
        return None


def _make_field(name: str, arrow: pa.DataType, tag: TagColumn | None) -> Field:
    many = _is_list(arrow)
    kind = _kind_of_type(arrow.value_type if many else arrow)
    if kind is None:
        raise InvalidOptionError(
            f"the column {name!r} is of the type {str(arrow)!r}, which no field can have; leave it "
            "out, or make it text, a number, a date or a list of these"
        )
    if kind == "keyword" and tag is not None:
        kind = _kind_of_text(tag)
    return Field(_safe_name(name), kind, many)


def _kind_of_text(tag: TagColumn) -> FieldKind:
    """Return the kind of a column of text."""
    kind = _KIND_OF_TAG.get(tag.kind, "keyword")
    vr = (describe(tag.path[-1]) or ("", ""))[0]
    is_prose = vr in _VRS_OF_PROSE or tag.name.endswith(("Description", "Comments"))
    return "text" if tag.kind == "text" and is_prose else kind


def _kind_of_type(arrow: pa.DataType) -> FieldKind | None:
    for test, kind in _KIND_OF_TYPE:
        if test(arrow):
            return kind
    return None


def _is_list(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow))


def _safe_name(name: str) -> str:
    """Return a name that every server takes: of ASCII letters, digits and underscores."""
    safe = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    return safe if safe[:1].isalpha() else f"tag_{safe}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _spell_number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _spell_moment(value: Any) -> str:
    if value.tzinfo is not None:
        value = (value - value.utcoffset()).replace(tzinfo=None)
    return str(value.isoformat(timespec="microseconds"))


def _spell_keyword(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_VRS_OF_PROSE = frozenset({"LT", "ST", "UC", "UT"})
_KIND_OF_TAG: dict[Kind, FieldKind] = {"name": "name", "time": "time", "json": "json"}
_KIND_OF_TYPE: list[tuple[Callable[[pa.DataType], bool], FieldKind]] = [
    (pa.types.is_uint64, "keyword"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_string, "keyword"),
    (pa.types.is_large_string, "keyword"),
    (pa.types.is_decimal, "keyword"),
    (pa.types.is_boolean, "keyword"),
    (pa.types.is_binary, "binary"),
    (pa.types.is_large_binary, "binary"),
]
_SPELLINGS: dict[FieldKind, Callable[[Any], Any]] = {
    "keyword": _spell_keyword,
    "text": str,
    "name": str,
    "integer": int,
    "number": _spell_number,
    "date": lambda value: value.isoformat(),
    "datetime": _spell_moment,
    "time": str,
    "binary": lambda value: base64.b64encode(value).decode(),
    "json": str,
}
