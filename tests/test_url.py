"""Secrets are refused where a recipe would hold them, and taken out of all that is said."""

import pickle
import random
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import requests

from llama_core.errors import LlamaError, RecipeError, StoreError
from llama_core.recipe import Recipe
from llama_core.recipes.fields import source_kinds
from llama_core.recipes.load import load_recipe
from llama_core.section import Section
from llama_core.store import Store
from llama_core.url import keep_secret, normal_url, redact, store_url, without_secrets
from tasks.run import open_run

CANARY = "c4n4ry/p@ss#w?rd%2F&x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("simplecache::s3://K:S@b/x", "simplecache::s3://***@b/x"),
        ("blockcache::simplecache::s3://K:S::s@b", "blockcache::simplecache::s3://***@b"),
        ("zip://*.csv::https://u:p@h/f.zip", "zip://*.csv::https://***@h/f.zip"),
        ("postgresql+psycopg2://u:p/a#s?s@w%rd@h:5432/db x@y", "postgresql+psycopg2://***@h:5432/db x@y"),
        ("http://u:p@localhost:5000", "http://***@localhost:5000"),
        ("http://u:1234@h", "http://***@h"),
        ("s3://K:1234/5@b", "s3://***@b"),
        ("s3://K@b http://a:80/x@y", "s3://***@b http://a:80/x@y"),
        ("https://u:p@[::1]:5000/x", "https://***@[::1]:5000/x"),
        ("https://TOKEN@github.com/a@b", "https://***@github.com/a@b"),
        ("(given: 's3://K:S@b')", "(given: 's3://***@b')"),
        ("http://a/x?X-Amz-Signature=abc&y=1", "http://a/x?X-Amz-Signature=***&y=1"),
        ("http://a/x?sv=1&sig=a%2Fb;AWSAccessKeyId=K", "http://a/x?sv=1&sig=***;AWSAccessKeyId=***"),
        ("http://a/#access_token=t", "http://a/#access_token=***"),
        ("s3fs(secret='a b', token=\"t\", anon=False)", "s3fs(secret='***', token=\"***\", anon=False)"),
        ("AccountName=n;AccountKey=k==;", "AccountName=n;AccountKey=***;"),
        ("{'aws_secret_access_key': 'abc', 'n': 1}", "{'aws_secret_access_key': '***', 'n': 1}"),
        ("Authorization: Basic dTpw", "Authorization: Basic ***"),
        ("'authorization': b'Bearer abc.def'", "'authorization': b'Bearer ***'"),
        ("('authorization', 'Negotiate abc')", "('authorization', 'Negotiate ***')"),
        ("GET /\nX-Api-Key: abc\nAccept: *", "GET /\nX-Api-Key: ***\nAccept: *"),
        ('{\\"token\\": \\"abc\\"}', '{\\"token\\": \\"***\\"}'),
        ("https://h/?subscription-key=abc&db_pw=x", "https://h/?subscription-key=***&db_pw=***"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:5000/#/models/x@candidate",
        "http://[::1]:5000/#/models/x@candidate",
        "open http://127.0.0.1:4200, then models:/llama-tiny@candidate",
        '{"url": "http://h:80", "to": "a@b"}',
        "file:///home/a:b@c/store",
        "abfs://container@account.dfs.core.windows.net/x",
        "hf://datasets/a/b@refs/x",
        "github://org:repo@main/x",
        "sftp://user@host/x",
        "override 'x' is not of the form key=value",
        "tokens=5 max_tokens=7 tokenizer=a https://h/?tokenizer=b",
        "make pretrain SET=launch.launcher=slurm",
        "mail a.b@c.de: 10:30@noon",
        "eos_token='</s>' {'bos_token': '<s>'} compass=north author=me",
        "the password: it is wrong",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    ["a" * 2_000_000, "http://" * 20_000, "a='" * 100_000, "'a':'" + "b" * 500_000, "::a://" * 20_000],
    ids=range(5),
)
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    started = time.process_time()
    assert redact(text) == text
    assert time.process_time() - started < 5


