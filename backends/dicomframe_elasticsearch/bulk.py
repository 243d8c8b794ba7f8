"""Spell documents as operations of the bulk API, and read what became of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dicomframe.sinks.plugin import BUSY_STATUSES, Document, Outcome


def make_operations(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Return two operations for each document: what to do, and the source."""
    operations: list[dict[str, Any]] = []
    for document in documents:
        source = {"origin": document.origin, **document.values}
        if document.metadata is not None:
            source["metadata"] = document.metadata
        operations += [{"index": {"_id": document.id}}, source]
    return operations


def read_outcomes(answer: Mapping[str, Any], fields: Collection[str]) -> list[Outcome]:
    """Return the outcomes of the documents of a bulk request, in their order."""
    return [_read_item(item["index"], fields) for item in answer["items"]]


def shorten_error(error: Any, fields: Collection[str]) -> str:
    """Return the type of an error and the field it is about, nothing else.

    The server's own words hold values: "Preview of field's value: '...'".
    """
    if not isinstance(error, Mapping):
        return "no reason given"
    words = str(error.get("type", ""))
    words = words if re.fullmatch(r"[a-z0-9_]{1,80}", words) else "an error of an unknown type"
    reason = str(error.get("reason", ""))
    named = [
        *re.findall(r"\bfield \[([^\]]+)\]", reason),
        *re.findall(r'\bfield="([^"]+)"', reason),
    ]
    about = next((name for name in named if name in fields), None)
    return words if about is None else f"{words} in the field {about!r}"


def _read_item(item: Mapping[str, Any], fields: Collection[str]) -> Outcome:
    status = int(item["status"])
    if status in BUSY_STATUSES:
        return Outcome("busy", f"the server answered {status}")
    if status >= 400:
        return Outcome("refused", shorten_error(item.get("error"), fields))
    return Outcome("written" if item.get("result") == "created" else "updated")
