"""A proxy for tests between us and an S3 server, which does to requests what networks and servers do.

It takes part in every request: it may answer it itself, lose it or its answer, cut either, or hold it back.
What it does is drawn from a seed, or said by a `watch` that sees each request and its answer go by.
"""

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

ERRORS = {500: ("Internal Server Error", "InternalError"), 503: ("Slow Down", "SlowDown")}
BODY = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{}</Code><Message>of the proxy</Message></Error>"
# How often which fault befalls a request on a bad day: one request in three fails.
FAULTS = {"error": 0.2, "reset": 0.04, "lost": 0.04, "cut": 0.06, "delay": 0.05}
LONGEST_DELAY = 0.3  # seconds
PIECE = 1 << 16


@dataclass
class Request:
    method: str
    path: str
    head: bytes
    body: bytes

    def asks(self, method: str, path: str) -> bool:
        """Tell whether it is of this method, for what a pattern finds."""
        return self.method == method and re.search(path, self.path) is not None


Watch = Callable[[Request], Awaitable[None]]


@dataclass
class FaultProxy:
    """Serves from `start` on; `url` is what clients are given.

    `rates`: how often which fault befalls a request: `error`, `reset` (before the server has it), `lost` (the
    server has done it, and its answer is lost), `cut` (the answer breaks off, or the request does that has a
    body), `delay`. `watch` is awaited when the server has answered, and before the client hears of it.
    """

    port: int
    rates: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    watch: Watch | None = None
    done: Counter[str] = field(default_factory=Counter)
    """How many requests met which fault, by both, such as `cut PUT`."""
    away: bool = False
    """True while nothing gets through."""

    def start(self) -> None:
        self._random = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            server = self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            started.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader, writer):
                if self.away or not await self._serve(request, writer):
                    break
        except (OSError, EOFError):
            pass
        _reset(writer)

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Serve a request, and return whether the connection is good for another one."""
        fault = self._draw()
        if fault:
            self.done[f"{fault} {request.method}"] += 1
        if fault == "delay":
            await asyncio.sleep(self._random.uniform(0, LONGEST_DELAY))
        elif fault == "error":
            status = self._random.choice([500, 503])
            reason, code = ERRORS[status]
            body = b"" if request.method == "HEAD" else BODY.format(code).encode()
            head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            return True
        elif fault == "reset":
            return False
        cut_request = fault == "cut" and len(request.body) > 1
        upstream, out = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            out.write(request.head)
            out.write(request.body[: len(request.body) // 2] if cut_request else request.body)
            await out.drain()
            if cut_request:
                await asyncio.sleep(0.05)  # the server has it before it learns that no more comes
                return False
            head, body = await _read_answer(request, upstream)
        finally:
            _reset(out)
        if self.watch:
            await self.watch(request)
        if fault == "lost":
            return False
        if fault == "cut":
            writer.write(head + body[: len(body) // 2])
            await writer.drain()
            await asyncio.sleep(0.05)  # it is read before the reset
            return False
        writer.write(head + body)
        await writer.drain()
        return True

    def _draw(self) -> str:
        drawn = self._random.random()
        for fault, rate in self.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return ""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a machine does that is gone."""
    with suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, str, dict[str, str]]:
    """Return the first lines of a message as they came, the first of them, and the fields."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return head, first, {name.lower(): value.strip() for name, _, value in fields}


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(fields.get("content-length", 0)))
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if not size:
            return body


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Read a request whole, or return None where the client has no further one."""
    try:
        head, first, fields = await _head(reader)
    except asyncio.IncompleteReadError:
        return None
    if fields.pop("expect", ""):  # the server must not ask for the body once more
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = re.sub(rb"(?i)\r\nexpect:[^\r\n]*", b"", head)
    method, path, _ = first.split(" ")
    return Request(method, path, head, await _body(reader, fields))


async def _read_answer(request: Request, reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    while True:
        head, first, fields = await _head(reader)
        status = int(first.split(" ")[1])
        if status >= 200:
            break
    if request.method == "HEAD" or status in (204, 304):
        return head, b""
    return head, await _body(reader, fields)
