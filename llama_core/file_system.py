"""fsspec's file systems as this project opens them, and what their errors mean for a user."""

import errno
import os
from typing import Any
from urllib.parse import urlsplit

import fsspec

from llama_core.errors import StoreError

RETRIES = 12  # tries of a request to S3, with growing waits: enough for a server that is away for a minute
PASSING = (429, 500, 502, 503, 504)  # HTTP status codes of a server that may recover


def file_system(url: str, **storage_options: Any) -> fsspec.AbstractFileSystem:
    """Return the file system that a URL names. Raises StoreError where its package is missing.

    `storage_options` are fsspec's, and go before our own.
    """
    protocol = urlsplit(url).scheme
    options: dict[str, Any] = {}
    if protocol == "s3":
        set_retry_policy()
        options = {
            "use_listings_cache": False,
            "default_block_size": 16 << 20,
            "config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 0}},
        }
        if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
            options["endpoint_url"] = endpoint
    try:
        fs, _ = fsspec.core.url_to_fs(url, **(options | storage_options))
    except Exception as error:
        raise StoreError(f"cannot open the store {url}: {_missing(error) or brief(error)}") from error
    if protocol == "s3":
        fs.retries = RETRIES
    return fs


def _missing(error: Exception) -> str:
    """Return what to install where fsspec lacks the package of a protocol, else an empty string."""
    cause = error.__cause__ or error
    if not isinstance(error, ImportError) or not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return ""
    package = cause.name.partition(".")[0]
    to_install = "'llama-pretrain[corpus]'" if package == "huggingface_hub" else package
    return f"it needs {package}, which is not installed: pip install {to_install}"


def set_retry_policy() -> None:
    """Let s3fs, and nobody else, try a request to S3 again: neither botocore, nor the store or its callers.

    Which errors of a connection or a server may pass is said by `_may_pass`; what s3fs itself tries again
    beside them are answers that break off or cannot be parsed.
    """
    from botocore.exceptions import HTTPClientError
    from s3fs import core

    core.set_custom_error_handler(_may_pass)
    core.S3_RETRYABLE_ERRORS = tuple(e for e in core.S3_RETRYABLE_ERRORS if e is not HTTPClientError)


def _may_pass(error: Exception) -> bool:
    """Tell whether a request that failed is worth another try.

    s3fs has a second loop around a whole read, which asks again about an error on which the loop around the
    request has given up. A second yes to the same error would multiply the tries of the two.
    """
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        passing = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in PASSING
    else:
        passing = isinstance(error, HTTPClientError | ConnectionError)
    asked_before = getattr(error, "asked_before", False)
    error.asked_before = True  # type: ignore[attr-defined]
    return passing and not asked_before


def hint_of(error: Exception) -> str:
    """Return what to do about an error that no retry mends, or an empty string for one that may pass."""
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
    """Return the class of an error and its first line, in at most 300 characters."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]
