"""Run a real OpenSearch: one node, the newest version that starts on Java 17."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.java import fetch_jars
from servers.nodes import SearchServer, start_node


@contextmanager
def start_opensearch() -> Iterator[SearchServer]:
    """Run a node of its own in a temporary folder until the context ends.

    It writes with one thread, before which one write may wait: a request for many shards finds
    it busy, and some of its documents come back with 429.
    """
    jars = sorted(Path(fetch()).parent.glob("*.jar"))
    settings = {"thread_pool.write.size": 1, "thread_pool.write.queue_size": 1}
    with start_node("opensearch.groovy", jars, {}, settings) as server:
        yield server


def fetch() -> str:
    """Return the class path, once all of it is there."""
    return fetch_jars(_MODULES)


_VERSION = "2.19.6"  # the last of 2; version 3 needs Java 21

_MODULES = [
    ("org.opensearch", "opensearch", _VERSION),
    ("org.opensearch.plugin", "transport-netty4-client", _VERSION),
    ("org.apache.logging.log4j", "log4j-core", "2.25.4"),
    ("org.apache.groovy", "groovy", "4.0.33"),
]
