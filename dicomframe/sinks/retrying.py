"""Write batches through a connection, and send again what a busy server did not take."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TypeVar

from dicomframe.errors import DicomFrameError, SinkError
from dicomframe.scan.transfer import MOST_DELAY_SECONDS, RetryBudget, Transfer, is_transient
from dicomframe.sinks.plugin import (
    BatchRefused,
    Document,
    Outcome,
    ServerBusy,
    SinkConnection,
    Target,
)

__all__ = ["ATTEMPTS", "Retrier"]

ATTEMPTS = 10
"""How often one request is sent, or one document that nothing of its batch went before."""

Answer = TypeVar("Answer")


class Retrier:
    """Call the methods of one connection, again where that can help.

    Waits double from 0.1 s to 20 s, are cut at random, and are no shorter than what the server
    asks for, up to 20 s. All retries are drawn from one budget, which each success fills up.

    Parameters
    ----------
    target
        What the connection is to, for messages.
    attempts
        How often one request is sent, `ATTEMPTS` by default.
    """

    def __init__(self, target: Target, attempts: int | None = None) -> None:
        self._target = target
        self._budget = RetryBudget(Transfer(attempts=attempts or ATTEMPTS))

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Return what `function` returns.

        Raises
        ------
        SinkError
            It failed for good; the message holds no text of another library.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = function()
            except (DicomFrameError, BatchRefused):
                raise
            except Exception as error:
                delay = self._delay(error, attempt)
                if delay is None:
                    raise self._failure(error, attempt) from None
            else:
                self._budget.succeeded()
                return answer
            time.sleep(delay)

    def write(self, connection: SinkConnection, documents: Sequence[Document]) -> list[Outcome]:
        """Return the outcomes of `documents`, in their order; none of them is ``"busy"``.

        A document that the server never takes is refused, and its batch goes on.

        Raises
        ------
        SinkError
            The server takes nothing at all any more.
        """
        outcomes: list[Outcome | None] = [None] * len(documents)
        pending = list(range(len(documents)))
        attempt = 0
        while pending:
            attempt += 1
            found = self._write_once(connection, [documents[at] for at in pending])
            busy = []
            for at, outcome in zip(pending, found, strict=True):
                outcomes[at] = outcome
                if outcome.kind == "busy":
                    busy.append(at)
            if len(busy) < len(pending):
                attempt = 0  # there is progress, so this ends
            pending = busy
            if pending:
                reason = next(outcome.reason for outcome in found if outcome.kind == "busy")
                delay = self._budget.delay(ServerBusy(reason or "busy"), max(attempt, 1))
                if delay is None:
                    for at in pending:
                        words = f"{(outcomes[at] or Outcome('busy')).reason or 'busy'}"
                        outcomes[at] = Outcome("refused", f"{words} ({attempt} attempts)")
                    break
                time.sleep(delay)
        return [outcome for outcome in outcomes if outcome is not None]

    def _write_once(
        self, connection: SinkConnection, documents: Sequence[Document]
    ) -> list[Outcome]:
        try:
            outcomes = self.call(lambda: connection.write(documents))
        except BatchRefused as refusal:
            if len(documents) == 1:
                return [Outcome("refused", str(refusal))]
            middle = len(documents) // 2
            return [
                *self._write_once(connection, documents[:middle]),
                *self._write_once(connection, documents[middle:]),
            ]
        if len(outcomes) != len(documents):
            raise SinkError(
                f"sink {self._target.sink!r} gave {len(outcomes)} outcomes for {len(documents)} "
                "documents; report it to the authors of that sink"
            )
        return outcomes

    def _delay(self, error: Exception, attempt: int) -> float | None:
        delay = self._budget.delay(error, attempt)
        wanted = getattr(error, "retry_after_seconds", None) or 0.0
        return None if delay is None else max(delay, min(wanted, MOST_DELAY_SECONDS))

    def _failure(self, error: Exception, attempt: int) -> SinkError:
        """Return what is told; the text of a client's error may hold values or credentials."""
        if is_transient(error):
            words = str(error) if isinstance(error, ServerBusy) else type(error).__name__
            return SinkError(
                f"{self._target!r} takes nothing: {words} ({attempt} attempts); what was written "
                "stays, run it again when the server is well"
            )
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{PurePath(frame.filename).name}:{frame.lineno}"
        return SinkError(
            f"sink {self._target.sink!r} failed with {type(error).__name__} at {place}; its "
            "message is not shown, it could hold a value or a credential"
        )
