"""Stand between a client and a store: count the requests, delay them, break the answers."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from servers.faults import Counts, Dice, Faults, Request

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """A proxy in a process of its own, and the way to tell it what to do.

    Attributes
    ----------
    endpoint
        The URL that clients are given in place of the store's.
    """

    def __init__(self, endpoint: str, connection: Connection) -> None:
        self.endpoint = endpoint
        self._connection = connection
        self._faults = Faults()

    @property
    def faults(self) -> Faults:
        """What is done to the requests from now on."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._ask("faults", faults)
        self._faults = faults

    @property
    def counts(self) -> Counts:
        """What has passed since the start or the last reset."""
        counts: Counts = self._ask("counts", None)
        return counts

    def reset(self) -> None:
        """Count from zero and do nothing to the requests."""
        self.faults = Faults()
        self._ask("reset", None)

    def _ask(self, what: str, value: Any) -> Any:
        self._connection.send((what, value))
        return self._connection.recv()


@contextmanager
def start_proxy(target: str) -> Iterator[Proxy]:
    """Run a proxy before a store on loopback until the context ends.

    Parameters
    ----------
    target
        The URL of the store, such as ``http://127.0.0.1:9000``; what clients send is passed on
        unchanged, the header Host included, so that signatures stay good.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_run, args=(target, there), daemon=True)
    child.start()
    there.close()
    try:
        if not here.poll(120):
            raise RuntimeError("the proxy does not start")
        yield Proxy(f"http://127.0.0.1:{here.recv()}", here)
    finally:
        here.close()
        child.join(5)
        child.kill()
        child.join()


def _run(target: str, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_Server(urlsplit(target).netloc, connection).serve())


class _Server:
    def __init__(self, target: str, connection: Connection) -> None:
        self._target = target
        self._connection = connection
        self._faults = Faults()
        self._dice = Dice(self._faults)
        self._counts = Counts()
        self._at_once = 0
        self._idle: dict[str, list[Streams]] = {}

    async def serve(self) -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=_BUFFER_BYTES, backlog=1000
        )
        self._connection.send(server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._obey, over)
        await over.wait()

    def _obey(self, over: asyncio.Event) -> None:
        try:
            what, value = self._connection.recv()
        except (EOFError, OSError):  # the parent is gone
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            over.set()
            return
        if what == "faults":
            self._faults, self._dice = value, Dice(value)
        elif what == "reset":
            self._counts = Counts()
        self._connection.send(self._counts if what == "counts" else None)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _send_at_once(writer)
        # Cancelled when the proxy ends.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow on the connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _parse(head)
        if "expect" in headers:
            head = _set_header(head, "Expect", None)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _read_body(reader, headers)
        if "transfer-encoding" in headers:
            head = _set_header(head, "Transfer-Encoding", None)
            head = _set_header(head, "Content-Length", str(len(body)))
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        request = Request(method, target, headers.get("range", ""))
        kind, key = request.classify()
        counts = self._counts
        counts.requests[kind] += 1
        counts.requests_by_key[kind, key] += 1
        self._at_once += 1
        counts.most_at_once = max(counts.most_at_once, self._at_once)
        try:
            fault = self._dice.throw(request, kind, key)
            if fault:
                counts.faults[fault] += 1
            if self._faults.latency_seconds:
                await asyncio.sleep(self._faults.latency_seconds)
            if fault == "stall":
                await asyncio.sleep(self._faults.stall_seconds)
            if fault in ("stall", "reset"):
                _reset(writer)
                return False
            if fault in _REFUSALS:
                answer = _refuse(*_REFUSALS[fault], method)
            elif fault == "changed" and "if-match" in headers:
                answer = _refuse("412 Precondition Failed", "PreconditionFailed", method)
            else:
                answer = await self._forward(request, head, body)
            if fault in _DISTORTIONS:
                answer = _DISTORTIONS[fault](*answer)
            answer_head, answer_body = answer
            if fault == "cut":
                answer_body = answer_body[: len(answer_body) // 2]
            counts.bytes[kind] += len(answer_body)
            counts.bytes_by_key[kind, key] += len(answer_body)
            writer.write(answer_head)
            writer.write(answer_body)
            await writer.drain()
        finally:
            self._at_once -= 1
        return fault != "cut" and headers.get("connection", "").lower() != "close"

    async def _forward(self, request: Request, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Return head and body of the store's answer; the body is never chunked."""
        address = self._target
        if request.target.startswith("/@"):  # a redirect of WebHDFS that came this way
            address, _, path = request.target[2:].partition("/")
            head = head.replace(request.target.encode("latin-1"), f"/{path}".encode("latin-1"), 1)
        idle = self._idle.setdefault(address, [])
        while True:
            is_used = bool(idle)
            reader, writer = idle.pop() if idle else await _connect(address)
            try:
                writer.write(head + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                break
            except (OSError, asyncio.IncompleteReadError):
                writer.close()
                if not is_used:  # the store may close what was idle
                    raise
        headers = _parse(answer)
        status = int(answer[9:12])
        has_body = request.method != "HEAD" and status not in (204, 304)
        content = await _read_body(reader, headers, to_end=True) if has_body else b""
        ends = "content-length" in headers or "transfer-encoding" in headers or not has_body
        if ends and headers.get("connection", "").lower() != "close":
            idle.append((reader, writer))
        else:
            writer.close()
        if has_body and "content-length" not in headers:
            answer = _set_header(answer, "Transfer-Encoding", None)
            answer = _set_header(answer, "Content-Length", str(len(content)))
        if headers.get("connection", "").lower() == "close":
            answer = _set_header(answer, "Connection", "keep-alive")
        location = headers.get("location", "")
        if request.is_webhdfs and location.startswith("http://"):
            host = _parse(head).get("host", "")
            answer = _set_header(answer, "Location", f"http://{host}/@{location[7:]}")
        return answer, content


async def _connect(address: str) -> Streams:
    host, _, port = address.rpartition(":")
    if host != "127.0.0.1":
        raise OSError(f"{address!r} is not on loopback")
    streams = await asyncio.open_connection(host, int(port), limit=_BUFFER_BYTES)
    _send_at_once(streams[1])
    return streams


async def _read_body(
    reader: asyncio.StreamReader, headers: dict[str, str], *, to_end: bool = False
) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        pieces = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b"".join(pieces)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read() if to_end else b""


def _parse(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}


def _set_header(head: bytes, name: str, value: str | None) -> bytes:
    lines = [
        line
        for line in head.split(b"\r\n")[:-2]
        if not line.lower().startswith(name.lower().encode() + b":")
    ]
    if value is not None:
        lines.append(f"{name}: {value}".encode("latin-1"))
    return b"\r\n".join([*lines, b"", b""])


def _refuse(status: str, code: str, method: str) -> tuple[bytes, bytes]:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    body = b"" if method == "HEAD" else text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode(), body


def _shorten(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    half = body[: len(body) // 2]
    place = _CONTENT_RANGE.fullmatch(_parse(head).get("content-range", ""))
    if place:
        start, _, size = place.groups()
        last = int(start) + len(half) - 1
        head = _set_header(head, "Content-Range", f"bytes {start}-{last}/{size}")
    return _set_header(head, "Content-Length", str(len(half))), half


def _shift(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Begin later, and fill up with what was left out."""
    steps = len(body) // 2
    place = _CONTENT_RANGE.fullmatch(_parse(head).get("content-range", ""))
    if place:
        start, last, size = (int(number) for number in place.groups())
        told = f"bytes {start + steps}-{last + steps}/{max(size, last + steps + 1)}"
        head = _set_header(head, "Content-Range", told)
    return head, body[steps:] + body[:steps]


def _shift_silently(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    head, body = _shift(head, body)
    return _set_header(head, "Content-Range", None), body


def _change(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    headers = _parse(head)
    place = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if place:
        start, last, size = place.groups()
        head = _set_header(head, "Content-Range", f"bytes {start}-{last}/{int(size) + 1}")
    elif not body and "content-length" in headers:  # of a HEAD
        head = _set_header(head, "Content-Length", str(int(headers["content-length"]) + 1))
    if "etag" in headers:
        head = _set_header(head, "ETag", f'"{headers["etag"].strip(chr(34))[::-1]}"')
    return head, body[::-1]


def _send_at_once(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


_BUFFER_BYTES = 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_REFUSALS = {
    "slow_down": ("503 Slow Down", "SlowDown"),
    "too_many": ("429 Too Many Requests", "TooManyRequests"),
}
_DISTORTIONS = {
    "short": _shorten,
    "wrong_range": _shift,
    "unmarked_range": _shift_silently,
    "changed": _change,
}
