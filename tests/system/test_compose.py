"""The services of infra/compose.yaml, started as it says but without containers, on a real Postgres."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pipeline import ROOT, environment
from system.ceph import free_port

POSTGRES = shutil.which("postgres") or next(
    map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")), None
)
COMPOSE = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())
USER, PASSWORD = "ann", "p:@%/#$x '\"`\\&?;(%s)+~"
ENV = {  # of infra/.env
    "POSTGRES_PASSWORD": 'another:@%/#$x "`\\&?;(%s)+',
    "LOGIN_USER": USER,
    "LOGIN_PASSWORD": PASSWORD,
    "LLAMA_STORE": "s3://bucket/llama",
    "MLFLOW_ARTIFACTS": "s3://bucket/mlflow",
}
SECRET = ("POSTGRES_PASSWORD", "LOGIN_PASSWORD", "AWS_SECRET_ACCESS_KEY")


def filled(text: str) -> str:
    """A text of compose.yaml with the values of .env in it."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: ENV.get(found[1], found[2] or ""), text)


def test_no_secret_is_in_a_command_or_a_url() -> None:
    for name, service in COMPOSE["services"].items():
        said = [service.get("command", ""), *map(str, service.get("healthcheck", {}).get("test", []))]
        said += [value for value in service.get("environment", {}).values() if "://" in value]
        assert not [text for text in said for secret in SECRET if secret in text], name


def test_every_variable_is_explained_in_the_example() -> None:
    example = (ROOT / "infra" / ".env.example").read_text()
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "infra" / "compose.yaml").read_text()))
    assert asked <= set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))


@pytest.fixture(scope="module")
def database() -> Iterator[int]:
    """A Postgres server with the databases of compose.yaml; its port."""
    if POSTGRES is None:
        pytest.skip("there is no Postgres")
    pytest.importorskip("psycopg2", reason="MLflow's client of Postgres is not installed")
    bin, port = Path(POSTGRES).resolve().parent, free_port()
    before = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o777)
    secret = folder / "password"
    secret.write_text(ENV["POSTGRES_PASSWORD"])
    secret.chmod(0o644)
    init = [*before, str(bin / "initdb"), "-D", str(folder / "data"), "-U", "llama", "--pwfile", str(secret)]
    subprocess.run([*init, "-A", "scram-sha-256"], check=True, capture_output=True)
    options = ["-D", str(folder / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    server = subprocess.Popen([*before, POSTGRES, *options], stderr=subprocess.DEVNULL)
    env = os.environ | {"PGPASSWORD": ENV["POSTGRES_PASSWORD"]}
    client = [str(bin / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "llama", "-d", "postgres", "-v",
              "ON_ERROR_STOP=1"]  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([*client, "-c", "SELECT 1"], env=env, capture_output=True).returncode:
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.2)
        made = COMPOSE["configs"]["databases"]["content"]
        subprocess.run(client, env=env, input=made, text=True, check=True, capture_output=True)
        yield port
    finally:
        subprocess.run([*before, str(bin / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop"])
        server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_both_servers_start_on_postgres_and_ask_for_the_login(database: int, tmp_path: Path) -> None:
    ini = tmp_path / "mlflow-auth.ini"
    ini.write_text(
        COMPOSE["configs"]["mlflow-auth"]["content"].replace("@postgres", f"@127.0.0.1:{database}")
    )
    ports, processes = {"prefect": free_port(), "mlflow": free_port()}, []
    kept = {
        name: value for name, value in environment().items() if not name.startswith(("PREFECT_", "MLFLOW_"))
    }
    try:
        for name, port in ports.items():
            service: dict[str, Any] = COMPOSE["services"][name]
            given = {key: filled(value) for key, value in service["environment"].items()}
            given = {k: v.replace("@postgres", f"@127.0.0.1:{database}") for k, v in given.items()}
            env = (
                kept | given | {"PREFECT_HOME": str(tmp_path), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            )
            if name == "mlflow":
                env["MLFLOW_AUTH_CONFIG_PATH"] = str(ini)
            command = shlex.split(filled(service["command"]))
            assert command[0] == "python"
            command[0] = sys.executable
            command[command.index("--host") + 1] = "127.0.0.1"
            command[command.index("--port") + 1] = str(port)
            with (tmp_path / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
                )
            processes.append(process)
        deadline = time.monotonic() + 120
        asked = {"prefect": "api/admin/version", "mlflow": "api/2.0/mlflow/experiments/search?max_results=1"}
        for (name, port), process in zip(ports.items(), processes, strict=True):
            url = f"http://127.0.0.1:{port}/{asked[name]}"
            while True:
                assert time.monotonic() < deadline and process.poll() is None, (
                    tmp_path / f"{name}.log"
                ).read_text()
                try:
                    httpx.get(url, timeout=5)
                    break
                except httpx.HTTPError:
                    time.sleep(0.3)
            for _ in range(4):  # each of MLflow's two processes
                assert httpx.get(url).status_code == 401
                assert httpx.get(url, auth=(USER, PASSWORD), timeout=30).status_code == 200
                inside = {"host": f"{name}:{port}"}
                assert httpx.get(url, auth=(USER, PASSWORD), headers=inside).status_code == 200
                assert httpx.get(url, auth=(USER, PASSWORD), headers={"host": "elsewhere"}).status_code == 403
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
