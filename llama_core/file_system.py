"""fsspec's file systems as this project opens them, and what their errors mean for a user."""

import errno
import os
import random
import stat
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from llama_core.errors import StoreError

# The policy for requests to S3 and to web servers. gs, abfs and hf keep that of their own libraries.
RETRIES = 12  # tries of a request, with growing waits
PATIENCE = 60.0  # seconds after which a web server is not asked again, however few the tries were
# A training waits for its store: 80 to 160 seconds for one that is away, and longer for one that hangs.
S3_RETRIES, S3_PATIENCE = 20, 300.0
LONGEST_WAIT = 15.0  # seconds between two tries, unless the server names a time
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0  # without a connection, and without a byte, until a try has failed
LOCKED_SECONDS = 660.0  # until Ceph unlocks an upload (rgw_mp_lock_max_time), and some
_NEVER_PASSING = (501, 505)  # of the answers 5xx: the server cannot do it at all


def file_system(url: str, **storage_options: Any) -> fsspec.AbstractFileSystem:
    """Return the file system that a URL names. Raises StoreError where its package is missing.

    `storage_options` are fsspec's, and go before our own.
    """
    protocol = urlsplit(url).scheme
    options: dict[str, Any] = {}
    if protocol == "s3":
        options = {
            "use_listings_cache": False,
            "default_block_size": 16 << 20,
            "config_kwargs": {
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"max_attempts": 0},
            },
        }
        if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
            options["endpoint_url"] = endpoint
    try:
        fs, _ = fsspec.core.url_to_fs(url, **(options | storage_options))
    except Exception as error:
        raise StoreError(f"cannot open the store {url}: {_missing(error) or brief(error)}") from error
    return fs


def _missing(error: Exception) -> str:
    """Return what to install where fsspec lacks the package of a protocol, else an empty string."""
    cause = error.__cause__ or error
    if not isinstance(error, ImportError) or not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return ""
    package = cause.name.partition(".")[0]
    to_install = "'llama-pretrain[corpus]'" if package == "huggingface_hub" else package
    return f"it needs {package}, which is not installed: pip install {to_install}"


class LocalFiles(LocalFileSystem):
    """fsspec's file system of this machine, which reads files and nothing else: opening a FIFO may hang."""

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if "r" in mode:
            check_regular(self._strip_protocol(path))
        return super()._open(path, mode, **kwargs)


def check_regular(path: str | os.PathLike[str]) -> None:
    """Check that a path of this machine is that of a file, links followed. Raises OSError."""
    mode = os.stat(path).st_mode
    if kind := _UNUSUAL.get(stat.S_IFMT(mode)):
        raise OSError(f"{os.fspath(path)} is {kind}, and only files are read")


_UNUSUAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# fsspec takes these for its own wherever a URL is opened, behind `simplecache::` too; the second is imported
# when it is needed.
for _protocol in ("file", "local"):
    fsspec.register_implementation(_protocol, LocalFiles, clobber=True)
for _protocol in ("http", "https"):
    fsspec.register_implementation(_protocol, "llama_core.protocols.web.WebFileSystem", clobber=True)
for _protocol in ("s3", "s3a"):
    fsspec.register_implementation(_protocol, "llama_core.protocols.s3.S3Files", clobber=True)


def back_off(failures: int, first: float, longest: float, factor: float = 2.0) -> float:
    """Return the seconds to wait after so many failures in a row: more each time, with jitter.

    `first`: after one failure, at most; `factor`: how much longer each further wait is.
    """
    return min(first * factor ** (failures - 1), longest) * random.uniform(0.5, 1)


class Tries:
    """The tries of one request that fails: how long to wait before the next one, by the policy above."""

    def __init__(self, share: float = 1.0, most: int | None = None, seconds: float | None = None):
        """`share`: the part of the policy's tries and seconds that this request may take.

        `most`, `seconds`: other ones than those for web servers.
        """
        self._most = max(1, round((RETRIES if most is None else most) * share))
        self._seconds = (PATIENCE if seconds is None else seconds) * share
        self._begun, self._made = time.monotonic(), 0

    def wait(self, asked: float = 0.0) -> float | None:
        """Return the seconds to wait after a try that failed, or None where it was the last one.

        `asked`: the seconds that the server wants to be left alone, which count as far as the policy allows.
        """
        self._made += 1
        left = self._seconds - (time.monotonic() - self._begun)
        if self._made >= self._most or left <= 0:
            return None
        ours = back_off(self._made, 0.1, LONGEST_WAIT, 1.7)
        return min(max(ours, asked), left)

    def __str__(self) -> str:
        return "once" if self._made == 1 else f"{self._made} times"


def may_pass(status: int) -> bool:
    """Tell whether a server that answers with this HTTP status may answer with another one the next time."""
    return status in (408, 425, 429) or (500 <= status < 600 and status not in _NEVER_PASSING)


def complete_upload(complete: Callable[[], object], is_whole: Callable[[], bool]) -> None:
    """Complete an upload to S3 that has several parts. `is_whole`: whether the object is there with its size.

    A gateway of Ceph that dies in this request leaves the upload locked for ten minutes, in which the others
    answer that it is being completed. This is waited for: the parts are sent, and nobody has them any more.
    A server that completes it, and whose answer is lost, knows of no such upload when it is asked again.
    """
    until = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            complete()
            return
        except FileNotFoundError:
            if not is_whole():
                raise
            return
        except OSError as error:
            if "completion is already in progress" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(LONGEST_WAIT)


# By whether the credentials are those of the environment.
_RENEW = {
    True: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. A process keeps those that it began with: "
    "stop it, or give it an AWS credentials file, which may change",
    False: "renew them in the AWS credentials file or profile, where they are read again",
}


def hint_of(error: Exception) -> str:
    """Return what to do about an error that no retry mends, or an empty string for one that may pass."""
    # s3fs turns the server's answer into a Python error, sometimes without its message.
    text = f"{type(error).__name__} {error} {error.__cause__}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left: free some, or point `store` elsewhere"
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "there is a file, or a link that leads nowhere, in the place of a folder: choose another one"
    if any(code in text for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken")):
        return f"the server refuses the credentials: {_RENEW[bool(os.environ.get('AWS_ACCESS_KEY_ID'))]}"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return "its disk can only be read: point `store` elsewhere"
    if isinstance(error, PermissionError) or "AccessDenied" in text or "Forbidden" in text:
        return "access is denied: check the credentials and the permissions of the store"
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return "the bucket does not exist: create it first"
    if "NoCredentials" in text or "Unable to locate credentials" in text:
        return "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return ""


def brief(error: Exception) -> str:
    """Return the class of an error and its first line, in at most 300 characters."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]
