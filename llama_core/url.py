"""URLs, and the secrets in them: what a recipe may hold, and what is kept out of all that we write.

A recipe, and so every URL in it, is written to the store, to MLflow and to Prefect. Credentials are therefore
refused there (`Url`), and taken out of every message (`redact`), whoever wrote it.
"""

import base64
import functools
import html
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, ParamSpec, TypeVar
from urllib.parse import quote, quote_plus, unquote

from pydantic import AfterValidator

P = ParamSpec("P")
R = TypeVar("R")

HIDDEN = "***"
ELSEWHERE = (
    "what a run is given is written down in its store and its logs. Leave them out, and give them in "
    "environment variables (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, HF_TOKEN and so on), an AWS "
    "profile, or a Prefect block"
)
BUCKETS = ("s3", "s3a", "gs", "gcs", "oss")  # schemes without ports
# Schemes in which a name alone before the @ is a key or a token. Elsewhere it is a user or a container.
KEY_ALONE = ("http", "https", "git+https", *BUCKETS)
NO_CREDENTIALS = ("file", "local", "github")  # `github://org:repo@sha/path` names a repository
CLUSTERS = ("tcp", "tls", "ucx", "ws", "wss", "inproc", "ray")  # of Dask and Ray
PUBLIC_VALUES = ("", "anon", "cache", "cloud", "google_default", "browser", "true", "false", "none", "null")

# Texts may be long and made to be slow: what may repeat in a pattern has a limit.
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,40}"
_LINK = re.compile(rf"::(?={_SCHEME}://)")  # between the parts of a chained URL
_SECRET_NAME = re.compile(
    r"secret|(?<!bos)(?<!eos)(?<!pad)(?<!unk)token(?!s|iz)|passw(or)?d|passphrase|credential|signature|hmac|"
    r"(api|access|account|private|shared|storage|customer|session|encryption|subscription)key|"
    r"connectionstring|authstring|cookie|jwt|serviceaccount|authorization|pwd$|^(key|sig|sas|dsn)$"
)
_SECRET_WORD = re.compile(r"(^|[^a-z])(pass|pat|auth|authconfig|pw)$")  # what is part of other words as well
_SCHEME_BEFORE = re.compile(rf"{_SCHEME}$")
_REST = re.compile(r"\S{0,4096}")
_PORT = re.compile(r"""\d{1,5}(?=[/?#"'<>(),;\[\]{}\\]|$)""")
_HOST = re.compile(r"([^:/?#@\[]*):")
_PARAMETER = re.compile(r"""(?<=[?&;#])([\w.%-]{1,80})=([^&;\s'"<>#]*)""")
_ASSIGNMENT = re.compile(
    r"""(?<![\w?&;#.%-])(?!key=)([\w.-]{1,80})=(?:(['"])(.{0,4096}?)\2|([^\s&;,'"<>()]+))"""
)
_QUOTED = re.compile(r"""(\\?['"])([\w.-]{1,80})\1(\s{0,9}:\s{0,9})(\\?['"])(.{0,4096}?)\4""")
_AUTHORIZATION = re.compile(
    r"""(?i)(authorization['"]?\s*[:=,]\s*b?['"]?(basic|bearer|token|negotiate|digest)\s+)[^\s'",]+"""
)
_HEADER = re.compile(  # in a line of its own
    r"(?im)^([ \t]{0,99}(?:x-[\w-]{0,40}(?:key|token|secret)|passw(?:or)?d|(?:set-)?cookie):[ \t]{1,9})"
    r"\S.{0,4096}"
)

_kept: set[str] = set()


def redact(text: str) -> str:
    """Return a text without its secrets, in whose place are three asterisks.

    Secrets are what is before the @ of a URL (a password with unescaped marks included), the values of
    parameters and settings that are named like one, and the values of such environment variables of this
    process, as they are and percent-encoded.
    """
    if known := _known(tuple(os.environ.items()), frozenset(_kept)):
        text = known.sub(HIDDEN, text)
    text = _without_userinfo(text)
    text = _PARAMETER.sub(lambda m: f"{m[1]}={HIDDEN}" if _is_secret(m[1], m[2]) else m[0], text)
    text = _ASSIGNMENT.sub(
        lambda m: f"{m[1]}={m[2] or ''}{HIDDEN}{m[2] or ''}" if _is_secret(m[1], m[3] or m[4]) else m[0], text
    )
    text = _QUOTED.sub(
        lambda m: f"{m[1]}{m[2]}{m[1]}{m[3]}{m[4]}{HIDDEN}{m[4]}" if _is_secret(m[2], m[5]) else m[0], text
    )
    return _HEADER.sub(rf"\1{HIDDEN}", _AUTHORIZATION.sub(rf"\1{HIDDEN}", text))