def test_any_password_in_a_url_is_taken_out() -> None:
    draw = random.Random(1)
    marks = string.ascii_letters + string.digits + "/#?@%:&=+;,'\"!$()*[]<>{}|\\^`~-_."
    for _ in range(500):
        password = "zq" + "".join(draw.choices(marks, k=draw.randint(3, 20))) + "qz"
        scheme = draw.choice(
            ["s3", "https", "postgresql", "simplecache::gs", "tcp", "redis", "mysql+pymysql"]
        )
        url = f"{scheme}://user:{password}@host/path"
        for text in (url, f"cannot open {url}: no", f"<{url}>", repr(url)):
            shown = redact(text)
            assert "zq" not in shown and "qz" not in shown and "user" not in shown, (text, shown)
        with pytest.raises(ValueError, match=r"credentials|unknown protocol") as caught:
            normal_url(url, protocols=("tcp", "postgresql"))
        assert "zq" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", CANARY, CANARY),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SESSION_TOKEN", "FwoG+/=abc", "FwoG+/=abc"),
        ("PREFECT_API_KEY", "pnu_abcdef", "pnu_abcdef"),
        ("PREFECT_API_AUTH_STRING", f"admin:{CANARY}", CANARY),
        ("PREFECT_SERVER_API_AUTH_STRING", "admin:pass", "admin:pass"),
        ("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://u:sec ret@h/db", "sec ret"),
        ("MLFLOW_TRACKING_URI", "https://u:hunter2@h/", "hunter2"),
        ("MLFLOW_REGISTRY_URI", "https://u:p%40ssw%2Frd@h/", "p@ssw/rd"),
        ("MLFLOW_TRACKING_PASSWORD", "hunter2", "hunter2"),
        ("HF_TOKEN", "hf_abc123", "hf_abc123"),
        ("SLURM_JWT", "eyJhbGciOi.abc", "eyJhbGciOi.abc"),
        ("https_proxy", "http://u:proxypass@proxy:3128", "proxypass"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=n;AccountKey=Zm9v+/==;E=c", "Zm9v+/=="),
        ("MY_URL", "https://h/?token=query-secret", "query-secret"),
        ("PREFECT_CLIENT_CUSTOM_HEADERS", '{"X-Api-Key": "head/er", "A": [1]}', "head/er"),
        ("FSSPEC_S3", '{"client_kwargs": {"aws_secret_access_key": "js+on"}}', "js+on"),
        ("GITHUB_PAT", "ghp_abc", "ghp_abc"),
        ("DB_PASS", "hunter2", "hunter2"),
    ],
    ids=range(19),  # pytest puts a test's name into the environment
)
def test_secrets_of_the_environment_are_taken_out_in_every_form(
    name: str, value: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    monkeypatch.setenv(name, value)
    forms = [secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]]
    forms.append(b64encode(secret.encode()).decode())
    for form in forms:
        assert form not in redact(f"it is {form}, and ({form})"), form
    monkeypatch.delenv(name)
    assert secret in redact(f"it is {secret}"), "only while it is known"


def test_a_part_that_a_parser_complains_of_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://u:c4n4ry/p@ss@h:4200/api")
    with pytest.raises(httpx.InvalidURL) as caught:
        httpx.URL("http://u:c4n4ry/p@ss@h:4200/api")
    assert "c4n4ry" in str(caught.value) and "c4n4ry" not in redact(str(caught.value))


def test_what_is_named_like_a_secret_and_is_none_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-value")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "true")
    monkeypatch.setenv("PWD", "/some/folder/of/work")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "step")
    text = "false-value /var/run/secrets/token true steps stepping /some/folder/of/work"
    assert redact(text) == text


def test_what_a_profile_knows_is_taken_out() -> None:
    keep_secret("admin:profile-pass", "http://u:profile-url@h/api", None)
    assert redact("profile-pass profile-url http://h/api") == "*** *** http://h/api"


def test_an_error_is_without_secrets_by_itself_and_in_another_process() -> None:
    error = StoreError("cannot reach s3://K:S3CR3T@b")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "cannot reach s3://***@b"
    assert "S3CR3T" not in repr(LlamaError("x", "https://u:S3CR3T@h"))


class Own(Exception):
    def __str__(self) -> str:
        return "asked https://u:S3CR3T@h"


def test_an_error_of_a_library_is_without_secrets_where_it_is_shown() -> None:
    @without_secrets
    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(RuntimeError, match=r"^Own: asked https://\*\*\*@h$"):
        fails(Own())
    with pytest.raises(requests.exceptions.RequestException):
        requests.get("http://127.0.0.1:9/x?token=S3CR3T", timeout=5)
    with pytest.raises(RuntimeError, match="ConnectionError") as caught:
        without_secrets(requests.get)("http://127.0.0.1:9/x?token=S3CR3T", timeout=5)
    assert "S3CR3T" not in str(caught.value)
    with pytest.raises(KeyError, match="plain"):
        fails(KeyError("plain"))


