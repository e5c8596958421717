"""A server on loopback is open to every web page that a person reads: a browser sends what a page asks for.

`OwnOrigin` is an ASGI middleware that stands before a whole server, its websockets included. It lets in what
a browser sends for the server's own pages, and what a program sends. It refuses, with HTTP 403,

- another `Host` than the server's names: a page may let its own name resolve to 127.0.0.1 (DNS rebinding),
  and is then of the server's origin by all that a browser knows;
- another `Origin`, which a browser names with every request by which a page of another origin may change
  something;
- what a browser marks as not of this origin (`Sec-Fetch-Site`), except where a person follows a link.

Prefect has settings for this, which are not enough: CORS keeps a page from reading an answer, but not from
sending the request, and CSRF tokens are handed to whoever asks. MLflow lets in every port of loopback.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
POLICY_VIOLATION = 1008  # a websocket's code; before it is accepted, the server answers with HTTP 403 instead


class OwnOrigin:
    """An ASGI app that passes on to `app` what is meant for it, as this module says, and refuses the rest.

    `names`: the hosts that the server is called by, without a port: one forwarded by ssh is another.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = LOOPBACK):
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None if scope["type"] == "lifespan" else self._fault(scope)
        if fault is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": fault})
        else:
            await refuse(send, 403, fault)

    def _fault(self, scope: Scope) -> str | None:
        """Return what is wrong with a request, or None."""
        sent = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        headers = dict(reversed(sent))
        hosts = [value for name, value in sent if name == "host"]
        if len(hosts) != 1 or _name(hosts[0]) not in self._names:
            return f"Refused: this server is called {', '.join(sorted(self._names))} (see the Host header)."
        for origin in (value for name, value in sent if name == "origin"):
            if origin.partition("://")[2].lower() != hosts[0].lower():
                return "Refused: a page of another origin has asked (see the Origin header)."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_link(
            scope, headers
        ):
            return "Refused: a page of another origin has asked (see the Sec-Fetch-Site header)."
        return None


async def refuse(send: Send, status: int, fault: str) -> None:
    """Answer a request with an HTTP status and one line of plain text."""
    head = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": f"{fault}\n".encode()})


def _name(host: str) -> str:
    """Return the name in a Host header, without its port. That of an IPv6 address keeps its brackets."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and (port.isdigit() or not port) else host.lower()


def _is_link(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Tell whether a person has followed a link: a page of another origin sees nothing of the answer."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
