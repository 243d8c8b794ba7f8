"""The Solr sink: documents by the JSON update API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from dicomframe.sinks.plugin import (
    BatchRefused,
    Document,
    Field,
    Outcome,
    OutcomeKind,
    Sink,
    SinkConnection,
    SinkError,
    Target,
    hookimpl,
)
from dicomframe_http import OPTIONS, HttpServer
from dicomframe_solr.schema import find_dates, make_body, plan_changes

COMMIT_WITHIN_SECONDS = 60
"""When documents are seen at the latest, if a run is cut off before it commits."""


class SolrSink(Sink):
    """Write to a core or a collection of Solr."""

    options: ClassVar[Mapping[str, str]] = OPTIONS

    def connect(self, target: Target) -> SinkConnection:
        """Return a connection, which has asked nothing yet."""
        return SolrConnection(target)


class SolrConnection(SinkConnection):
    """Write to one core or collection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._server = HttpServer(target)
        self._path = f"/solr/{quote(target.name, safe='')}"
        self._dates: frozenset[str] | None = None
        # Whether a document is new, from when its batch is first sent until it is taken.
        self._is_new: dict[str, bool] = {}

    def prepare(self, fields: Sequence[Field]) -> None:
        """Make the collection where there is none, and add the fields that it has not."""
        schema = self._read_schema()
        if schema is None:
            self._make_collection()
            schema = self._read_schema() or {}
        changes = plan_changes(self._target, fields, schema)
        if not changes:
            return
        answer = self._server.ask("POST", f"{self._path}/schema", body=changes, may_answer=(400,))
        if answer.status_code == 400:
            raise SinkError(
                f"the schema of {self._target!r} takes no fields; make it a managed schema that is "
                "mutable, or add the fields yourself"
            )

    def write(self, documents: Sequence[Document]) -> list[Outcome]:
        """Ask which ids are there, and send the documents in one request."""
        if self._dates is None:
            self._dates = find_dates(self._read_schema() or {})
        unknown = {document.id for document in documents} - self._is_new.keys()
        found = self._find(unknown)
        self._is_new |= {each: each not in found for each in unknown}
        answer = self._server.ask(
            "POST",
            f"{self._path}/update",
            params={"commitWithin": COMMIT_WITHIN_SECONDS * 1000},
            body=[make_body(document, self._dates) for document in documents],
            may_answer=(400, 413),
        )
        if answer.status_code >= 400:
            raise BatchRefused(_explain(answer.status_code, answer.text, documents))
        # The second one of an id in a batch replaces the first.
        kinds: list[OutcomeKind] = [
            "written" if self._is_new.pop(document.id, False) else "updated"
            for document in documents
        ]
        return [Outcome(kind) for kind in kinds]

    def finish(self) -> None:
        """Commit, so that searches see what was written."""
        self._server.ask("POST", f"{self._path}/update", body={"commit": {}})

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def _read_schema(self) -> dict[str, Any] | None:
        """Return what the server says of the schema, None where there is no collection."""
        answer = self._server.ask("GET", f"{self._path}/schema", may_answer=(404,))
        return None if answer.status_code == 404 else answer.json()["schema"]

    def _find(self, ids: Iterable[str]) -> set[str]:
        """Return which of `ids` are there, committed or not."""
        form = {"id": sorted(ids), "fl": "id"}
        if not form["id"]:
            return set()
        answer = self._server.ask("POST", f"{self._path}/get", form=form).json()
        found = answer["response"]["docs"] if "response" in answer else [answer["doc"]]
        return {each["id"] for each in found if each}

    def _make_collection(self) -> None:
        """Make it with one shard and a copy of the configset ``_default``, that guesses nothing."""
        about = self._server.ask("GET", "/solr/admin/info/system").json()
        if about.get("mode") != "solrcloud":
            raise SinkError(
                f"{self._target!r} is not there, and a core with a schema of its own can only be "
                f"made on its machine; make it there with: bin/solr create -c {self._target.name}"
            )
        params = {
            "action": "CREATE",
            "name": self._target.name,
            "numShards": "1",
            "property.update.autoCreateFields": "false",
        }
        answer = self._server.ask(
            "GET", "/solr/admin/collections", params=params, may_answer=(400,)
        )
        if answer.status_code == 400 and self._read_schema() is None:  # no other run was faster
            raise SinkError(
                f"{self._target!r} cannot be made; make it yourself with: "
                f"bin/solr create -c {self._target.name}"
            )


def _explain(status: int, answer: str, documents: Sequence[Document]) -> str:
    """Return why Solr refused; its own words, which may hold values, are only looked through."""
    names = {name for document in documents for name in document.values}
    found = _FIELD.search(answer)
    field = found[1] if found and found[1] in names else None
    if status == 413:
        return "it is longer than the server takes"
    if "immense term" in answer:
        return f"the field {field!r} has a value of more than 32,766 bytes"
    if field is not None:
        return f"the field {field!r} does not take its value"
    return f"the server answered {status}"


_FIELD = re.compile(r"(?:adding field '|field=\\?\"|unknown field '|multiValued field )(\w+)")


@hookimpl
def dicomframe_register_sink() -> Sink:
    """Return the sink ``solr``."""
    return SolrSink()