LOGS = """
import logging, sys
from llama_core.url import redact_logs
early = logging.getLogger("early")
redact_logs(); redact_logs()
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
early.warning("at %s", "https://u:S3CR3T@h")
early.warning({"secret": "S3CR3T"})
logging.getLogger("uvicorn.access").warning("%s - %d", "plain", 200)
try:
    try:
        raise OSError("https://u:S3CR3T@h")
    except OSError as error:
        raise RuntimeError("then https://u:S3CR3T@h") from error
except RuntimeError:
    early.exception("failed with token=S3CR3T")
import threading
thread = threading.Thread(target=lambda: open("https://u:S3CR3T@h"))
thread.start()
thread.join()
raise KeyError("https://u:S3CR3T@h")
"""


def test_no_record_of_a_log_and_no_traceback_has_a_secret() -> None:
    done = subprocess.run([sys.executable, "-c", LOGS], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "S3CR3T" not in done.stdout + done.stderr
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'https://***@h'" in done.stderr
    assert done.stderr.endswith("KeyError: 'https://***@h'\n")
    assert "WARNING at https://***@h" in done.stdout and "WARNING plain - 200" in done.stdout
    assert done.stdout.count("Traceback") == 2 and "OSError: https://***@h" in done.stdout


PROGRAM = """
from llama_core import program
def main(*arguments):
    raise OSError("asked https://u:S3CR3T@h")
program.load = lambda package: main
program.run("any")
"""


def test_a_program_that_fails_prints_no_secret() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 1 and "OSError: asked https://***@h" in done.stdout, done.stderr
    assert "S3CR3T" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("S3://Bucket/Prefix", "s3://Bucket/Prefix"),
        ("  s3://b/p ", "s3://b/p"),
        ("file:/tmp/x", "file:///tmp/x"),
        ("FILE:///tmp/x", "file:///tmp/x"),
        ("file://localhost/tmp/x", "file:///tmp/x"),
        ("local:///tmp/x", "file:///tmp/x"),
        ("/tmp/a b#c?d%20[e]", "/tmp/a b#c?d%20[e]"),
        ("file:///tmp/a:b@c::d", "file:///tmp/a:b@c::d"),
        ("../texts/a:b.txt", "../texts/a:b.txt"),
        ("~/x", "~/x"),
        ("simplecache::S3://b", "simplecache::s3://b"),
        ("hf://datasets/a/b/*.gz", "hf://datasets/a/b/*.gz"),
        ("https://host:8080/a@b?x=1#y", "https://host:8080/a@b?x=1#y"),
    ],
)
def test_a_url_has_one_form(given: str, url: str) -> None:
    assert normal_url(given) == url == normal_url(url)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("foo://x", "unknown protocol 'foo'"),
        ("foo::s3://x", "unknown protocol 'foo'"),
        ("list+https://x", "unknown protocol"),
        ("s3:/bucket", "did you mean s3://"),
        ("S3:bucket", "did you mean s3://"),
        ("file:x", "did you mean file://"),
        ("file://folder/x", "absolute path"),
        ("file://~/x", "absolute path"),
        ("C:\\data", "path of Windows"),
        ("c:/data", "path of Windows"),
        ("\\\\server\\share", "path of Windows"),
        ("/tmp/a\0b", "control characters"),
        ("/tmp/a\nb", "control characters"),
    ],
)
def test_what_is_neither_a_path_nor_a_url_is_refused(
    given: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=says):
        normal_url(given)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=says):
        Store(given).check()
    with pytest.raises(RecipeError, match=says):
        load_recipe("micro", {"evaluate": {"data": given}})
    assert list(tmp_path.iterdir()) == []


def test_a_stores_url_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store_url("a/b/") == store_url("~/a/b") == f"file://{tmp_path}/a/b"
    assert store_url("S3://bucket/") == "s3://bucket"
    for root in ("s3://", "file:///", "/", "~nobody-of-this-name/x"):
        with pytest.raises(StoreError, match="names no folder|home"):
            Store(root)


def places(section: type[Section], path: str = "") -> dict[str, Any]:
    """The key of every field of a recipe that holds text, in a list or a mapping too, with a value for it."""
    found: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind, key = field.annotation, f"{path}{field.alias or name}"
        inner = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, Section)]
        if inner:
            found |= places(inner[0], f"{key}.")
        elif kind is not None and "dict" in str(kind):
            found[key] = {"a": "URL"}
        elif "list" in str(kind):
            found[key] = ["URL"]
        elif "str" in str(kind):
            found[key] = "URL"
    return found


FIELDS = places(Recipe)
SOURCES = {kind: places(section) for kind, section in source_kinds().items()}
LOGINS = [
    f"s3://AKIA:{CANARY}@b/x",
    f"simplecache::s3://K:{CANARY}@b",
    f"https://h/x?X-Amz-Signature={CANARY}",
]
SLIPS = [f"https:/u:{CANARY}@h/x", f"https://u:{CANARY} @h/x", "https://u:c4n4ry%40h/x"]


