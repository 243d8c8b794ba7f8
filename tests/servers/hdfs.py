"""Run a real HDFS: one NameNode and one DataNode of Apache Hadoop."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from servers.java import fetch_jars, find_java
from servers.processes import find_free_port, is_listening, read_page, run_server


@dataclass(frozen=True)
class HdfsServer:
    """A running file system; who asks is who they say, and may do all.

    ``url`` is for hdfs-native (``hdfs://``), ``webhdfs_url`` for fsspec's ``webhdfs://``, both
    without a slash at the end; ``http_endpoint`` is the NameNode's web server.
    """

    url: str
    http_endpoint: str
    logs: tuple[Path, ...]

    @property
    def webhdfs_url(self) -> str:
        """The root of the file system for fsspec's client of WebHDFS."""
        return f"webhdfs://{urlsplit(self.http_endpoint).netloc}"


@contextmanager
def start_hdfs() -> Iterator[HdfsServer]:
    """Run a file system of its own in a temporary folder until the context ends."""
    classes = fetch_jars(_MODULES)
    rpc, http, data, data_rpc, data_http = (find_free_port() for _ in range(5))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicomframe-hdfs-")))
        logs = folder / "namenode.log", folder / "datanode.log"
        server = HdfsServer(f"hdfs://127.0.0.1:{rpc}", f"http://127.0.0.1:{http}", logs)
        _write_settings(folder / "core-site.xml", {"fs.defaultFS": server.url})
        settings = {
            "hadoop.tmp.dir": str(folder / "tmp"),
            "dfs.namenode.name.dir": f"file://{folder}/names",
            "dfs.datanode.data.dir": f"file://{folder}/blocks",
            "dfs.namenode.http-address": f"127.0.0.1:{http}",
            "dfs.namenode.rpc-bind-host": "127.0.0.1",
            "dfs.datanode.address": f"127.0.0.1:{data}",
            "dfs.datanode.ipc.address": f"127.0.0.1:{data_rpc}",
            "dfs.datanode.http.address": f"127.0.0.1:{data_http}",
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.permissions.enabled": "false",
            "dfs.replication": "1",
            "dfs.blocksize": "1048576",  # so that files of the tests have several
            "dfs.namenode.fs-limits.min-block-size": "1024",
            "dfs.namenode.safemode.extension": "0",
            "dfs.heartbeat.interval": "1",
        }
        _write_settings(folder / "hdfs-site.xml", settings)
        java = [find_java(), "-Xmx512m", _LOGGING, "-cp", f"{folder}:{classes}"]
        name_node, data_node = (
            [*java, f"org.apache.hadoop.hdfs.server.{name}"]
            for name in ("namenode.NameNode", "datanode.DataNode")
        )
        subprocess.run(
            [*name_node, "-format", "-force", "-nonInteractive"], check=True, capture_output=True
        )
        stack.enter_context(run_server(name_node, logs[0], lambda: is_listening(rpc)))
        stack.enter_context(run_server(data_node, logs[1], lambda: _has_data_node(server)))
        yield server


def _has_data_node(server: HdfsServer) -> bool:
    query = "Hadoop:service=NameNode,name=FSNamesystemState"
    page = read_page(f"{server.http_endpoint}/jmx?qry={query}")
    beans = json.loads(page)["beans"] if page else []
    return any(bean["NumLiveDataNodes"] and bean["FSState"] == "Operational" for bean in beans)


def _write_settings(path: Path, settings: dict[str, str]) -> None:
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n"
        for name, value in settings.items()
    )
    path.write_text(f"<configuration>\n{properties}</configuration>\n")


_MODULES = [
    ("org.apache.hadoop", "hadoop-client-minicluster", "3.5.0"),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
]

_LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
