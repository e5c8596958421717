"""The server of the page: on loopback unless asked otherwise, for its own pages and programs only.

Gradio can do far more than this page needs: take files, fetch what lies elsewhere, show its own pages. Only
the paths that the page uses are let through, and no request may be large. The browser is told to load nothing
from elsewhere, whatever a text says.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import uvicorn
from fastapi import FastAPI

from llama_core.errors import InputError
from llama_core.own_origin import ASGIApp, OwnOrigin, Receive, Scope, Send, refuse

MOST_BYTES = 8 << 20  # of a request: the longest text, each character of it escaped as JSON
TOO_LARGE = 413
GRACE = 2  # seconds for open connections when the server ends
API = "/gradio_api"
PATHS = {"/", "/config", "/config/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
PATHS |= {
    f"{API}/{name}" for name in ("queue/join", "queue/data", "cancel", "reset", "info", "startup-events")
}
FOLDERS = ("/assets/", "/static/", f"{API}/heartbeat/", f"{API}/call/", f"{API}/run/")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),  # a link holds what a person has written
    (b"x-content-type-options", b"nosniff"),
]


class TooLarge(Exception):
    """A request has more bytes than it may."""


class OnlyThePage:
    """An ASGI app that passes on what the page asks for, and says in each answer what a browser may load."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if scope["type"] != "http" or not (path in PATHS or path.startswith(FOLDERS)):
            await refuse(send, 404, "The page has nothing here.")
            return
        size = 0

        async def counted() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                raise TooLarge(f"a request may have {MOST_BYTES:,} bytes")
            return message

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                status = TOO_LARGE if size > MOST_BYTES else message["status"]
                message = message | {"status": status, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self._app(scope, counted, told)


def guarded(blocks: Any, look: dict[str, Any], names: Iterable[str]) -> ASGIApp:
    """Return the app of a Gradio page, behind its guards. `names`: the hosts that it is called by."""
    import gradio as gr

    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=1,
        **look,
    )
    return OwnOrigin(OnlyThePage(app), names)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises InputError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            f"the page cannot be at {host}, port {port} ({error}): choose another --port"
        ) from None
    return listener


def is_loopback(host: str) -> bool:
    """Tell whether nobody else can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until a signal ends it. Nothing is logged: a path holds what a person has written."""
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=GRACE)
    uvicorn.Server(config).run(sockets=[listener])
