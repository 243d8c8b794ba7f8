"""Run a real HBase: a master with its region server and ZooKeeper, and a REST server."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from servers.java import fetch_jars, find_java
from servers.processes import find_free_port, run_server

Rows = dict[str, dict[str, bytes]]
"""Cells by row key and column."""


@dataclass(frozen=True)
class HBaseServer:
    """A running HBase; ``endpoint`` is that of its REST server, without a slash at the end."""

    endpoint: str
    logs: tuple[Path, ...]

    def scan(
        self, table: str, *, columns: Sequence[str] = (), where: Mapping[str, object] | None = None
    ) -> Rows:
        """Return all rows of a table, or those that a filter lets through."""
        scanner: dict[str, object] = {"batch": 1000, "column": [_encode(name) for name in columns]}
        if where:
            scanner["filter"] = json.dumps(where)
        rows: Rows = {}
        with requests.Session() as session:
            session.headers["Accept"] = "application/json"
            made = session.post(f"{self.endpoint}/{table}/scanner", json=scanner, timeout=60)
            made.raise_for_status()
            url = made.headers["Location"]
            while (page := session.get(url, timeout=60)).status_code != 204:
                page.raise_for_status()
                for row in page.json()["Row"]:
                    cells = rows.setdefault(_decode(row["key"]).decode(), {})
                    for cell in row["Cell"]:
                        cells[_decode(cell["column"]).decode()] = _decode(cell["$"])
            session.delete(url, timeout=60)
        return rows


def fetch() -> str:
    """Return the class path, once all of it is there."""
    return fetch_jars(_MODULES, without=_NOT_NEEDED)


@contextmanager
def start_hbase() -> Iterator[HBaseServer]:
    """Run a cluster of one machine in a temporary folder until the context ends."""
    classes = fetch()
    zookeeper, rest = find_free_port(), find_free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicomframe-hbase-")))
        logs = folder / "master.log", folder / "rest.log"
        server = HBaseServer(f"http://127.0.0.1:{rest}", logs)
        settings = {
            "hbase.cluster.distributed": "false",
            "hbase.rootdir": f"file://{folder}/data",
            "hbase.tmp.dir": str(folder / "tmp"),
            "hbase.unsafe.stream.capability.enforce": "false",  # a local disk
            "hbase.zookeeper.quorum": "127.0.0.1",
            "hbase.zookeeper.property.clientPort": str(zookeeper),
            "hbase.zookeeper.property.dataDir": str(folder / "zookeeper"),
            "hbase.rest.host": "127.0.0.1",
            "hbase.rest.port": str(rest),
            "hbase.rest.info.port": "-1",
            "hbase.regionserver.msginterval": "300",  # to start soon, as the next one
            "hbase.master.wait.on.regionservers.interval": "100",
            **{f"hbase.{name}.hostname": "127.0.0.1" for name in ("master", "regionserver")},
            **{f"hbase.{name}.ipc.address": "127.0.0.1" for name in ("master", "regionserver")},
            **{f"hbase.{name}.port": "0" for name in ("master", "regionserver")},
            **{f"hbase.{name}.info.port": "-1" for name in ("master", "regionserver")},
        }
        _write_settings(folder / "hbase-site.xml", settings)
        (folder / "log4j.properties").write_text(_LOGGING)
        java = [find_java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_OPENED]
        java += ["-cp", f"{folder}:{classes}"]
        master = [*java, "-Xmx768m", "org.apache.hadoop.hbase.master.HMaster", "start"]
        gateway = [*java, "-Xmx256m", "org.apache.hadoop.hbase.rest.RESTServer", "start"]
        # They start side by side: only the one that takes longer is waited for.
        stack.enter_context(run_server(gateway, logs[1], lambda: True))
        stack.enter_context(run_server(master, logs[0], lambda: _is_ready(server)))
        yield server


def _is_ready(server: HBaseServer) -> bool:
    # Of all that is asked before a table is made, this is what the master answers last.
    try:
        return requests.get(f"{server.endpoint}/namespaces/default/tables", timeout=5).ok
    except requests.RequestException:
        return False


def _write_settings(path: Path, settings: Mapping[str, str]) -> None:
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n"
        for name, value in settings.items()
    )
    path.write_text(f"<configuration>\n{properties}</configuration>\n")


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text)


# The newest of which all modules are published.
_MODULES = [
    ("org.apache.hbase", "hbase-rest", "2.6.1"),
    ("com.sun.xml.bind", "jaxb-impl", "2.2.3-1"),
    ("org.slf4j", "slf4j-reload4j", "1.7.36"),
]

# Parts of Hadoop that read other stores, run jobs and show web pages.
_NOT_NEEDED = [
    *("com.google.inject", "com.google.inject.extensions", "com.sun.jersey", "org.mortbay.jetty"),
    *("com.sun.jersey.contribs", "com.squareup.okhttp", "com.squareup.okio", "org.apache.avro"),
    *("net.java.dev.jets3t", "com.jamesmurty.utils", "org.fusesource.leveldbjni", "com.jcraft"),
    *("javax.servlet.jsp", "org.glassfish.web", "org.glassfish", "org.codehaus.jettison", "cglib"),
    *("org.apache.directory.server", "org.apache.directory.api", "org.apache.curator"),
    *("com.thoughtworks.paranamer", "com.nimbusds", "net.minidev", "org.codehaus.jackson"),
]

# What HBase asks for on Java 17.
_OPENED = [
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "nio", "util")),
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
]

_LOGGING = """\
log4j.rootLogger=WARN,out
log4j.logger.org.apache.hadoop.fs.FileSystem=ERROR
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss} %-5p %c{2} %m%n
"""