def replaced(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {k: replaced(v, url) for k, v in value.items()}
    return [url] if isinstance(value, list) else url


def refused(overrides: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("micro", overrides)
    assert "c4n4ry" not in str(caught.value) and "AKIA" not in str(caught.value)


@pytest.mark.parametrize("key", FIELDS)
def test_no_field_of_a_recipe_takes_a_url_with_credentials(key: str) -> None:
    assert {"store", "run.address", "tokenizer.compare_with", "evaluate.data", "register.alias"} <= set(
        FIELDS
    )
    for url in LOGINS:
        refused({key: replaced(FIELDS[key], url)})
        refused({key: url})


@pytest.mark.parametrize("url", SLIPS)
def test_a_url_that_was_written_wrong_is_not_repeated(url: str) -> None:
    for over in ({"store": url}, {"evaluate.data": url}):
        refused(over)
    refused({"corpus.sources.code.storage_options": "{secret: " + url})


@pytest.mark.parametrize("kind", SOURCES)
def test_no_field_of_a_source_takes_credentials(kind: str) -> None:
    assert {"license"} <= set(SOURCES[kind]) or kind == "packages"
    known = {"kind": kind, "path": "json"} if kind == "dataset" else {"kind": kind}
    for key, value in SOURCES[kind].items():
        for url in LOGINS:
            over = {f"corpus.sources.code.{key}": replaced(value, url), "corpus.sources.code": known}
            refused(over | {"corpus.holdout": []})


@pytest.mark.parametrize(
    "options",
    [
        {"key": CANARY},
        {"secret": CANARY},
        {"aws_session_token": CANARY},
        {"client_kwargs": {"aws_secret_access_key": CANARY}},
        {"client_kwargs": {"headers": {"Authorization": f"Bearer {CANARY}"}}},
        {"client_kwargs": {"auth": ["user", CANARY]}},
        {"account_key": CANARY, "account_name": "n"},
        {"sas_token": CANARY},
        {"connection_string": f"AccountKey={CANARY}"},
        {"username": "u", "password": CANARY},
        {"token": {"private_key": CANARY}},
        {"service_account": CANARY},
        {"endpoint_url": f"https://u:{CANARY}@h"},
        {"config_kwargs": {"proxies": {"https": f"http://u:{CANARY}@proxy"}}},
        {"target_options": [{"passphrase": CANARY}]},
        f"key={CANARY}",
        [CANARY],
    ],
)
def test_options_of_a_file_system_that_hold_secrets_are_refused(options: Any) -> None:
    source = {"kind": "files", "urls": ["a.txt"], "storage_options": options}
    refused({"corpus.sources.code": source})
    refused({"corpus.sources.code": source | {"storage_options": str(options)}})


def test_options_without_secrets_are_taken() -> None:
    options = {"anon": True, "requester_pays": "true", "endpoint_url": "https://h:9000", "token": "anon"}
    options |= {"client_kwargs": {"region_name": "eu", "timeout": 5}, "profile": "mine", "token_cache": None}
    sources = {"code": {"kind": "files", "urls": ["a.txt"], "storage_options": options}}
    recipe = load_recipe("micro", {"corpus.sources": sources, "mixture": {"code": 1}})
    assert getattr(recipe.corpus.sources["code"], "storage_options", None) == options


@pytest.mark.parametrize("url", [*LOGINS, f"https://u:{CANARY}@127.0.0.1:9/x.yaml"])
def test_credentials_in_the_address_of_a_store_or_a_recipe_are_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.yaml").write_text(f"extends: '{url}#.yaml'\n")
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[Any, ...]] = [("micro", None, url), ("micro", {"store": url}), (url,), (f"{url}.yaml",)]
    for arguments in (*asked, ("my.yaml",)):
        with pytest.raises(LlamaError, match="credentials") as caught:
            open_run(*arguments)
        assert "c4n4ry" not in str(caught.value)
    monkeypatch.setenv("LLAMA_STORE", url)
    with pytest.raises(StoreError, match="credentials"):
        open_run("micro")
    assert [path.name for path in tmp_path.iterdir()] == ["my.yaml"]


def test_the_working_directory_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/home/me/llama-pretrain")
    assert redact("in /home/me/llama-pretrain/tasks") == "in /home/me/llama-pretrain/tasks"
    monkeypatch.setenv("DB_PWD", "/home/me/llama-pretrain")
    assert redact("in /home/me/llama-pretrain/tasks") == "in ***/tasks"
