"""The HBase sink: rows by the REST server of HBase."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

from dicomframe.sinks.plugin import (
    BatchRefused,
    Document,
    Field,
    Outcome,
    Sink,
    SinkConnection,
    SinkError,
    Target,
    hookimpl,
)
from dicomframe_hbase.rows import FAMILIES, make_cells, make_key
from dicomframe_http import OPTIONS, HttpServer


class HBaseSink(Sink):
    """Write to a table of HBase through its REST server."""

    options: ClassVar[Mapping[str, str]] = OPTIONS

    def connect(self, target: Target) -> SinkConnection:
        """Return a connection, which has asked nothing yet."""
        return HBaseConnection(target)


class HBaseConnection(SinkConnection):
    """Write to one table."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._server = HttpServer(target)
        self._path = f"/{quote(target.name, safe=':')}"
        # The columns of a row, from when its batch is first sent until it is taken.
        self._found: dict[str, set[str]] = {}

    def prepare(self, fields: Sequence[Field]) -> None:  # noqa: ARG002
        """Make the table where there is none, and add the column families that it has not.

        Columns need no schema: `fields` change nothing.
        """
        answer = self._server.ask("GET", f"{self._path}/schema", may_answer=(404,))
        namespace, colon, _ = self._target.name.partition(":")
        is_there = answer.status_code != 404
        found = answer.json().get("ColumnSchema", []) if is_there else []
        if colon and not is_there:
            known = self._server.ask("GET", "/namespaces").json()["Namespace"]
            if namespace not in known:
                raise SinkError(
                    f"the namespace {namespace!r} of {self._target!r} is not there; make it in the "
                    f"shell of HBase: create_namespace {namespace!r}"
                )
        missing = FAMILIES.keys() - {family["name"] for family in found}
        if missing:
            families = [{"name": name, **FAMILIES[name]} for name in sorted(missing)]
            body = {"name": self._target.name, "ColumnSchema": families}
            # PUT would drop the families that it does not name.
            self._server.ask("POST" if is_there else "PUT", f"{self._path}/schema", body=body)

    def write(self, documents: Sequence[Document]) -> list[Outcome]:
        """Ask which rows are there, put all in one request, and delete columns left over."""
        keys = [make_key(document) for document in documents]
        rows, refused = _make_rows(keys, documents)
        unknown = rows.keys() - self._found.keys()
        has_all_metadata = all(_METADATA in row for row in rows.values())
        found = self._find(unknown, with_metadata=not has_all_metadata)
        self._found |= {key: found.get(key, set()) for key in unknown}
        self._put(rows)
        for key, row in rows.items():
            for column in sorted(self._found[key] - row.keys()):
                self._delete(key, column)
        outcomes = []
        for number, key in enumerate(keys):
            # The second one of a key in a batch replaces the first.
            was_there = number not in refused and bool(self._found.pop(key, True))
            written = Outcome("updated" if was_there else "written")
            outcomes.append(refused.get(number, written))
        return outcomes

    def finish(self) -> None:
        """Do nothing: what is written can be read at once."""

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def _find(self, keys: Iterable[str], *, with_metadata: bool) -> dict[str, set[str]]:
        """Return the columns of the rows that are there, without their values."""
        wanted = sorted(keys)
        families = "i,m,t" if with_metadata else "i,t"  # its blocks are large
        found: dict[str, set[str]] = {}
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            params = {
                "row": wanted[start : start + _KEYS_AT_ONCE],
                "filter": "KeyOnlyFilter()",
            }
            answer = self._server.ask(
                "GET", f"{self._path}/multiget/{families}", params=params, may_answer=(404,)
            )
            rows = answer.json()["Row"] if answer.status_code != 404 else []
            for row in rows:
                columns = {_decode(cell["column"]) for cell in row["Cell"]}
                found[_decode(row["key"])] = columns
        return found

    def _put(self, rows: Mapping[str, Mapping[str, bytes]]) -> None:
        body = [
            {
                "key": _encode(key.encode()),
                "Cell": [
                    {"column": _encode(column.encode()), "$": _encode(value)}
                    for column, value in row.items()
                ],
            }
            for key, row in rows.items()
        ]
        if not body:
            return
        # The server does not use the name of the row in the URL.
        answer = self._server.ask(
            "PUT", f"{self._path}/rows", body={"Row": body}, may_answer=(400, 404, 413)
        )
        if answer.status_code == 404:
            raise SinkError(
                f"{self._target!r} is not there any more, or has lost a column family; publish "
                "again, that makes it anew"
            )
        if answer.status_code >= 400:
            raise BatchRefused(_explain(answer.status_code, answer.text))

    def _delete(self, key: str, column: str) -> None:
        path = f"{self._path}/{key}/{quote(column, safe=':')}"
        self._server.ask("DELETE", path, shown_path=self._path)


def _make_rows(
    keys: Sequence[str], documents: Sequence[Document]
) -> tuple[dict[str, dict[str, bytes]], dict[int, Outcome]]:
    """Return the last row of each key, and the places of documents that no row can be made of."""
    rows: dict[str, dict[str, bytes]] = {}
    refused: dict[int, Outcome] = {}
    for number, (key, document) in enumerate(zip(keys, documents, strict=True)):
        try:
            rows[key] = make_cells(document)
        except OverflowError:
            refused[number] = Outcome("refused", "it has an integer beyond 64 bits")
    return rows, refused


def _explain(status: int, answer: str) -> str:
    """Return why a batch was refused; the words of the server are only looked through."""
    if "KeyValue size too large" in answer:
        return "a value is longer than the server takes (hbase.client.keyvalue.maxsize)"
    return f"the server answered {status}"


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()


_METADATA = "m:json"
_KEYS_AT_ONCE = 250  # in a URL, of which the server takes 64 KB


@hookimpl
def dicomframe_register_sink() -> Sink:
    """Return the sink ``hbase``."""
    return HBaseSink()
