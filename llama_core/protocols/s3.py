"""s3:// as this project has s3fs open it: which requests are made again, when, and with which credentials.

A request that fails is made again here, and neither by botocore, nor by the store or its callers. s3fs has
one function for that, without jitter in its waits, which is replaced. Around a whole read s3fs calls it once
more: what a request was given up for is not asked for again there, as the tries of the two would multiply.

botocore reads the credentials of a file or a profile once, and keeps them. Here they are read again when the
server refuses them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiobotocore.session
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem, core
from s3fs.errors import translate_boto_error

from llama_core import file_system as policy

log = logging.getLogger(__name__)
# It tells each process, and at each look, where credentials were found.
logging.getLogger("aiobotocore.credentials").setLevel(logging.WARNING)
# Of the answers 4xx, those to a request that came broken or at a wrong moment.
_PASSING = (
    "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "OperationAborted", "RequestTimeout",
    "XAmzContentSHA256Mismatch",
)  # fmt: skip
# The last one is an answer to HEAD, which comes without a word.
_REFUSED = (
    "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired",
    "403",
)  # fmt: skip
_NEVER_CHANGING = ("env", "explicit", None)  # kinds of credentials that a process has for all its life


class S3Files(S3FileSystem):
    """s3fs's file system with the patience of this project, whose credentials may change.

    Those of a file or a profile that the server has accepted before, and now refuses, are waited for: who
    renews them may take a while.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.retries = policy.S3_RETRIES
        self._accepted = False
        self._renewing = asyncio.Lock()

    async def _call_s3(self, method: str, *more: Any, **kwargs: Any) -> Any:
        tries = policy.Tries(most=self.retries, seconds=policy.S3_PATIENCE)
        while True:
            client = await self.set_session()
            try:
                answer = await super()._call_s3(method, *more, **kwargs)
            except OSError as error:
                if not _is_refused(error) or self.anon or self.key:
                    raise
                renewed, wait = await self._renew(client), tries.wait()
                if wait is None or not (renewed or await self._may_change()):
                    raise
                await asyncio.sleep(0 if renewed else wait)
            else:
                self._accepted = True
                return answer

    call_s3 = sync_wrapper(_call_s3)

    async def _renew(self, client: Any) -> bool:
        """Tell whether there are other credentials now than those of `client`, and take them if so."""
        async with self._renewing:
            if self._s3 is not client:
                return True  # another request has
            new = aiobotocore.session.AioSession(**self.kwargs)
            if await _keys(new) in (None, await _keys(self.session)):
                return False
            await self.set_session(refresh=True)
        log.warning("the credentials of the store have changed: the new ones are used from now on")
        return True

    async def _may_change(self) -> bool:
        found = await self.session.get_credentials()
        return self._accepted and getattr(found, "method", None) not in _NEVER_CHANGING


async def _keys(session: Any) -> tuple[str, ...] | None:
    """Return the credentials that a session finds, or None where it finds none, or a file half written."""
    try:
        found = await session.get_credentials()
        return None if found is None else tuple(await found.get_frozen_credentials())
    except BotoCoreError:
        return None


def _is_refused(error: OSError) -> bool:
    """Tell whether the server has refused the credentials of a request."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"].get("Code") in _REFUSED


async def _persistently(
    func: Callable[..., Awaitable[Any]],
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    retries: int,
) -> Any:
    """Do what s3fs's function does in whose place this one is, by the policy of `file_system`."""
    tries = policy.Tries(most=retries, seconds=policy.S3_PATIENCE)
    while True:
        try:
            return await func(*args, **(kwargs or {}))
        except Exception as error:
            wait = tries.wait() if _may_pass(error) else None
            if wait is None:
                error.given_up = True  # type: ignore[attr-defined]
                raise translate_boto_error(error)  # noqa: B904  (s3fs sets the cause)
        await asyncio.sleep(wait)


core._error_wrapper = _persistently


def _may_pass(error: Exception) -> bool:
    """Tell whether what failed is worth another try."""
    if getattr(error, "given_up", False):
        return False
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return policy.may_pass(status) or error.response["Error"].get("Code") in _PASSING
    return isinstance(error, (ConnectionError, *core.S3_RETRYABLE_ERRORS))
