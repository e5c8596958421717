"""Servers that a person names are asked by their own clients, as the person has configured those."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pipeline import environment
from system.ceph import free_port
from system.doors import door, forward_proxy, make_ca

from infra.home import sqlite_uri

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

USER, PASSWORD = "ann", "p:@%/#$x '\"`\\&?"
NAME = "servers.test"  # that only the proxy resolves

# What a run does with both servers: each probe, each wait, and what they send.
RUN = """
import json, os, sys, time
from infra.services import run_services
from llama_core.errors import LlamaError

try:
    with run_services() as url:
        from prefect import flow
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
        from tasks import observe, tracking

        @flow(name="asked")
        def asked():
            began = time.monotonic()
            observe.show_link(f"link-{os.getpid()}", "https://example.org", "a link")
            observe.wait_for_prefect()
            return time.monotonic() - began

        waited = asked()
        api = tracking.client()
        run = api.create_run("0").info.run_id
        began = time.monotonic()
        with tracking.Tracker(run) as tracker:
            tracker.log({"step": 1, "loss": 2.0})
        flushed = time.monotonic() - began
        ours = ArtifactFilter(key=ArtifactFilterKey(any_=[f"link-{os.getpid()}"]))
        with get_client(sync_client=True) as client:
            links = client.read_artifacts(artifact_filter=ours)
        print(json.dumps({"waited": waited, "flushed": flushed, "links": len(links),
                          "losses": len(api.get_metric_history(run, "loss"))}))
except LlamaError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@dataclass
class Doors:
    """Prefect's and MLflow's servers, behind TLS."""

    ca: Path
    prefect: int
    mlflow: int

    def env(self, host: str = "localhost") -> dict[str, str]:
        """Where they are, and the login, but nothing of TLS."""
        return {
            "PREFECT_API_URL": f"https://{host}:{self.prefect}/api/",
            "PREFECT_API_AUTH_STRING": f"{USER}:{PASSWORD}",
            "PREFECT_CLIENT_CUSTOM_HEADERS": '{"x-gate": "open sesame"}',
            "MLFLOW_TRACKING_URI": f"https://{host}:{self.mlflow}/",
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }

    def trusted(self) -> dict[str, str]:
        return {"PREFECT_API_SSL_CERT_FILE": str(self.ca), "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.ca)}


@pytest.fixture(scope="module")
def doors(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    port = free_port()
    env = environment() | {
        "MLFLOW_BACKEND_STORE_URI": sqlite_uri(folder / "mlflow.db"),
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "infra.servers", "mlflow", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        mlflow = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)
    ca, served = make_ca(folder, "localhost", NAME)
    prefect = urlsplit(prefect_url).port
    assert prefect
    login = f"{USER}:{PASSWORD}"
    try:
        with door(prefect, served, login, "x-gate: open sesame") as one, door(port, served, login) as two:
            deadline = time.monotonic() + 60
            while "startup complete" not in (folder / "log").read_text():
                assert time.monotonic() < deadline and mlflow.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            yield Doors(ca, one, two)
    finally:
        mlflow.kill()
        mlflow.wait()


def run(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in environment().items() if not k.startswith(("PREFECT_", "MLFLOW_TRACKING_"))}
    env |= {"HOME": str(tmp_path), "LLAMA_HOME": str(tmp_path / "home")} | settings
    return subprocess.run([sys.executable, "-c", RUN], env=env, text=True, capture_output=True, timeout=120)


def works(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["losses"] == 1 and said["links"] == 1
    assert said["waited"] < 20 and said["flushed"] < 20


def test_a_ca_of_ones_own_a_login_a_header_a_slash_and_a_proxy_that_alone_knows_the_name(
    doors: Doors, tmp_path: Path
) -> None:
    with forward_proxy({NAME}) as (port, asked):
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "localhost"}
        works(run(tmp_path, **doors.env(NAME), **doors.trusted(), **proxy))
    assert {f"{NAME}:{doors.prefect}", f"{NAME}:{doors.mlflow}"} <= set(asked)


def test_a_certificate_that_is_not_looked_at_a_ca_for_everything_and_a_proxy_that_is_not_for_these(
    doors: Doors, tmp_path: Path
) -> None:
    tls = {"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true", "REQUESTS_CA_BUNDLE": str(doors.ca)}
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost"}
    works(run(tmp_path, **doors.env(), **tls, **proxy))


@pytest.mark.parametrize("lacking", ["PREFECT_API_SSL_CERT_FILE", "MLFLOW_TRACKING_PASSWORD"])
def test_what_lacks_is_said_in_one_line_at_once(doors: Doors, lacking: str, tmp_path: Path) -> None:
    settings = doors.env() | doors.trusted()
    del settings[lacking]
    began = time.monotonic()
    done = run(tmp_path, **settings)
    assert done.returncode == 1 and time.monotonic() - began < 60
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ServiceError: ") and lacking in message
    assert "Traceback" not in done.stderr and PASSWORD not in done.stderr
