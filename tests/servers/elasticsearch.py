"""Run a real Elasticsearch: one node, the newest version that starts on Java 17."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.java import fetch_jars
from servers.nodes import SearchServer, start_node


@contextmanager
def start_elasticsearch() -> Iterator[SearchServer]:
    """Run a node of its own in a temporary folder until the context ends.

    It is the server without the modules of a distribution, but for its transport: no passwords,
    and no answer to ``GET /``.
    """
    jars = sorted(Path(fetch()).parent.glob("*.jar"))
    with start_node("elasticsearch.groovy", jars, {"transport-netty4": _NETTY}, {}) as server:
        yield server


def fetch() -> str:
    """Return the class path, once all of it is there."""
    return fetch_jars(_MODULES)


_VERSION = "8.19.21"  # of 8; version 9 needs Java 21

_MODULES = [
    ("org.elasticsearch", "elasticsearch", _VERSION),
    ("org.elasticsearch.plugin", "transport-netty4", _VERSION),
    ("org.apache.logging.log4j", "log4j-core", "2.19.0"),
    ("org.apache.groovy", "groovy", "4.0.33"),
]

_NETTY = f"""\
name=transport-netty4
description=the transport
version={_VERSION}
elasticsearch.version={_VERSION}
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""
