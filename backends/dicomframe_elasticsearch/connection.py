"""Write to one index, through whichever client there is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomframe.sinks.plugin import (
    BUSY_STATUSES,
    BatchRefused,
    Document,
    Field,
    InvalidOptionError,
    Outcome,
    ServerBusy,
    SinkConnection,
    SinkError,
    Target,
)
from dicomframe_elasticsearch.bulk import make_operations, read_outcomes, shorten_error
from dicomframe_elasticsearch.mapping import find_missing, make_properties

OPTIONS = {
    "user": "who writes",
    "password": "their password",
    "ca_certs": "a file with the certificates of the authorities to be trusted",
    "verify_certs": "whether the server's certificate is checked, True by default",
    "timeout_seconds": "how long one request may take, 60 by default",
    "shards": "of an index that is made, as the server has it by default",
    "replicas": "of an index that is made, as the server has it by default",
}
"""What both sinks take."""


class HttpFault(Exception):
    """The server answered with an error, or not at all.

    Parameters
    ----------
    status
        None where there is no answer.
    body
        What it answered, parsed.
    """

    def __init__(self, status: int | None, body: Any = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Client(ABC):
    """Ask a server for one index; every method raises `HttpFault`, and retries nothing."""

    @abstractmethod
    def create(self, body: dict[str, Any]) -> None:
        """Make the index, with ``mappings`` and ``settings``."""

    @abstractmethod
    def get_mappings(self) -> Mapping[str, Any]:
        """Return what is behind the name, by the names of the indices."""

    @abstractmethod
    def put_properties(self, properties: dict[str, Any]) -> None:
        """Add fields to the mapping."""

    @abstractmethod
    def bulk(self, operations: list[dict[str, Any]]) -> Mapping[str, Any]:
        """Send a bulk request for the index and return the answer."""

    @abstractmethod
    def refresh(self) -> None:
        """Make what was written visible to searches."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connections."""


class IndexConnection(SinkConnection):
    """Write to one index.

    Parameters
    ----------
    target
        Where to.
    client
        How.
    """

    def __init__(self, target: Target, client: Client) -> None:
        self._target = target
        self._client = client
        self._names: set[str] = set()

    def prepare(self, fields: Sequence[Field]) -> None:
        """Make the index with an explicit mapping, or add the fields that it has not."""
        wanted = make_properties(fields)
        settings = {
            f"number_of_{name}": self._target.options[name]
            for name in ("shards", "replicas")
            if name in self._target.options
        }
        body = {"mappings": {"dynamic": "strict", "properties": wanted}, "settings": settings}
        try:
            found = self._client.get_mappings()
        except HttpFault as fault:
            if fault.status != 404:
                raise self._explain(fault) from None
            if self._create(body):
                return
            found = self._ask(self._client.get_mappings)
        for mappings in found.values():
            properties = mappings.get("mappings", {}).get("properties", {})
            missing = find_missing(self._target.name, wanted, properties)
            if missing:
                self._ask(lambda missing=missing: self._client.put_properties(missing))

    def write(self, documents: Sequence[Document]) -> list[Outcome]:
        """Send one bulk request; an id that is there is replaced."""
        names = {"origin", "metadata"}.union(*(document.values for document in documents))
        operations = make_operations(documents)
        try:
            answer = self._client.bulk(operations)
        except HttpFault as fault:
            if fault.status in (400, 413):
                raise BatchRefused(f"the server answered {fault.status}") from None
            raise self._explain(fault) from None
        return read_outcomes(answer, names)

    def finish(self) -> None:
        """Refresh the index."""
        self._ask(self._client.refresh)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _create(self, body: dict[str, Any]) -> bool:
        """Make the index; return whether it was not there, made by another a moment ago."""
        try:
            self._client.create(body)
        except HttpFault as fault:
            if _error_type(fault.body) == "resource_already_exists_exception":
                return False
            raise self._explain(fault) from None
        return True

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except HttpFault as fault:
            raise self._explain(fault) from None

    def _explain(self, fault: HttpFault) -> Exception:
        """Return what is raised instead, without the server's own words."""
        if fault.status is None:
            return ServerBusy("there is no answer")
        if fault.status in BUSY_STATUSES:
            return ServerBusy(f"the server answered {fault.status}")
        if fault.status in (401, 403):
            return SinkError(
                f"{self._target!r} refuses access ({fault.status}); check the options that log in: "
                "'user', 'password', for Elasticsearch also 'api_key'"
            )
        error = fault.body.get("error") if isinstance(fault.body, Mapping) else None
        return SinkError(
            f"{self._target!r} refuses the request ({fault.status}): {shorten_error(error, ())}"
        )


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse values that a client would not understand; no value is shown.

    Raises
    ------
    InvalidOptionError
        One has the wrong type, or a user has no password.
    """
    wanted: dict[str, tuple[Any, str]] = {
        "verify_certs": (bool, "True or False"),
        "timeout_seconds": ((int, float), "a number"),
        "shards": (int, "a whole number"),
        "replicas": (int, "a whole number"),
    }
    for name, value in options.items():
        kind, words = wanted.get(name, (str, "text"))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InvalidOptionError(
                f"the option {name!r} must be {words} (its value is not shown)"
            )
    if "ca_certs" in options and not Path(options["ca_certs"]).is_file():
        raise InvalidOptionError("the option 'ca_certs' names no file (its value is not shown)")
    if ("user" in options) != ("password" in options):
        raise InvalidOptionError("the options 'user' and 'password' belong together, give both")


def no_tls(target: Target) -> SinkError:
    """Return the error that says that no secure connection came about."""
    return SinkError(
        f"no TLS with {target!r}; if its certificate is of an authority of your own, give the "
        "option 'ca_certs', or write +http:// if it speaks none"
    )


def _error_type(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""
