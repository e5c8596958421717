"""Secrets that a run knows are in no file, log, database or terminal, whatever goes wrong."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pipeline import ROOT, Pipeline
from system.canary import PASSWORD, QUOTED, assert_clean

pytestmark = pytest.mark.slow

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAC4N4RY1234567890",
    "AWS_SECRET_ACCESS_KEY": PASSWORD,
    "AWS_SESSION_TOKEN": f"{PASSWORD}-session",
    "HF_TOKEN": f"hf_{PASSWORD}",
    "MLFLOW_TRACKING_USERNAME": "admin",
    "MLFLOW_TRACKING_PASSWORD": f"{PASSWORD}-mlflow",
    "PREFECT_API_KEY": f"pnu_{PASSWORD}",
    "PREFECT_SERVER_API_AUTH_STRING": f"admin:{PASSWORD}-server",
    "https_proxy": f"http://user:{QUOTED}@127.0.0.1:9",
    "no_proxy": "127.0.0.1,localhost",
}


def with_login(url: str) -> str:
    return url.replace("://", f"://user:{QUOTED}@")


class Refuses(BaseHTTPRequestHandler):
    """A server of MLflow's that answers first what is looked for, and then refuses."""

    def do_GET(self) -> None:
        body = b"{}" if "search" in self.path else b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
        self.send_response(200 if "search" in self.path else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_run_that_knows_secrets_writes_none(micro: Pipeline, pipeline: Pipeline, shared: Path) -> None:
    pipeline.begin_with(micro)
    api = with_login(pipeline.env["PREFECT_API_URL"])
    output = pipeline.ok(**SECRETS, PREFECT_API_URL=api)
    assert_clean(output, pipeline.home, pipeline.home.parent / "store", shared / "home")


def test_an_mlflow_server_that_refuses_or_is_away_is_said_without_the_password(
    micro: Pipeline, pipeline: Pipeline, shared: Path, refusing: str
) -> None:
    pipeline.begin_with(micro)
    for server in (refusing, "http://127.0.0.1:9"):
        code, output = pipeline.run(**SECRETS, MLFLOW_TRACKING_URI=with_login(server))
        assert code != 0 and "error: " in output
        assert_clean(output, pipeline.home, shared / "home")


STAGE = """
import logging, os, sys
import requests
from prefect import flow
from llama_core.url import redact_logs
from tasks.observe import live, say, show_table
from tasks.step import stage

URL = os.environ["MLFLOW_TRACKING_URI"]

@stage("asks")
def asks():
    say(f"asking {URL}")
    live(f"step at {URL}")
    logging.getLogger("prefect.task_runs").error("at %s", URL)
    requests.get(URL.split("@")[0].replace("user:", "127.0.0.1:9/?token="), timeout=5)

@flow(persist_result=False)
def fails():
    redact_logs()
    asks()

try:
    fails()
except Exception as error:
    print("raised", type(error).__name__, error)
"""


def test_a_stage_that_fails_tells_prefect_no_secret(pipeline: Pipeline, shared: Path) -> None:
    uri = f"http://user:{QUOTED}@127.0.0.1:9"
    env = pipeline.environment(**SECRETS, MLFLOW_TRACKING_URI=uri)
    done = subprocess.run([sys.executable, "-c", STAGE], cwd=ROOT, env=env, capture_output=True, text=True)
    assert "raised RuntimeError ConnectionError" in done.stdout, done.stderr
    assert_clean(done.stdout + done.stderr, shared / "home")
