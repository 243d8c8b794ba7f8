"""What a fault proxy is told to do, what it counts, and what it knows of requests."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

ANSWERED = ("slow_down", "too_many", "reset", "cut", "stall")
"""Faults of any request: 503, 429, connection reset before the answer, connection closed in the
middle of a body, no answer for a while."""

DISTORTED = ("short", "wrong_range", "unmarked_range", "changed")
"""Faults of the answer to a read of an object: half of the bytes and a header that says so; as
many bytes as asked for that begin elsewhere, with and without a Content-Range that says so (S3
only); another ETag, another size and other bytes than were listed (412 to If-Match)."""

KINDS = (*ANSWERED, *DISTORTED)
"""Every fault."""


@dataclass(frozen=True)
class Rule:
    """A fault of every request for a key that matches, `times` times each, or always.

    Attributes
    ----------
    fault
        One of `KINDS`.
    key
        A regular expression that must match the whole key: for S3 without the bucket, for
        WebHDFS the absolute path.
    times
        How often for each different request (method, URL, range); None for always.
    requests
        The kinds of requests that are meant, of ``get``, ``head``, ``list``, ``post`` and ``put``.
    """

    fault: str
    key: str = ".*"
    times: int | None = 1
    requests: tuple[str, ...] = ("get",)


@dataclass(frozen=True)
class Faults:
    """What a proxy does to the requests that pass; nothing by default.

    Attributes
    ----------
    latency_seconds
        How long each request waits, whatever else is under way.
    probability
        For each fault how likely it is. Drawn from `seed` and the request alone, so the order of
        requests does not matter; the same request sent again after a fault always succeeds.
    requests
        The kinds of requests that `probability` is for, of ``get``, ``head``, ``list``,
        ``post`` and ``put``.
    rules
        Faults of certain keys; the first that applies goes before `probability`.
    stall_seconds
        How long a stalled request gets no answer; then the connection is reset.
    """

    latency_seconds: float = 0
    probability: Mapping[str, float] = field(default_factory=dict)
    requests: tuple[str, ...] = ("get", "head", "list")
    rules: tuple[Rule, ...] = ()
    stall_seconds: float = 30
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no fault."""
        unknown = {*self.probability, *(rule.fault for rule in self.rules)} - set(KINDS)
        if unknown:
            raise ValueError(f"no faults: {sorted(unknown)}, valid: {KINDS}")


@dataclass
class Counts:
    """What passed a proxy since it was reset.

    The kinds of requests are ``get`` (bytes of an object), ``head``, ``list``, ``post``, ``put``,
    ``redirect`` (of WebHDFS, to the node that has the bytes) and ``other``. Bytes are those of
    the bodies that were sent to the client.
    """

    requests: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    requests_by_key: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_by_key: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0


@dataclass(frozen=True)
class Request:
    """What a request asks for."""

    method: str
    target: str
    range: str = ""

    @property
    def is_webhdfs(self) -> bool:
        """Whether it is for HDFS; else it is for S3."""
        return "/webhdfs/v1" in self.target

    def classify(self) -> tuple[str, str]:
        """Return the kind and the key."""
        url = urlsplit(self.target)
        if self.is_webhdfs:
            path = unquote(url.path.partition("/webhdfs/v1")[2]) or "/"
            operation = parse_qs(url.query).get("op", [""])[0].upper()
            kind = _WEBHDFS_KINDS.get(operation, "other")
            is_redirected = url.path.startswith("/@")
            return ("get" if kind == "redirect" and is_redirected else kind), path
        _, _, key = url.path.removeprefix("/").partition("/")
        if self.method == "GET":
            is_list = not key or "list-type=" in url.query
            return ("list" if is_list else "get"), unquote(key)
        return {"HEAD": "head", "POST": "post", "PUT": "put"}.get(self.method, "other"), unquote(
            key
        )


class Dice:
    """Decide which request meets which fault."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seen: Counter[Request] = Counter()
        self._spared: set[Request] = set()
        self._applied: Counter[tuple[int, Request]] = Counter()

    def throw(self, request: Request, kind: str, key: str) -> str | None:
        """Return the fault that `request` meets this time."""
        for number, rule in enumerate(self._faults.rules):
            if kind not in rule.requests or not _fits(rule.fault, request, kind):
                continue
            if re.fullmatch(rule.key, key, re.DOTALL) is None:
                continue
            self._applied[number, request] += 1
            if rule.times is None or self._applied[number, request] <= rule.times:
                return rule.fault
        if not self._faults.probability or kind not in self._faults.requests:
            return None
        self._seen[request] += 1
        if request in self._spared:
            self._spared.discard(request)
            return None
        name = f"{self._faults.seed} {self._seen[request]} {request}"
        drawn = random.Random(name).random()
        for fault, probability in self._faults.probability.items():
            drawn -= probability
            if drawn < 0:
                if not _fits(fault, request, kind):
                    return None
                self._spared.add(request)
                return fault
        return None


def _fits(fault: str, request: Request, kind: str) -> bool:
    if kind not in ("get", "head", "list", "post", "put"):
        return False
    if fault in ANSWERED:
        return fault != "cut" or kind != "head"
    if fault in ("wrong_range", "unmarked_range"):
        return kind == "get" and bool(request.range)
    if request.is_webhdfs and fault == "changed":
        return False
    return kind == "get" or (fault == "changed" and kind == "head")


_WEBHDFS_KINDS = {
    "OPEN": "redirect",
    "LISTSTATUS": "list",
    "LISTSTATUS_BATCH": "list",
    "GETFILESTATUS": "head",
}
