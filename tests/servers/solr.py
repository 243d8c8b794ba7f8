"""Run a real Solr: a node in Jetty, as a cloud with ZooKeeper in it or by itself."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from servers.java import fetch_jars, find_java
from servers.processes import find_free_port, run_server


@dataclass(frozen=True)
class SolrServer:
    """A running node; ``endpoint`` has no slash at the end.

    Its one configset, ``_default``, has a managed schema with no field but the id. As Solr's own
    of this name it guesses the types of other fields, if it is not told to let that be.
    """

    endpoint: str
    log: Path
    home: Path
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(self, path: str, *, body: object = None, form: object = None) -> Any:
        """Return what the node answers behind ``/solr/``, not by the sink's ways."""
        is_read = body is None and form is None
        user = self.options.get("user")
        answer = requests.request(
            "GET" if is_read else "POST",
            f"{self.endpoint}/solr/{path}",
            json=body,
            data=form,
            auth=(user, self.options["password"]) if user else None,
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()

    def select(self, name: str, query: str, fields: str = "*") -> list[dict[str, Any]]:
        """Return all documents of a collection or core that a query finds."""
        form = {"q": query, "rows": "1000000", "fl": fields}
        found: list[dict[str, Any]] = self.ask(f"{name}/select", form=form)["response"]["docs"]
        return found

    def make_core(self, name: str) -> None:
        """Make a core with a schema of its own, as ``bin/solr create`` does by itself."""
        shutil.copytree(self.home / "configsets/_default/conf", self.home / name / "conf")
        self.ask(f"admin/cores?action=CREATE&name={name}")


def fetch() -> str:
    """Return the class path, once all of it is there."""
    return fetch_jars(_MODULES)


@contextmanager
def start_solr(*, is_cloud: bool) -> Iterator[SolrServer]:
    """Run a node of its own in a temporary folder until the context ends.

    The cloud needs no password. A node by itself does; it makes no collections, only cores.
    """
    classes = fetch()
    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="dicomframe-solr-") as name:
        folder = Path(name)
        home = folder / "home"
        shutil.copytree(Path(__file__).with_name("solr_home"), home)
        options = {} if is_cloud else _protect(home / "security.json")
        server = SolrServer(f"http://127.0.0.1:{port}", folder / "solr.log", home, options)
        command = [
            *(find_java(), "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *(f"-Dsolr.solr.home={home}", f"-Dsolr.log.dir={folder}", f"-Djetty.port={port}"),
            *("-Dlog4j2.level=ERROR", "-cp", classes),
        ]
        if is_cloud:
            settings = {"clientPort": find_free_port(), "dataDir": folder / "zookeeper"}
            lines = [f"{key}={value}\n" for key, value in settings.items()]
            (home / "zoo.cfg").write_text("".join(["clientPortAddress=127.0.0.1\n", *lines]))
            configset = home / "configsets/_default/conf"
            command += ["-DzkRun", "-Dsolr.http1=true", f"-Dsolr.default.confdir={configset}"]
            command.append("-Dzookeeper.admin.enableServer=false")  # it takes port 8080 of all
        command += ["org.eclipse.jetty.xml.XmlConfiguration", str(home / "jetty.xml")]
        with run_server(command, server.log, lambda: _is_ready(server)):
            yield server


def _is_ready(server: SolrServer) -> bool:
    try:
        return bool(server.ask("admin/info/system"))
    except requests.RequestException:
        log = server.log.read_text(errors="replace")
        if "CoreContainer has shut down" in log:
            raise RuntimeError(f"Solr gave up while it started:\n{log[:8000]}") from None
        return False


def _protect(path: Path) -> dict[str, str]:
    """Write down who may use the node, and return that."""
    options = {"user": "somebody", "password": "s3cret-" + secrets.token_hex(16)}
    salt = secrets.token_bytes(32)
    once = hashlib.sha256(salt + options["password"].encode()).digest()
    twice = hashlib.sha256(once).digest()
    stored = " ".join(base64.b64encode(part).decode() for part in (twice, salt))
    plugin = {"class": "solr.BasicAuthPlugin", "blockUnknown": True}
    path.touch(mode=0o600)
    credentials = {options["user"]: stored}
    path.write_text(json.dumps({"authentication": {**plugin, "credentials": credentials}}))
    return options


_JETTY = "10.0.26"  # of this Solr
_MODULES = [
    ("org.apache.solr", "solr-core", "9.10.1"),  # the newest of 9; 10 needs Java 21
    ("org.eclipse.jetty", "jetty-servlet", _JETTY),
    ("org.eclipse.jetty", "jetty-xml", _JETTY),
    ("org.eclipse.jetty.toolchain", "jetty-servlet-api", "4.0.6"),
]
