"""http:// and https:// as this project has fsspec open them: what a server answers keeps its kind.

fsspec takes nearly every answer, and a server that cannot be reached, for "there is no file". Here only 404
and 410 say that. What may pass is asked again by the policy of `file_system`; everything else is a StoreError
with the server's answer in it, which nothing in fsspec mistakes for a missing file.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from fsspec.asyn import sync, sync_wrapper
from fsspec.implementations.http import HTTPFile, HTTPFileSystem, HTTPStreamFile
from yarl import URL

from llama_core import file_system as policy
from llama_core.errors import StoreError

T = TypeVar("T")

_sizes: ContextVar[list[int]] = ContextVar("_sizes")  # of a file, by the answers to one request for a range
_MISSING = (404, 410)
_FILE = (200, 206)
_ELSEWHERE = (301, 302, 303, 307, 308)
# Files that are read packed. Some servers call their compression one of the answer (Content-Encoding: gzip).
_PACKED = (".gz", ".tgz", ".zst")
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_PAST_END = 416  # answers a range behind the end of the file, which fsspec takes for what it is


class WebFileSystem(HTTPFileSystem):
    """fsspec's file system of a web server, with the errors and the patience of this project."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"get_client": _session} | options)

    async def _info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        try:
            return await super()._info(url, **kwargs)
        except FileNotFoundError as error:  # fsspec's word for every failure
            cause = error.__cause__
            if isinstance(cause, StoreError):
                raise cause from cause.__cause__
            if cause is None or _status(cause) in _MISSING:
                raise
            raise StoreError(f"cannot read {_plain(url)}: {_said(cause)}") from cause

    async def _exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        try:
            return await super()._exists(path, strict=True, **kwargs)
        except aiohttp.ClientError as error:
            raise StoreError(f"cannot read {_plain(path)}: {_said(error)}") from error

    async def _ls_real(self, url: str, detail: bool = True, **kwargs: Any) -> Any:
        return await _persistently(url, lambda: HTTPFileSystem._ls_real(self, url, detail, **kwargs))

    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        return await _persistently(url, lambda: HTTPFileSystem._cat_file(self, url, start, end, **kwargs))

    def _raise_not_found_for_status(self, response: aiohttp.ClientResponse, url: str) -> None:
        if response.status in _MISSING:
            raise FileNotFoundError(url)
        response.raise_for_status()

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Do what fsspec does, with our own files."""
        if mode != "rb":
            raise NotImplementedError("a web server's files are only read")
        block_size = self.block_size if block_size is None else block_size
        options = self.kwargs | {"asynchronous": self.asynchronous} | kwargs
        if URL(path).path.lower().endswith(_PACKED):
            options["auto_decompress"] = False
        info = {"size": size} if size else self.info(path, **kwargs)
        session = sync(self.loop, self.set_session)
        if not (block_size and info["size"] and info.get("partial", True)):
            return _Stream(self, path, mode=mode, loop=self.loop, session=session, **options)
        return _Ranged(
            self,
            path,
            session=session,
            block_size=block_size,
            mode=mode,
            size=info["size"],
            cache_type=cache_type or self.cache_type,
            cache_options=cache_options or self.cache_options,
            loop=self.loop,
            **options,
        )


class EncryptedWebFileSystem(WebFileSystem):
    """The same of a web server that is asked over https alone, wherever it redirects; over http only on this
    machine.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"get_client": _encrypted_session} | options)


class _Ranged(HTTPFile):
    """A file that is read in ranges, or whole; an answer that breaks off is asked for again."""

    async def async_fetch_all(self) -> None:
        await _persistently(self.url, lambda: HTTPFile.async_fetch_all(self))

    async def async_fetch_range(self, start: int, end: int) -> bytes:
        sizes: list[int] = []
        token = _sizes.set(sizes)
        try:
            data = await _persistently(self.url, lambda: HTTPFile.async_fetch_range(self, start, end))
        finally:
            _sizes.reset(token)
        if sizes and sizes[-1] != self.size:  # what lies beyond the size that came first is never asked for
            said = f"its server gives it {self.size:,} bytes, and then {sizes[-1]:,}"
            raise StoreError(f"cannot read {_plain(self.url)}: {said}")
        return data

    _fetch_all = sync_wrapper(async_fetch_all)
    _fetch_range = sync_wrapper(async_fetch_range)


class _Stream(HTTPStreamFile):
    """A file that is read in one answer, which is asked for again where it breaks off."""

    async def _read(self, num: int = -1) -> bytes:
        is_broken = False

        async def more() -> bytes:
            nonlocal is_broken
            if is_broken:
                self.r = await self._again()
            is_broken = True
            return await self.r.content.read(num)

        out = await _persistently(self.url, more)
        self.loc += len(out)
        return out

    read = sync_wrapper(_read)

    async def _again(self) -> aiohttp.ClientResponse:
        """Ask for what is left of the file; where the server begins at its start, pass over what was read."""
        self.r.close()
        options = dict(self.kwargs)
        options["headers"] = dict(options.get("headers") or {}) | {"Range": f"bytes={self.loc}-"}
        response = await self.session.get(self.fs.encode_url(self.url), **options)
        self.fs._raise_not_found_for_status(response, self.url)
        is_rest = response.headers.get("Content-Range", "").startswith(f"bytes {self.loc}-")
        left = 0 if response.status == 206 and is_rest else self.loc
        while left:
            piece = await response.content.read(min(left, 1 << 20))
            if not piece:
                raise StoreError(f"cannot read {_plain(self.url)}: it has become shorter meanwhile")
            left -= len(piece)
        return response


