"""Say how fields are indexed, and whether an index that is there fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dicomframe.sinks.plugin import Field, FieldKind, SinkError

_KEPT = {"type": "object", "enabled": False}
_PROPERTIES: dict[FieldKind, dict[str, Any]] = {
    "keyword": {"type": "keyword", "ignore_above": 8191},  # Lucene's longest term, in UTF-8
    "text": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
    "name": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
    "integer": {"type": "long"},
    "number": {"type": "double"},
    "date": {"type": "date", "format": "strict_date"},
    "datetime": {"type": "date", "format": "strict_date_optional_time"},
    "time": {"type": "keyword"},
    "binary": {"type": "binary"},
    "json": _KEPT,
}

_FORMATS_OF_MOMENTS = {
    *("date_optional_time", "strict_date_optional_time", "strict_date_optional_time_nanos"),
    "iso8601",
}
_FORMATS = {
    "strict_date": {*_FORMATS_OF_MOMENTS, "date", "strict_date", "yyyy-MM-dd"},
    "strict_date_optional_time": _FORMATS_OF_MOMENTS,
}
"""The formats of an index that is there that take ours."""


def make_properties(fields: Iterable[Field]) -> dict[str, dict[str, Any]]:
    """Return the explicit mapping of documents with `fields`.

    The metadata is a text in a disabled object: kept in the source byte for byte, never parsed
    into fields, and of any length.
    """
    properties = {"origin": _PROPERTIES["keyword"], "metadata": _KEPT}
    return properties | {field.name: _PROPERTIES[field.kind] for field in fields}


def find_missing(
    index: str, wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the properties that an index does not have yet.

    Raises
    ------
    SinkError
        It has one of another type.
    """
    missing = {}
    for name, properties in wanted.items():
        if name not in found:
            missing[name] = properties
        elif not _fits(found[name], properties):
            raise SinkError(
                f"the index {index!r} does not fit: its field {name!r} is {_spell(found[name])}, "
                f"and {_spell(properties)} is needed; publish to another index, or delete this one"
            )
    return missing


def _fits(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether values for one mapping can go by another; what it does not tell is default."""
    if found.get("type", "object") != wanted.get("type", "object"):
        return False
    if wanted is _KEPT:
        return found.get("enabled") is False
    if "format" not in wanted or "format" not in found:
        return True
    return not _FORMATS[wanted["format"]].isdisjoint(found["format"].split("||"))


def _spell(properties: Mapping[str, Any]) -> str:
    words = repr(properties.get("type", "object"))
    details = [
        f"{name} {properties[name]!r}"
        for name in ("format", "enabled", "index")
        if name in properties
    ]
    return f"{words} ({', '.join(details)})" if details else words
