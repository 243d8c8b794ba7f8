"""The door for authors of sinks: what a plugin implements and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import pluggy

from dicomframe.errors import InvalidOptionError, SinkError

__all__ = [
    "BUSY_STATUSES",
    "ENTRY_POINT_GROUP",
    "BatchRefused",
    "Document",
    "Field",
    "FieldKind",
    "InvalidOptionError",
    "Outcome",
    "OutcomeKind",
    "ServerBusy",
    "Sink",
    "SinkConnection",
    "SinkError",
    "SinkSpec",
    "Target",
    "hookimpl",
    "hookspec",
]

ENTRY_POINT_GROUP = "dicomframe.sinks"
"""The entry-point group; the name of an entry point is the first part of a URL's scheme."""

BUSY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The HTTP statuses that a request meets once more: what `ServerBusy` is for."""

hookspec = pluggy.HookspecMarker("dicomframe")
hookimpl = pluggy.HookimplMarker("dicomframe")

FieldKind = Literal[
    "keyword", "text", "name", "integer", "number", "date", "datetime", "time", "binary", "json",
]  # fmt: skip
"""How a field is searched, and what its values are as JSON.

=============  ==================================================================================
``keyword``    exact text: codes, UIDs, identifiers; also integers beyond 64 bits, as digits
``text``       text that is searched by its words
``name``       a person name, searched by its words and exactly
``integer``    an integer of 64 bits
``number``     a finite double; ages are years
``date``       ``2004-01-19``
``datetime``   ``2004-01-19T08:30:00.000001``, without a time zone
``time``       text as in the tag's column, ``08:30:00.000001``
``binary``     Base64
``json``       a JSON text that is kept and not searched
=============  ==================================================================================
"""

OutcomeKind = Literal["written", "updated", "refused", "busy"]


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Tell where documents go; it pickles, and shows no option.

    Attributes
    ----------
    sink
        The name of the entry point.
    secure
        Whether it is reached by TLS.
    host
        A name or an address.
    port
        None where the URL has none.
    name
        The index, collection or table.
    options
        What the sink needs to connect, those of `Sink.options`; credentials included.
    """

    sink: str
    secure: bool
    host: str
    port: int | None
    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def server(self) -> str:
        """The base URL of the server, without name, slash and credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{'https' if self.secure else 'http'}://{host}{port}"

    def __repr__(self) -> str:
        return f"Target({self.sink + '+' + self.server + '/' + self.name!r})"


@dataclass(frozen=True, slots=True)
class Field:
    """Tell of one typed field that documents may have.

    Attributes
    ----------
    name
        As in `Document.values`: ASCII letters, digits and underscores, a letter first; neither
        ``id`` nor ``origin`` nor ``metadata``.
    kind
        One of `FieldKind`.
    many
        Whether a value is a list.
    """

    name: str
    kind: FieldKind
    many: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """Hold one row; it shows no value.

    Attributes
    ----------
    id
        Its SOP Instance UID, or what was made of its origin; the same in every run. Visible ASCII
        characters, 64 of them at the most.
    origin
        The URL of the file, a field of its own in every sink.
    values
        The typed fields that are not null, as JSON has them.
    metadata
        The whole DICOM JSON text, kept as it is and not searched; None where the frame has none.
    """

    id: str
    origin: str
    values: Mapping[str, Any]
    metadata: str | None = None

    def __repr__(self) -> str:
        return f"Document({self.id!r}, {self.origin!r})"


class Outcome(NamedTuple):
    """Tell what became of one document.

    Attributes
    ----------
    kind
        ``"written"`` (it is new), ``"updated"`` (its id was there), ``"refused"`` (it never will
        be taken), or ``"busy"`` (it was not taken now: it is sent again a little later).
    reason
        Why it was refused or not taken, short, without any value of the document; else None.
    """

    kind: OutcomeKind
    reason: str | None = None


class ServerBusy(ConnectionError):
    """The server took nothing of a request and may do so later: 429, 503, no connection.

    A connection raises it from any of its methods, which is called again after a while.

    Parameters
    ----------
    reason
        Such as ``"the server answered 429"``; no value of a document, no credential.
    retry_after_seconds
        How long the server asks to be left alone, None where it does not tell.
    """

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class BatchRefused(Exception):
    """The server refused a whole batch for what may be the fault of one document.

    `SinkConnection.write` raises it; it is called again with halves of the batch, and a document
    that is refused alone is refused. What the server took of the batch may come again.

    Parameters
    ----------
    reason
        As in `Outcome.reason`.
    """


class SinkConnection(ABC):
    """Write documents to one index, collection or table; a context manager.

    Every method may be called again after it raised `ServerBusy`, and every one may raise
    `SinkError`, which ends the run: the server cannot be reached by these credentials, or what
    is there does not fit. No message holds a value of a document or a credential.
    """

    @abstractmethod
    def prepare(self, fields: Sequence[Field]) -> None:
        """Make the index, collection or table for `fields`; called once, on the driver.

        Besides `fields` there are always ``origin`` (a keyword) and ``metadata`` (kept, not
        searched, up to many MB). The schema is explicit: no value ever adds a field. What is
        there already stays as it is if it fits, and gets the fields that it has not.

        Raises
        ------
        SinkError
            A field is there with another type; the message names it.
        """

    @abstractmethod
    def write(self, documents: Sequence[Document]) -> list[Outcome]:
        """Write a batch, on a worker; return one outcome for each document, in their order.

        A document whose id is there replaces the old one. None is made to fail by another. A
        document that comes once more because an answer was lost must not be there twice.
        """

    @abstractmethod
    def finish(self) -> None:
        """Make all that was written visible to searches; called once, on the driver."""

    def close(self) -> None:  # noqa: B027
        """Let go of what the connection holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Sink(ABC):
    """Connect to one kind of server; the client is imported at the top of its module.

    Attributes
    ----------
    options
        The names of the options that `connect` takes, each with one sentence about it.
    """

    options: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def connect(self, target: Target) -> SinkConnection:
        """Return a connection, on the driver or a worker; it retries nothing by itself.

        The names of ``target.options`` are those of `options`. It need not ask the server yet.

        Raises
        ------
        InvalidOptionError
            An option has a value that it cannot have; the message shows its name only.
        """


class SinkSpec:
    """The one hook of a sink."""

    @hookspec
    def dicomframe_register_sink(self) -> Sink:  # type: ignore[empty-body]
        """Return the sink; import its client at the top of the module that does so."""
