"""The sink ``opensearch``, by the official client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import SSLError, TransportError

from dicomframe.sinks.plugin import Sink, SinkConnection, Target, hookimpl
from dicomframe_elasticsearch.connection import (
    OPTIONS,
    Client,
    HttpFault,
    IndexConnection,
    check_options,
    no_tls,
)

# What fails is told once, by this library. Below these levels the client prints whole documents.
for _name, _level in (("opensearch", logging.INFO), ("opensearchpy.trace", logging.WARNING)):
    _logger = logging.getLogger(_name)
    _logger.addHandler(logging.NullHandler())
    if _logger.level == logging.NOTSET:
        _logger.setLevel(_level)


class OpenSearchSink(Sink):
    """Write to OpenSearch 2 or 3."""

    options = OPTIONS

    def connect(self, target: Target) -> SinkConnection:
        """Return a connection; nothing is asked yet."""
        check_options(target.options)
        return IndexConnection(target, _Client(target))


@hookimpl
def dicomframe_register_sink() -> Sink:
    """Return the sink ``opensearch``."""
    return OpenSearchSink()


class _Client(Client):
    def __init__(self, target: Target) -> None:
        given = target.options
        options = {name: given[name] for name in ("ca_certs", "verify_certs") if name in given}
        if "user" in given:
            options["http_auth"] = (given["user"], given["password"])
        self._target = target
        self._client = OpenSearch(
            [{"host": target.host, "port": target.port or (443 if target.secure else 9200)}],
            use_ssl=target.secure,
            timeout=given.get("timeout_seconds", 60),
            max_retries=0,
            retry_on_timeout=False,
            ssl_show_warn=False,
            **options,
        )

    def create(self, body: dict[str, Any]) -> None:
        self._ask(lambda: self._client.indices.create(index=self._target.name, body=body))

    def get_mappings(self) -> Mapping[str, Any]:
        found = self._ask(lambda: self._client.indices.get_mapping(index=self._target.name))
        return dict(found)

    def put_properties(self, properties: dict[str, Any]) -> None:
        name, body = self._target.name, {"properties": properties}
        self._ask(lambda: self._client.indices.put_mapping(index=name, body=body))

    def bulk(self, operations: list[dict[str, Any]]) -> Mapping[str, Any]:
        name = self._target.name
        return dict(self._ask(lambda: self._client.bulk(index=name, body=operations)))

    def refresh(self) -> None:
        self._ask(lambda: self._client.indices.refresh(index=self._target.name))

    def close(self) -> None:
        self._client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except SSLError:
            raise no_tls(self._target) from None
        except NoConnection:
            raise HttpFault(None) from None
        except TransportError as error:
            status = error.status_code if isinstance(error.status_code, int) else None
            raise HttpFault(status, error.info) from None
