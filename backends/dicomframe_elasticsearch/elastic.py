"""The sink ``elasticsearch``, by the official client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout, SerializationError, TlsError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError, __versionstr__

from dicomframe.sinks.plugin import Sink, SinkConnection, SinkError, Target, hookimpl
from dicomframe_elasticsearch.connection import (
    OPTIONS,
    Client,
    HttpFault,
    IndexConnection,
    check_options,
    no_tls,
)

# What fails is told once, by this library. Below this level the client prints whole documents.
_logger = logging.getLogger("elastic_transport")
_logger.addHandler(logging.NullHandler())
if _logger.level == logging.NOTSET:
    _logger.setLevel(logging.INFO)


class ElasticsearchSink(Sink):
    """Write to Elasticsearch 8 or 9, by the client of the same version."""

    options: ClassVar[Mapping[str, str]] = {**OPTIONS, "api_key": "in place of user and password"}

    def connect(self, target: Target) -> SinkConnection:
        """Return a connection; nothing is asked yet."""
        check_options(target.options)
        return IndexConnection(target, _Client(target))


@hookimpl
def dicomframe_register_sink() -> Sink:
    """Return the sink ``elasticsearch``."""
    return ElasticsearchSink()


class _Client(Client):
    def __init__(self, target: Target) -> None:
        given = target.options
        options: dict[str, Any] = {
            name: given[name] for name in ("api_key", "ca_certs", "verify_certs") if name in given
        }
        if "user" in given:
            options["basic_auth"] = (given["user"], given["password"])
        if not target.secure:
            options.pop("ca_certs", None)
            options.pop("verify_certs", None)
        self._target = target
        self._client = Elasticsearch(
            target.server if target.port else f"{target.server}:{443 if target.secure else 9200}",
            request_timeout=given.get("timeout_seconds", 60),
            max_retries=0,
            retry_on_timeout=False,
            ssl_show_warn=False,
            **options,
        )

    def create(self, body: dict[str, Any]) -> None:
        self._ask(lambda: self._client.indices.create(index=self._target.name, **body))

    def get_mappings(self) -> Mapping[str, Any]:
        return dict(self._ask(lambda: self._client.indices.get_mapping(index=self._target.name)))

    def put_properties(self, properties: dict[str, Any]) -> None:
        name = self._target.name
        self._ask(lambda: self._client.indices.put_mapping(index=name, properties=properties))

    def bulk(self, operations: list[dict[str, Any]]) -> Mapping[str, Any]:
        name = self._target.name
        return dict(self._ask(lambda: self._client.bulk(index=name, operations=operations)))

    def refresh(self) -> None:
        self._ask(lambda: self._client.indices.refresh(index=self._target.name))

    def close(self) -> None:
        self._client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question().body
        except UnsupportedProductError:
            raise self._stranger() from None
        except ApiError as error:
            if error.meta.status == _NOT_ACCEPTABLE:
                raise self._stranger() from None
            raise HttpFault(error.meta.status, error.body) from None
        except TlsError:
            raise no_tls(self._target) from None
        except (NoConnection, ConnectionTimeout, SerializationError):
            # The last is an answer of something in between, whose status the client hides.
            raise HttpFault(None) from None

    def _stranger(self) -> SinkError:
        major = __versionstr__.partition(".")[0]
        return SinkError(
            f"the server of {self._target!r} is no Elasticsearch {major}; for another version "
            "install the client of that version, for OpenSearch begin the URL with 'opensearch+'"
        )


_NOT_ACCEPTABLE = 406  # the answer to a client of another version
