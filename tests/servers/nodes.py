"""Run a node of a search engine within a Java process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.java import find_java
from servers.processes import find_free_port, read_page, run_server


@dataclass(frozen=True)
class SearchServer:
    """A running node that asks nobody who they are; ``endpoint`` has no slash at its end."""

    endpoint: str
    log: Path


@contextmanager
def start_node(
    script: str, jars: Sequence[Path], modules: Mapping[str, str], settings: Mapping[str, object]
) -> Iterator[SearchServer]:
    """Run a script of Groovy that starts a node, until the context ends.

    Parameters
    ----------
    script
        The name of a file beside this one; it is given settings, as name=value.
    jars
        Groovy, the engine and all that they need.
    modules
        For each module of the engine that is loaded by itself its description; its jars are those
        whose names begin with its name or with ``netty``.
    settings
        Those of the node, beside where it is and where it listens.
    """
    http, transport = find_free_port(), find_free_port()
    with tempfile.TemporaryDirectory(prefix="dicomframe-node-") as name:
        home = Path(name)
        (home / "lib").mkdir()
        for module, description in modules.items():
            folder = home / "modules" / module
            folder.mkdir(parents=True)
            (folder / "plugin-descriptor.properties").write_text(description)
            for jar in jars:
                if jar.name.startswith((module, "netty")):
                    (folder / jar.name).symlink_to(jar)
        for jar in jars:
            if not modules or not jar.name.startswith((*modules, "netty")):
                (home / "lib" / jar.name).symlink_to(jar)
        server = SearchServer(f"http://127.0.0.1:{http}", home / "node.log")
        told = {
            "path.home": home,
            "http.port": http,
            "transport.port": transport,
            "network.host": "127.0.0.1",
            "discovery.type": "single-node",
            "action.auto_create_index": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **settings,
        }
        command = [
            *(find_java(), "-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=256m"),
            *("-Dlog4j2.level=WARN", "-cp", f"{home}/lib/*", "groovy.ui.GroovyMain"),
            str(Path(__file__).with_name(script)),
            *(f"{setting}={value}" for setting, value in told.items()),
        ]
        with run_server(command, server.log, lambda: _is_well(server)):
            yield server


def _is_well(server: SearchServer) -> bool:
    return '"status":"green"' in read_page(f"{server.endpoint}/_cluster/health")