def keep_secret(*values: str | None) -> None:
    """Have `redact` take out values that are in no environment variable, such as a profile's.

    Of a URL these are its credentials.
    """
    for value in values:
        if value and "://" in value:
            _kept.update(_secrets_in("", value))
        elif value:
            _kept.update((value, value.partition(":")[2]))  # user:password among them


def redact_logs() -> None:
    """Take the secrets out of every record that this process logs from now on, its traceback included.

    It is done where records are made, so that no handler, of whatever library, gets one as it was. What
    ends the process or a thread, and is shown by Python itself, is without them too.
    """
    factory = logging.getLogRecordFactory()
    if getattr(factory, "redacts", False):
        return
    if sys.excepthook is sys.__excepthook__:  # else it is a debugger's, say
        sys.excepthook = _show
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda ended: _show(ended.exc_type, ended.exc_value, ended.exc_traceback)

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        try:
            said = record.getMessage()
        except Exception:  # the logging module says what is wrong with such a record
            return record
        clean = redact(said)
        if clean != said:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1] is not None:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")  # type: ignore[arg-type]
            record.exc_text = redact(trace)  # what a formatter takes instead of making it
        return record

    make.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def _show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, SystemExit) and sys.stderr is not None:
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def without_secrets(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function whose errors may be shown.

    One whose text holds secrets is raised as a RuntimeError without them, with the other as its cause.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if all(redact(text) == text for text in (str(error), repr(error))):
                raise
            raise RuntimeError(redact(f"{type(error).__name__}: {error}")) from error

    return call


def normal_url(
    text: str, protocols: tuple[str, ...] = (), lists: bool = False, may_be_empty: bool = False
) -> str:
    """Return a path or an fsspec URL as it is written down. Raises ValueError where it is none.

    Spaces around it go, a scheme is in lower case, and a file's URL begins with `file:///`. What is right
    already is returned as it is, since it may be part of a step's address. URLs with credentials are refused,
    without repeating them. `protocols`: further ones than fsspec's. `lists`: it may begin with `list+`.
    """
    url = text.strip()
    if not url and may_be_empty:
        return ""
    if not url:
        raise ValueError("it is empty: give a path or a URL")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", url):
        raise ValueError("it holds control characters")
    if re.match(r"[A-Za-z]:[\\/]|\\\\", url):
        raise ValueError(f"{url} looks like a path of Windows: give a POSIX path or a URL")
    prefix = "list+" if lists and url.lower().startswith("list+") else ""
    first, *others = _LINK.split(url[len(prefix) :])
    if others and "://" not in first:  # as in simplecache::s3://bucket
        _check_protocols(first.lower().split("::"), url)
        normal = [first.lower()]
    else:
        normal = [_normal_link(first, protocols)]
    return prefix + "::".join((*normal, *(_normal_link(link, protocols) for link in others)))


def refuse_secrets(value: Any, key: str = "", *, options: bool = False) -> None:
    """Raise ValueError where a text in a value, however nested, has credentials. They are not repeated.

    `options`: the value holds the settings of a file system, whose names may say that they are secret.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            place = f"{key}.{name}" if key else str(name)
            if options and _is_secret(str(name), inner):
                raise ValueError(f"{place} is for credentials: {ELSEWHERE}")
            refuse_secrets(inner, place, options=options)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            refuse_secrets(inner, key, options=options)
    elif isinstance(value, str) and (
        _without_userinfo(value) != value or _secret_parameters(value) or "PRIVATE KEY-----" in value
    ):
        raise ValueError(f"{key} holds credentials: {ELSEWHERE}")


def store_url(text: str) -> str:
    """Return the URL of a store's folder, without a slash at its end. Raises ValueError where it is none.

    A path becomes a `file://` URL of the absolute path, which is written as it is and not percent-encoded.
    """
    url = normal_url(text)
    if "://" not in url:
        try:
            url = f"file://{Path(url).expanduser().absolute()}"
        except RuntimeError as error:  # ~somebody
            raise ValueError(f"{url}: {error}") from None
    folder = url.rstrip("/")
    if folder.endswith(":") and "://" not in folder:
        raise ValueError(f"{url} names no folder: a store needs one of its own")
    return folder


Url = Annotated[str, AfterValidator(normal_url)]
"""A path or an fsspec URL in a recipe, in its normal form and without credentials."""
UrlOrNothing = Annotated[str, AfterValidator(functools.partial(normal_url, may_be_empty=True))]
"""A `Url`, or an empty text for none."""
ListUrl = Annotated[str, AfterValidator(functools.partial(normal_url, lists=True))]
"""A `Url` that may begin with `list+`."""
Address = Annotated[str, AfterValidator(functools.partial(normal_url, protocols=CLUSTERS))]
"""The address of a cluster, as `host:port` or a URL, without credentials."""


def _normal_link(link: str, protocols: tuple[str, ...]) -> str:
    """Return one part of a chained URL in its normal form. Raises ValueError."""
    scheme, found, rest = link.partition("://")
    if not found:
        return _normal_path(link, protocols)
    scheme = scheme.lower()
    if scheme not in protocols:
        _check_protocols([scheme], link)
    if scheme in ("file", "local"):
        rest = re.sub(r"^localhost(?=/)", "", rest, flags=re.IGNORECASE)
        if not rest.startswith("/"):
            raise ValueError(f"{link} has no absolute path: write file:///folder, or the path alone")
        scheme = "file"
    normal = f"{scheme}://{rest}"
    if any(_userinfos(normal.replace("%40", "@"))):
        raise ValueError(f"the URL holds credentials: {ELSEWHERE}")
    if parameters := _secret_parameters(normal):
        raise ValueError(f"the URL holds credentials in its parameter {parameters[0]}: {ELSEWHERE}")
    return normal


def _normal_path(path: str, protocols: tuple[str, ...]) -> str:
    """Return a text without `://` as it is if it is a path. Raises ValueError where a URL is meant."""
    scheme, colon, rest = path.partition(":")
    if not colon or protocols:
        return path
    scheme = scheme.lower()
    if scheme == "file" and rest.startswith("/"):
        return f"file://{rest}"
    if _is_protocol(scheme):
        raise ValueError(f"{scheme}:... is neither a path nor a URL: did you mean {scheme}://?")
    return path


def _check_protocols(names: list[str], url: str) -> None:
    """Raise ValueError where fsspec does not know a protocol."""
    for name in names:
        if not _is_protocol(name):
            raise ValueError(
                f"{redact(url)} has the unknown protocol {name!r}: file, s3, gs, abfs, hf, http, https and "
                "the others of fsspec are known"
            )


def _is_protocol(name: str) -> bool:
    from fsspec.registry import known_implementations, registry

    return name in known_implementations or name in registry


def _userinfo(scheme: str, rest: str) -> str:
    """Return what a URL has before its @ if that is secret, else an empty string. `rest` follows `://`.

    A password may hold any mark, unescaped ones included, so it ends at the last @.
    """
    scheme = scheme.lower()
    if scheme in NO_CREDENTIALS or "@" not in rest:
        return ""
    if found := re.match(rf"(?:[^:/?#@]*:)?{re.escape(HIDDEN)}(?=@)", rest):
        return found[0]
    if name := _HOST.match(rest):
        after = rest[name.end() :]
        is_port = scheme not in BUCKETS and _PORT.match(after)
        return "" if is_port or "@" not in after else rest.rpartition("@")[0]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    return authority.rpartition("@")[0] if scheme in KEY_ALONE else ""


def _userinfos(url: str) -> Iterator[str]:
    """Yield what the parts of a chained URL have before their @, where that is secret."""
    for link in _LINK.split(url):
        scheme, found, rest = link.partition("://")
        if found and (userinfo := _userinfo(scheme.rpartition(":")[2], rest)):
            yield userinfo


def _without_userinfo(text: str) -> str:
    """Return a text without what its URLs have before their @, where that is secret."""
    pieces, at = [], 0
    while (found := text.find("://", at)) >= 0:
        pieces.append(text[at : found + 3])
        at = found + 3
        if userinfo := _userinfo(_scheme_before(text, found), _rest(text, at)):
            pieces.append(HIDDEN)
            at += len(userinfo)
    return "".join(pieces) + text[at:]


def _scheme_before(text: str, end: int) -> str:
    scheme = _SCHEME_BEFORE.search(text[max(0, end - 41) : end])
    return scheme[0] if scheme else ""


def _rest(text: str, start: int) -> str:
    """Return what follows `://` of a URL in a text, up to a space or to the next part of a chained URL."""
    token = _REST.match(text, start)
    return _LINK.split(token[0] if token else "", maxsplit=1)[0]


def _secret_parameters(url: str) -> list[str]:
    return [m[1] for m in _PARAMETER.finditer(url) if _is_secret(m[1], m[2])]


def _is_secret(name: str, value: Any) -> bool:
    """Tell whether a setting or parameter is named like a secret, and has one for its value."""
    if value is None or isinstance(value, bool | int) or str(value).lower() in PUBLIC_VALUES:
        return False
    name = unquote(name).lower()
    return bool(_SECRET_WORD.search(name) or _SECRET_NAME.search(re.sub("[^a-z0-9]", "", name)))


@functools.lru_cache(maxsize=4)
def _known(variables: tuple[tuple[str, str], ...], kept: frozenset[str]) -> re.Pattern[str] | None:
    """Return a pattern of the secrets that are known, in all their forms, or None."""
    found = set(kept)
    for name, value in variables:
        found.update(_secrets_in(name, value))
    forms: set[str] = set()
    for secret in found:
        plain = {secret, unquote(secret)}
        for form in plain | {base64.b64encode(p.encode("utf-8", "replace")).decode() for p in plain}:
            forms |= {form, quote(form, safe=""), quote(form), quote_plus(form), html.escape(form)}
            forms |= {repr(form)[1:-1], json.dumps(form)[1:-1]}
    # A short one is a word of its own, or it would be found in the middle of others.
    alternatives = [
        re.escape(form) if len(form) >= 8 else rf"(?<!\w){re.escape(form)}(?!\w)"
        for form in sorted(forms, key=len, reverse=True)
        if len(form) >= 4 and form.lower() not in PUBLIC_VALUES
    ]
    return re.compile("|".join(alternatives)) if alternatives else None


def _secrets_in(name: str, value: str) -> Iterator[str]:
    """Yield the secrets that an environment variable holds."""
    value, name = value.strip(), name.upper()
    is_url = re.match(rf"({_SCHEME}::)*{_SCHEME}://", value)
    urls = (
        [value]
        if is_url
        else [
            f"{_scheme_before(value, m.start())}://{_rest(value, m.end())}" for m in re.finditer("://", value)
        ]
    )
    for userinfo in (found for url in urls for found in _userinfos(url)):
        user, colon, password = userinfo.partition(":")
        yield password if colon else user
        yield unquote(userinfo)  # as it is in the header of a request
        if is_url:  # what a parser takes for a port, say, and complains of
            yield from re.split("[/?#@:]", password)
    yield from (m[2] for m in _PARAMETER.finditer(value) if _is_secret(m[1], m[2]))
    # of JSON, such as headers or fsspec's options
    yield from (m[5] for m in _QUOTED.finditer(value) if _is_secret(m[2], m[5]))
    if name in ("PWD", "OLDPWD"):  # folders of the shell's
        return
    if name.endswith(("_FILE", "_PATH", "_DIR", "_CREDENTIALS", "_URL", "_URI", "_SOCK")):
        return
    if name.endswith("KEY"):
        is_secret = len(value) >= (8 if _is_secret(name, value) else 16)
    elif name.endswith("_KEY_ID"):
        is_secret = len(value) >= 16
    else:
        is_secret = _is_secret(name, value) and not is_url
    if is_secret:
        yield value
        if "AUTH" in name:  # user:password
            yield value.partition(":")[2]
        yield from (m[2] for m in re.finditer(r"([A-Za-z]+)=([^;]+)", value) if _is_secret(m[1], m[2]))
