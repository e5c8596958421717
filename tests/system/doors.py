"""What people put before a server, on loopback: TLS with a CA of their own, a login, a header, a proxy."""

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def make_ca(folder: Path, *names: str) -> tuple[Path, Path]:
    """The files of a CA's certificate, and of a certificate and key for these names, by that CA."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of our own")])

    def sign(name: x509.Name, public: Any, *extensions: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(ca).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        signed = builder.sign(ca_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    usage = x509.KeyUsage(*(name in (0, 5, 6) for name in range(9)))
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    alternatives = x509.SubjectAlternativeName(
        [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    trusted, served = folder / "ca.pem", folder / "server.pem"
    basic = x509.BasicConstraints(ca=True, path_length=None)
    trusted.write_bytes(sign(ca, ca_key.public_key(), basic, usage, identifier))
    leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    served.write_bytes(sign(leaf, key.public_key(), alternatives, issuer) + private)
    return trusted, served


@contextlib.contextmanager
def door(port: int, certificate: Path, login: str, header: str = "") -> Iterator[int]:
    """A reverse proxy with TLS before `port`, which asks for a login and a header. Its own port.

    Each connection is one request, or one websocket.
    """
    authorization = f"authorization: Basic {base64.b64encode(login.encode()).decode()}".lower()
    refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        socket = any(line.lower() == "upgrade: websocket" for line in lines)
        given = {line.lower() for line in lines}
        # Prefect's client logs in within a websocket, once it is open.
        if header not in {*given, ""} or not (socket or authorization in given):
            writer.write(refusal)
            return
        replaced = ("host:",) if socket else ("host:", "connection:")
        lines = [line for line in lines if not line.lower().startswith(replaced)]
        lines[1:1] = [f"host: 127.0.0.1:{port}", *([] if socket else ["connection: close"])]
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        inner_writer.write("\r\n".join(lines).encode())
        await _join(reader, writer, inner_reader, inner_writer)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _serving(serve, ssl=context) as own:
        yield own


@contextlib.contextmanager
def forward_proxy(hosts: set[str]) -> Iterator[tuple[int, list[str]]]:
    """A proxy that connects to the ports of these hosts on loopback; its port, and what it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
        asked.append(target)
        host, _, port = target.rpartition(":")
        if host not in hosts:
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(reader, writer, inner_reader, inner_writer)

    with _serving(serve) as port:
        yield port, asked


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
) -> None:
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


@contextlib.contextmanager
def _serving(handler: Handler, **options: Any) -> Iterator[int]:
    """Serve in a thread of its own, at a free port of loopback, which this yields."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        with contextlib.suppress(OSError):
            writer.close()

    server = do(asyncio.start_server(connected, "127.0.0.1", 0, **options))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
