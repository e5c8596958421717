"""File systems of fsspec as this project opens them, and what their errors ask a person to do."""

import errno
import os
from typing import Any
from urllib.parse import urlsplit

import fsspec

from llama_core.errors import StoreError


def file_system(url: str, **storage_options: Any) -> fsspec.AbstractFileSystem:
    """The file system that a URL names. Raises StoreError where its package is missing."""
    protocol = urlsplit(url).scheme
    options: dict[str, Any] = {}
    if protocol == "s3":
        _retry_lost_connections()
        options = {
            "use_listings_cache": False,
            "default_block_size": 16 << 20,
            "config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}},
        }
        if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
            options["endpoint_url"] = endpoint
    try:
        fs, _ = fsspec.core.url_to_fs(url, **(options | storage_options))
    except Exception as error:
        raise StoreError(f"cannot open the store {url}: {_missing(error) or brief(error)}") from error
    if protocol == "s3":
        fs.retries = 10  # about 30 s of a server that is away, before a call gives up
    return fs


def _missing(error: Exception) -> str:
    """What to install, where fsspec lacks the package of a protocol; else empty."""
    cause = error.__cause__ or error
    if not isinstance(error, ImportError) or not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return ""
    package = cause.name.partition(".")[0]
    to_install = "'llama-pretrain[corpus]'" if package == "huggingface_hub" else package
    return f"it needs {package}, which is not installed: pip install {to_install}"


def _retry_lost_connections() -> None:
    from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError
    from s3fs.core import add_retryable_error

    for error in (EndpointConnectionError, ConnectionClosedError, ConnectTimeoutError):
        add_retryable_error(error)


def hint_of(error: Exception) -> str:
    """What to do about an error that no retry heals; empty for one that may pass."""
    # s3fs turns the server's answer into a Python error, sometimes without its message.
    text = f"{type(error).__name__} {error} {error.__cause__}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left: free some, or point `store` elsewhere"
    if "SignatureDoesNotMatch" in text or "InvalidAccessKeyId" in text:
        return "the server refuses the credentials: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError) or "AccessDenied" in text or "Forbidden" in text:
        return "access is denied: check the credentials and the permissions of the store"
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return "the bucket does not exist: create it first"
    if "NoCredentials" in text or "Unable to locate credentials" in text:
        return "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return ""


def brief(error: Exception) -> str:
    """The kind of an error and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]
