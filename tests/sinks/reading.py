"""Ask Elasticsearch and OpenSearch for what they hold, behind the back of the sinks."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen

_PAGE = 2000


def ask(url: str, path: str, body: Any = None, method: str = "") -> Any:
    """Ask about the index of a sink's URL; return the parsed answer."""
    request = Request(url.partition("+")[2] + path, method=method or ("POST" if body else "GET"))
    request.add_header("Content-Type", "application/json")
    with urlopen(request, json.dumps(body).encode() if body else None, timeout=60) as answer:
        return json.load(answer)


def count(url: str) -> int:
    """Return the number of documents."""
    return int(ask(url, "/_count")["count"])


def search(url: str, *clauses: dict[str, Any]) -> set[str]:
    """Return the ids of the documents that fit all clauses, 10,000 at the most."""
    body = {"query": {"bool": {"filter": list(clauses)}}, "size": 10_000, "_source": False}
    return {hit["_id"] for hit in ask(url, "/_search", body)["hits"]["hits"]}


def fetch_all(url: str) -> dict[str, dict[str, Any]]:
    """Return all documents by their ids."""
    found: dict[str, dict[str, Any]] = {}
    after: dict[str, Any] = {}
    while True:
        page = ask(url, "/_search", {"size": _PAGE, "sort": ["origin"], **after})["hits"]["hits"]
        found |= {hit["_id"]: hit["_source"] for hit in page}
        if len(page) < _PAGE:
            return found
        after = {"search_after": page[-1]["sort"]}
