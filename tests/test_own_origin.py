"""A server answers to its own pages and to programs, by one of its names."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from llama_core.own_origin import LOOPBACK, OwnOrigin

LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def _greet(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


ROUTES = [
    Route("/", lambda request: PlainTextResponse("hello"), methods=["GET", "POST"]),
    WebSocketRoute("/socket", _greet),
]
GUARDED = OwnOrigin(Starlette(routes=ROUTES), [*LOOPBACK, "Llama.example.org"])


def status(host: str, method: str = "GET", **headers: str) -> int:
    async def ask() -> int:
        transport = httpx.ASGITransport(app=GUARDED)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4200") as client:
            sent = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
            return (await client.request(method, "/", headers=sent)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4200", "127.0.0.1", "localhost:4200", "LOCALHOST", "[::1]:4200", "[::1]", "localhost:14200",
     "llama.example.org:443"],
)  # fmt: skip
def test_a_server_answers_to_its_names_at_any_port(host: str) -> None:
    assert status(host) == status(host, "POST", origin=f"http://{host}") == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", "127.0.0.1:4200.evil.example",
     "evil.example:127.0.0.1", "::1", "[::1].evil.example", "0.0.0.0:4200", "192.168.1.2", "localhost.",
     "127.0.0.1@evil.example", "127.0.0.1, evil.example", "sub.localhost", ""],
)  # fmt: skip
def test_a_server_refuses_every_other_name(host: str) -> None:
    assert status(host) == status(host, "POST") == status(host, "OPTIONS") == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://127.0.0.1:9"}, {"origin": "http://localhost:4200"}, {"origin": "https://evil.example"},
     {"origin": "null"}, {"origin": ""}, {"origin": "127.0.0.1:4200"}, {"origin": "http://127.0.0.1:4200.evil"},
     {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},
     {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
     {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"}],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_origin_is_refused(method: str, headers: dict[str, str]) -> None:
    assert status("127.0.0.1:4200", method, **headers) == 403


def test_a_link_leads_here_but_a_form_does_not() -> None:
    link = {name.replace("-", "_"): value for name, value in LINK.items()}
    assert status("127.0.0.1:4200", "GET", **link) == 200
    assert status("127.0.0.1:4200", "POST", **link) == 403


def test_a_websocket_is_opened_by_its_own_pages_and_programs_only() -> None:
    client, url = TestClient(GUARDED), "ws://localhost:4200/socket"
    for headers in ({}, {"origin": "http://localhost:4200"}):
        with client.websocket_connect(url, headers=headers) as socket:
            assert socket.receive_text() == "hello"
    for headers in ({"origin": "http://localhost:9"}, {"host": "evil.example"}, LINK):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(url, headers=headers):
            pass
