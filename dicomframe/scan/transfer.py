"""How remote files are fetched: the options of a transfer and what a failed request costs."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Iterator
from dataclasses import dataclass

MOST_DELAY_SECONDS = 20.0
"""The longest wait before a request is sent again."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hold how one task fetches remote files; the local disk takes no notice of it.

    Attributes
    ----------
    first_bytes
        How much of a file is asked for at first.
    in_flight
        How many files are asked for at once.
    window_bytes
        How many bytes are asked for, or wait for their turn, at once; one file may pass it.
    attempts
        How often one request is sent before its file is ``unreadable``.
    timeout_seconds
        How long one attempt may take; a second more for each MiB.
    """

    first_bytes: int = 128 << 10
    in_flight: int = 64
    window_bytes: int = 64 << 20
    attempts: int = 10
    timeout_seconds: int = 30

    def deadline(self, length: int) -> float:
        """Return how many seconds an attempt at `length` bytes may take."""
        return self.timeout_seconds + length / (1 << 20)


DEFAULT_TRANSFER = Transfer()


class RetryBudget:
    """Decide what is tried again, and when; one for each connection to a store.

    A request is sent `Transfer.attempts` times at most, after waits that double from 0.1 s to
    20 s and are cut at random, so that tasks do not come back together. Retries are also drawn
    from a common budget of 500, to which each success returns one: a store that answers nothing
    any more costs a long job one request per file, not ten.
    """

    __slots__ = ("_left", "_most")

    def __init__(self, transfer: Transfer) -> None:
        self._most = transfer.attempts
        self._left = _BUDGET

    @property
    def is_spent(self) -> bool:
        """Whether nothing is tried again before something succeeds."""
        return self._left <= 0

    def delay(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds to wait after failed attempt `attempt`, None to give up."""
        most = min(self._most, getattr(error, "most_attempts", self._most))
        if attempt >= most or self.is_spent or not is_transient(error):
            return None
        self._left -= 1
        return random.uniform(0, min(MOST_DELAY_SECONDS, 0.1 * 2**attempt))  # noqa: S311

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._left = min(_BUDGET, self._left + 1)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a moment later.

    Timeouts, connections that fail or end early, answers that are not what was asked for, and
    the HTTP statuses 408, 425, 429, 500, 502, 503 and 504. Client libraries are known by the
    names of their errors, so that none need be installed.
    """
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return False
    for link in _causes(error):
        status, code = _http_status(link)
        if status is not None:
            return status in _TRANSIENT_STATUSES or code in _TRANSIENT_CODES
        if isinstance(link, TimeoutError | ConnectionError | asyncio.IncompleteReadError):
            return True
        if isinstance(link, OSError) and link.errno in _TRANSIENT_ERRNOS:
            return True
        if not _TRANSIENT_NAMES.isdisjoint(kind.__name__ for kind in type(link).__mro__):
            return True
    return False


_BUDGET = 500
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset({"RequestTimeout", "SlowDown", "Throttling", "InternalError"})
_TRANSIENT_ERRNOS = frozenset(
    {errno.ECONNRESET, errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EPIPE, errno.EHOSTUNREACH,
     errno.ENETUNREACH, errno.EBUSY, errno.EAGAIN}
)  # fmt: skip
_TRANSIENT_NAMES = frozenset(
    {
        "WrongAnswer",  # this library's
        "HTTPClientError", "IncompleteReadError",  # botocore
        "ClientConnectionError", "ClientPayloadError",  # aiohttp
        "ConnectionError", "ChunkedEncodingError", "Timeout",  # requests
        "IncompleteRead", "ProtocolError",  # http.client, urllib3
        "HdfsException",  # hdfs-native
    }
)  # fmt: skip


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, at most eight deep."""
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _http_status(error: BaseException) -> tuple[int | None, str | None]:
    """Return the status of an HTTP answer that `error` reports, and the store's code for it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status, response.get("Error", {}).get("Code")
    for holder, name in ((response, "status_code"), (error, "status"), (error, "status_code"),
                         (error, "code")):  # fmt: skip
        status = getattr(holder, name, None)
        if isinstance(status, int) and 400 <= status < 600:
            return status, None
    return None, None
