"""Run a real S3 server: S3Proxy over a folder, with signatures checked."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.java import fetch_jars, find_java
from servers.processes import find_free_port, is_listening, run_server

BUCKET = "archive"
"""The bucket that is there from the start."""


@dataclass(frozen=True)
class S3Server:
    """A running server and who may use it.

    A key of one server names one file, so ``a//b`` is ``a/b`` here, a key that ends with ``/``
    has no bytes, and ``.`` and ``..`` are no names: unlike in Amazon's S3.
    """

    endpoint: str
    log: Path
    key: str = "somebody"
    secret: str = field(default_factory=lambda: "s3cret-" + secrets.token_hex(16), repr=False)

    @property
    def storage_options(self) -> dict[str, Any]:
        """What fsspec needs to reach the server."""
        return self.storage_options_at(self.endpoint)

    def storage_options_at(self, endpoint: str) -> dict[str, Any]:
        """Return what fsspec needs to reach the server by another way, such as a proxy."""
        return {
            "key": self.key,
            "secret": self.secret,
            "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        }

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""
        import s3fs

        s3fs.S3FileSystem(**self.storage_options).call_s3("create_bucket", Bucket=name)


@contextmanager
def start_s3() -> Iterator[S3Server]:
    """Run a server of its own in a temporary folder until the context ends."""
    classes = fetch_jars(_MODULES, without=_NOT_NEEDED)
    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="dicomframe-s3-") as name:
        folder = Path(name)
        (folder / "objects").mkdir()
        server = S3Server(f"http://127.0.0.1:{port}", folder / "s3.log")
        (folder / "logback.xml").write_text(_LOGGING)
        properties = {
            "s3proxy.endpoint": server.endpoint,
            "s3proxy.authorization": "aws-v4",
            "s3proxy.identity": server.key,
            "s3proxy.credential": server.secret,
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": folder / "objects",
        }
        settings = folder / "s3proxy.properties"
        settings.touch(mode=0o600)
        settings.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        command = [
            *(find_java(), "-Xmx1g", "-XX:+UseParallelGC", "-cp", f"{folder}:{classes}"),
            *("org.gaul.s3proxy.Main", "--properties", str(settings)),
        ]
        with run_server(command, server.log, lambda: is_listening(port)):
            server.create_bucket(BUCKET)
            yield server


_MODULES = [("org.gaul", "s3proxy", "4.1.0")]

# The clients of the other stores that S3Proxy could stand before.
_NOT_NEEDED = [
    *("com.azure", "com.google.cloud", "com.google.api", "com.google.apis", "com.google.auth"),
    *("com.google.http-client", "com.github.openstack4j.core", "org.apache.sshd"),
    *("com.github.openstack4j.core.connectors", "com.github.java-json-tools", "io.opentelemetry"),
]

_LOGGING = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss} %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""
