"""Say which fields of Solr documents become, and what a schema needs to have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dicomframe.sinks.plugin import Document, Field, FieldKind, SinkError, Target

__all__ = ["EXACT", "ID", "find_dates", "make_body", "plan_changes"]

ID = "id"
"""The field that must be the unique key."""

EXACT = "_exact"
"""What the name of a person name's second field ends with, which is searched as a whole."""


def plan_changes(
    target: Target, fields: Sequence[Field], schema: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Return the commands of the Schema API that add what is missing; empty if nothing is.

    Parameters
    ----------
    target
        For messages.
    fields
        What documents have besides id, origin and metadata.
    schema
        What the server says of it.

    Raises
    ------
    SinkError
        A field is there and cannot hold what it should.
    """
    if schema.get("uniqueKey") != ID:
        raise SinkError(
            f"the unique key of {target!r} is {schema.get('uniqueKey')!r}; name a core or a "
            f"collection whose unique key is {ID!r}"
        )
    types = {each["name"]: each for each in schema["fieldTypes"]}
    there = {each["name"]: _add_defaults(each, types, schema) for each in schema["fields"]}
    copies = {(each["source"], each["dest"]) for each in schema.get("copyFields", ())}
    commands = ("add-field-type", "add-field", "add-copy-field")  # Solr obeys them in this order
    changes: dict[str, list[dict[str, Any]]] = {command: [] for command in commands}
    for name, form, many in _list_wanted(fields):
        if name in there:
            _check(target, name, form, many, there[name])
            continue
        if form.type not in types:
            types[form.type] = _TYPES[form.type]
            changes["add-field-type"].append(types[form.type])
        wanted = {"name": name, "type": form.type, "multiValued": many, **form.properties}
        changes["add-field"].append(wanted)
    for each in fields:
        pair = (each.name, each.name + EXACT)
        if each.kind == "name" and pair not in copies:
            copy = {"source": pair[0], "dest": pair[1]}
            changes["add-copy-field"].append(copy)
    return {command: things for command, things in changes.items() if things}


def find_dates(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the fields that hold moments, which end with a Z in Solr."""
    classes = {each["name"]: _short(each["class"]) for each in schema["fieldTypes"]}
    fields = schema["fields"]
    return frozenset(each["name"] for each in fields if classes.get(each["type"]) in _DATE.classes)


def make_body(document: Document, dates: frozenset[str]) -> dict[str, Any]:
    """Return a document as the JSON update API takes it; `dates` are fields that hold moments."""
    body: dict[str, Any] = {ID: document.id, "origin": document.origin}
    for name, value in document.values.items():
        if name not in dates:
            body[name] = value
        elif isinstance(value, list):
            body[name] = [_spell_moment(each) for each in value]
        else:
            body[name] = _spell_moment(value)
    if document.metadata is not None:
        body["metadata"] = document.metadata
    return body


@dataclass(frozen=True, slots=True)
class _Form:
    """How a kind of field is kept: a type, classes of types that do as well, and the rest."""

    type: str
    classes: frozenset[str]
    properties: Mapping[str, bool] = field(default_factory=dict)


def _list_wanted(fields: Sequence[Field]) -> list[tuple[str, _Form, bool]]:
    wanted = [("origin", _FORMS["keyword"], False), ("metadata", _FORMS["json"], False)]
    for each in fields:
        wanted.append((each.name, _FORMS[each.kind], each.many))
        if each.kind == "name":
            wanted.append((each.name + EXACT, _FORMS["keyword"], each.many))
    return wanted


def _check(
    target: Target,
    name: str,
    form: _Form,
    many: bool,  # noqa: FBT001
    found: Mapping[str, Any],
) -> None:
    problem = ""
    if found["class"] not in form.classes:
        problem = f"of the type {found['type']!r}, not {form.type!r}"
    elif many and not found["multiValued"]:
        problem = "of one value, not of many"
    elif form is _FORMS["json"] and (found["indexed"] or found["docValues"]):
        problem = "indexed, and a long value would be refused"
    elif form is not _FORMS["json"] and not found["indexed"] and form.type != "binary":
        problem = "not indexed"
    if problem:
        raise SinkError(
            f"the field {name!r} of {target!r} is {problem}; publish to another core, or change "
            "that field and index anew"
        )


def _add_defaults(
    found: Mapping[str, Any], types: Mapping[str, Mapping[str, Any]], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a field with what its type and the version of the schema say of it."""
    defaults = {
        "multiValued": False,
        "indexed": True,
        "docValues": float(schema.get("version", 1)) >= _VERSION_OF_DOC_VALUES,
    }
    kind = types.get(found["type"], {})
    return {**defaults, **kind, **found, "class": _short(kind.get("class", ""))}


def _spell_moment(value: str) -> str:
    return f"{value}Z" if "T" in value else f"{value}T00:00:00Z"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _stored(type_name: str, *classes: str, doc_values: bool) -> _Form:
    properties = {"indexed": True, "stored": True, "docValues": doc_values}
    return _Form(type_name, frozenset(classes), properties)


_VERSION_OF_DOC_VALUES = 1.7  # of a schema, from which on they are the default
_KEYWORD = _stored("string", "StrField", doc_values=True)
_TEXT = _Form("text_general", frozenset({"TextField"}), {"indexed": True, "stored": True})
_DATE = _stored("pdate", "DatePointField", doc_values=True)
_KEPT = {"indexed": False, "stored": True, "docValues": False}
_FORMS: dict[FieldKind, _Form] = {
    "keyword": _KEYWORD,
    "time": _KEYWORD,
    "text": _TEXT,
    "name": _TEXT,
    "integer": _stored("plong", "LongPointField", doc_values=True),
    "number": _stored("pdouble", "DoublePointField", doc_values=True),
    "date": _DATE,
    "datetime": _DATE,
    "binary": _Form("binary", frozenset({"BinaryField"}), {"indexed": False, "stored": True}),
    "json": _Form("string", frozenset({"StrField"}), _KEPT),
}

# As in the configset that Solr calls _default, but for the lists of words beside it.
_TYPES: dict[str, dict[str, Any]] = {
    "string": {"name": "string", "class": "solr.StrField", "sortMissingLast": True},
    "plong": {"name": "plong", "class": "solr.LongPointField", "docValues": True},
    "pdouble": {"name": "pdouble", "class": "solr.DoublePointField", "docValues": True},
    "pdate": {"name": "pdate", "class": "solr.DatePointField", "docValues": True},
    "binary": {"name": "binary", "class": "solr.BinaryField"},
    "text_general": {
        "name": "text_general",
        "class": "solr.TextField",
        "positionIncrementGap": "100",
        "analyzer": {
            "tokenizer": {"class": "solr.StandardTokenizerFactory"},
            "filters": [{"class": "solr.LowerCaseFilterFactory"}],
        },
    },
}
