"""What is sent again, and what is told when that does not help, on a fake connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from dicomframe import SinkError
from dicomframe.sinks import retrying
from dicomframe.sinks.plugin import (
    BatchRefused,
    Document,
    Field,
    Outcome,
    ServerBusy,
    SinkConnection,
    Target,
)
from dicomframe.sinks.retrying import Retrier
from dicomframe.testing.sinks import SECRET

TARGET = Target("fake", False, "localhost", 1, "images", {"password": SECRET})
DOCUMENTS = [Document(f"1.{n}", f"file:///{n}", {"PatientName": SECRET}) for n in range(16)]
Answer = Callable[[Sequence[Document]], list[Outcome]]


class FakeConnection(SinkConnection):
    """Answer each call as it is told, and keep what it was called with."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []

    def prepare(self, fields: Sequence[Field]) -> None: ...

    def finish(self) -> None: ...

    def write(self, documents: Sequence[Document]) -> list[Outcome]:
        self.calls.append([document.id for document in documents])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(documents)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(retrying.time, "sleep", slept.append)
    return slept


def written(documents: Sequence[Document]) -> list[Outcome]:
    return [Outcome("written") for _ in documents]


def busy_but_first(documents: Sequence[Document]) -> list[Outcome]:
    busy = [Outcome("busy", "the server answered 429") for _ in documents[1:]]
    return [Outcome("written"), *busy]


def all_busy(documents: Sequence[Document]) -> list[Outcome]:
    return [Outcome("busy", "the server answered 429") for _ in documents]


@pytest.mark.parametrize(
    "fault", [ServerBusy("the server answered 429"), ConnectionResetError(), TimeoutError()]
)
def test_a_batch_that_a_busy_server_did_not_take_is_sent_again(
    fault: Exception, naps: list[float]
) -> None:
    connection = FakeConnection(fault, fault, written)
    assert Retrier(TARGET).write(connection, DOCUMENTS) == written(DOCUMENTS)
    assert len(connection.calls) == 3
    assert len(naps) == 2
    assert naps[0] <= 0.2
    assert naps[1] <= 0.4


def test_waits_are_as_long_as_the_server_asks_for_within_reason(naps: list[float]) -> None:
    connection = FakeConnection(ServerBusy("429", 3.5), ServerBusy("429", 10_000), written)
    Retrier(TARGET).write(connection, DOCUMENTS)
    assert naps == [3.5, 20.0]


def test_documents_that_were_busy_are_sent_again_without_the_others() -> None:
    connection = FakeConnection(busy_but_first)
    assert Retrier(TARGET, attempts=2).write(connection, DOCUMENTS) == written(DOCUMENTS)
    assert connection.calls == [[d.id for d in DOCUMENTS[n:]] for n in range(16)]


def test_outcomes_keep_the_order_of_the_documents() -> None:
    def even(documents: Sequence[Document]) -> list[Outcome]:
        return [
            Outcome("busy") if int(d.id[2:]) % 2 else Outcome("refused", d.id) for d in documents
        ]

    found = Retrier(TARGET).write(FakeConnection(even, written), DOCUMENTS)
    assert found[::2] == [Outcome("refused", d.id) for d in DOCUMENTS[::2]]
    assert found[1::2] == written(DOCUMENTS[1::2])


def test_documents_that_are_never_taken_are_refused_and_the_run_goes_on() -> None:
    connection = FakeConnection(all_busy)
    found = Retrier(TARGET, attempts=3).write(connection, DOCUMENTS)
    assert found == [Outcome("refused", "the server answered 429 (3 attempts)")] * 16
    assert len(connection.calls) == 3


def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_bad_one_is_alone() -> None:
    def strict(documents: Sequence[Document]) -> list[Outcome]:
        if any(document.id == "1.5" for document in documents):
            raise BatchRefused("mapper_parsing_exception")
        return written(documents)

    found = Retrier(TARGET).write(FakeConnection(strict), DOCUMENTS)
    assert found[5] == Outcome("refused", "mapper_parsing_exception")
    assert [outcome.kind for outcome in found].count("written") == 15


def test_a_server_that_takes_nothing_any_more_ends_the_run() -> None:
    with pytest.raises(SinkError) as caught:
        Retrier(TARGET, attempts=4).write(FakeConnection(ServerBusy("no answer")), DOCUMENTS)
    assert str(caught.value) == (
        "Target('fake+http://localhost:1/images') takes nothing: no answer (4 attempts); what was "
        "written stays, run it again when the server is well"
    )


def test_a_dead_server_costs_a_long_run_less_than_ten_attempts_each() -> None:
    connection = FakeConnection(ServerBusy("no answer"))
    retrier = Retrier(TARGET)
    for _ in range(200):
        with pytest.raises(SinkError):
            retrier.write(connection, DOCUMENTS)
    assert len(connection.calls) == 200 + 500


@pytest.mark.parametrize("fault", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET)])
def test_a_fault_of_a_client_is_told_by_its_place_alone(fault: Exception) -> None:
    connection = FakeConnection(fault)
    with pytest.raises(SinkError, match=r"failed with \w+Error at test_retrying.py:\d+") as caught:
        Retrier(TARGET).write(connection, DOCUMENTS)
    assert len(connection.calls) == 1
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_error_of_the_sink_comes_through_as_it_is() -> None:
    with pytest.raises(SinkError, match="refuses access"):
        Retrier(TARGET).write(FakeConnection(SinkError("refuses access")), DOCUMENTS)


def test_a_sink_that_miscounts_is_told() -> None:
    with pytest.raises(SinkError, match="gave 1 outcomes for 16 documents"):
        Retrier(TARGET).write(FakeConnection(lambda _: [Outcome("written")]), DOCUMENTS)