async def _session(**options: Any) -> aiohttp.ClientSession:
    """Return the session in which a file system makes its requests."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=policy.CONNECT_SECONDS, sock_read=policy.READ_SECONDS
    )
    ours: dict[str, Any] = {"timeout": timeout, "middlewares": (_patient,)}
    return aiohttp.ClientSession(**ours | options)


async def _encrypted_session(**options: Any) -> aiohttp.ClientSession:
    return await _session(middlewares=(_encrypted, _patient), **options)


async def _encrypted(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request if nobody on the way can read or change it. Raises StoreError."""
    if request.url.scheme != "https" and request.url.host not in _THIS_MACHINE:
        where = _plain(str(request.url))
        raise StoreError(f"cannot read {where}: only https is asked, as others may change what http brings")
    return await send(request)


async def _patient(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request until it is answered. Raises StoreError where it is refused, or nothing comes of it."""
    if request.method not in ("GET", "HEAD"):
        return await send(request)
    wanted = request.headers.get("Range", "-")

    async def ask() -> aiohttp.ClientResponse:
        response = await send(request)
        if response.status not in (*_MISSING, _PAST_END):
            _check_answer(response)
            _check_range(response, wanted)
        _take_size(response)
        if response.status == 206 and not wanted.endswith("-"):
            await response.read()  # its reader holds it in memory anyway: whole, or it is asked for again
        return response

    # fsspec asks with GET after a HEAD to which nothing has come.
    share = 0.5 if request.method == "HEAD" else 1.0
    return await _persistently(str(request.url), ask, share)


async def _persistently(url: str, ask: Callable[[], Awaitable[T]], share: float = 1.0) -> T:
    """Ask, and ask again while the answer may be another one the next time. Raises StoreError."""
    tries = policy.Tries(share)
    while True:
        try:
            return await ask()
        except (aiohttp.ClientError, TimeoutError) as error:
            if not _may_pass(error):
                raise StoreError(f"cannot read {_plain(url)}: {_said(error)}") from error
            wait = tries.wait(_retry_after(error))
            if wait is None:
                raise StoreError(f"cannot read {_plain(url)}: {_said(error)} ({tries})") from error
        await asyncio.sleep(wait)


def _check_answer(response: aiohttp.ClientResponse) -> None:
    """Raise ClientResponseError unless an answer is a file or says where it is.

    Others than errors, such as 204, come without a file, and would pass for an empty one.
    """
    response.raise_for_status()
    if response.status in _FILE or (response.status in _ELSEWHERE and response.headers.get("Location")):
        return
    raise aiohttp.ClientResponseError(
        response.request_info,
        response.history,
        status=response.status,
        message=response.reason or "",
        headers=response.headers,
    )


def _check_range(response: aiohttp.ClientResponse, wanted: str) -> None:
    """Raise StoreError for an answer that says itself that it is another part of the file than was asked for.

    `wanted`: the request's header, as in bytes=100-199.
    """
    first = wanted.removeprefix("bytes=").partition("-")[0]
    start = HTTPFile._parse_content_range(None, response.headers)[0]
    if response.status == 206 and first and start is not None and start != int(first):
        said = (
            f"its server is asked for the part from byte {int(first):,} on, and gives that from {start:,} on"
        )
        raise StoreError(f"cannot read {_plain(str(response.url))}: {said}")


def _take_size(response: aiohttp.ClientResponse) -> None:
    """Take note of the size that an answer states of the whole file."""
    size = HTTPFile._parse_content_range(None, response.headers)[2]
    if response.status == 200 and "Content-Encoding" not in response.headers:
        size = response.content_length
    if size is not None:
        _sizes.get([]).append(size)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, aiohttp.ClientResponseError):
        return policy.may_pass(error.status)
    passing = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
    return isinstance(error, passing) and not isinstance(error, aiohttp.ClientSSLError)


def _status(error: BaseException) -> int:
    return error.status if isinstance(error, aiohttp.ClientResponseError) else 0


def _retry_after(error: Exception) -> float:
    """Return the seconds that a server asks to be left alone, or 0."""
    headers = getattr(error, "headers", None) or {}
    stated = headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdecimal():
        return float(stated[:9])
    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _said(error: BaseException) -> str:
    """Return what a server has answered, or why there is no answer."""
    if isinstance(error, aiohttp.TooManyRedirects):
        return "the server redirects too often"
    if isinstance(error, aiohttp.ClientResponseError):
        message = " ".join(error.message.split())[:200]  # of an answer that is no HTTP: several lines
        answer = f"the server answers {error.status} {message}".rstrip()
        if error.status in (401, 403, 407):
            return f"access is denied, {answer}: check the URL, and what the server wants to know of you"
        return answer
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return "the server does not answer in time"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the server's answer breaks off"
    return f"{type(error).__name__} {error}".strip()


def _plain(url: str) -> str:
    """Return a URL as it may be shown: a query may be a signature."""
    try:
        found = URL(url, encoded=True)
        return str(found.with_query(None).with_user(None)) + ("?..." if found.query_string else "")
    except ValueError:
        return url.partition("?")[0]
