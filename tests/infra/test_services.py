"""The services of a run: real Prefect servers, real kills."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from listening import sockets_of
from pipeline import ROOT, Pipeline

from infra.services import prepare_mlflow
from llama_core.errors import ServiceError

# A run that uses the services until its standard input ends.
RUN = """
import os, sys
from infra.services import run_services
from llama_core.errors import LlamaError
try:
    with run_services() as url:
        print(url, os.environ["MLFLOW_TRACKING_URI"], flush=True)
        sys.stdin.read()
except LlamaError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""

Run = subprocess.Popen[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One home, whose Prefect database is made once."""
    folder = tmp_path_factory.mktemp("home")
    settings = ("PREFECT_API_URL", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    with pytest.MonkeyPatch.context() as patch:
        for name in settings:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(folder))  # without a Prefect profile
        pipeline = Pipeline(folder, str(folder / "store"))
        yield pipeline
        pipeline.kill()


def begin(home: Pipeline, **env: str) -> Run:
    """A run; MLflow's database is not what it is about, and is not made."""
    env = {"MLFLOW_TRACKING_URI": "sqlite:///not-used.db"} | env
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=home.environment(**env),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def start(home: Pipeline) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**env: str) -> Run:
        runs.append(begin(home, **env))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.communicate()


@dataclass
class Running:
    run: Run
    url: str


@pytest.fixture(scope="module")
def running(home: Pipeline) -> Running:
    """A run, and its server: several tests use it, and one ends it."""
    run = begin(home)
    return Running(run, url_of(run))


def url_of(run: Run) -> str:
    """Where a run that has started found Prefect."""
    assert run.stdout and run.stderr
    line = run.stdout.readline()
    assert line, run.stderr.read()
    return line.split()[0]


def refusal(run: Run) -> str:
    output, error = run.communicate(timeout=120)
    assert run.returncode == 1 and not output
    return error.strip()


def answers(url: str, within: float = 0) -> bool:
    deadline = time.monotonic() + within
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)


def find(home: Pipeline, *words: str) -> psutil.Process:
    """The one process of the home with these words in its command, and no tether."""
    [found] = [
        p
        for p in home.processes()
        if (line := p.cmdline()) and all(w in line for w in words) and "infra.tether" not in line
    ]
    return found


def names(url: str) -> list[str]:
    return sorted(item["name"] for item in httpx.post(url, json={}).json())


@pytest.mark.slow
def test_two_runs_share_one_server(running: Running, start: Callable[..., Run]) -> None:
    second = start()
    assert url_of(second) == running.url
    second.communicate("")
    assert answers(running.url)


def test_a_run_listens_at_the_port_of_its_server_on_loopback_and_nowhere_else(
    home: Pipeline, running: Running
) -> None:
    sockets = sockets_of(home.processes())
    assert [f"http://{ip}:{port}/api" for ip, port, _ in sockets] == [running.url]


def test_a_run_asks_its_own_server_past_a_proxy_and_a_stranger_is_refused(
    home: Pipeline, running: Running
) -> None:
    env = home.environment(MLFLOW_TRACKING_URI="sqlite:///not-used.db", HTTP_PROXY="http://127.0.0.1:9")
    asked = RUN.replace("sys.stdin.read()", "get_client(sync_client=True).read_flows()")
    program = "from prefect.client.orchestration import get_client\n" + asked
    done = subprocess.run([sys.executable, "-c", program], env=env, text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout.split()[0] == running.url, done.stderr
    for headers in ({"host": "elsewhere.test"}, {"origin": "http://127.0.0.1:9"}):
        assert httpx.post(f"{running.url}/flows/filter", json={}, headers=headers).status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["infra.prefect_server", "infra.servers"])
def test_the_server_comes_back_to_a_run_at_the_same_address(
    victim: str, home: Pipeline, running: Running
) -> None:
    holder, server = find(home, "infra.prefect_server"), find(home, "infra.servers", "prefect")
    killed = holder if victim == "infra.prefect_server" else server
    killed.kill()
    server.wait(timeout=20)
    assert answers(running.url, within=60)


def test_a_server_that_the_environment_names_is_used_or_refused_but_never_replaced(
    home: Pipeline, running: Running, start: Callable[..., Run]
) -> None:
    other = str(home.home / "other")
    assert url_of(start(PREFECT_API_URL=running.url, LLAMA_HOME=other)) == running.url
    message = refusal(start(PREFECT_API_URL="http://127.0.0.1:9/api", LLAMA_HOME=other))
    assert message.startswith("ServiceError: Prefect does not answer at http://127.0.0.1:9/api")
    assert "PREFECT_API_URL" in message and "make stack" in message and "\n" not in message
    assert not (home.home / "other" / "prefect").exists()


def test_the_server_goes_with_the_last_run(home: Pipeline, running: Running) -> None:
    running.run.communicate("")
    assert not home.ends(within=20)
    assert not answers(running.url)


def test_a_run_killed_while_the_server_starts_leaves_no_process_behind(
    home: Pipeline, start: Callable[..., Run]
) -> None:
    home.kill()
    run = start()
    while not any("infra.prefect_server" in p.cmdline() for p in home.processes()):
        time.sleep(0.05)
    run.kill()
    assert not home.ends(within=20)


@pytest.mark.parametrize("where", [".prefect/profiles.toml", "elsewhere.toml"])
def test_a_dead_server_that_the_active_profile_names_is_refused(
    where: str, tmp_path: Path, start: Callable[..., Run]
) -> None:
    profiles = tmp_path / where
    profiles.parent.mkdir(exist_ok=True)
    profiles.write_text('active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n')
    named = {} if profiles.parent.name == ".prefect" else {"PREFECT_PROFILES_PATH": str(profiles)}
    message = refusal(start(HOME=str(tmp_path), **named))
    assert "the Prefect profile 'team'" in message


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:9/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:9/api"\n'),
        ("pyproject.toml", '[tool]\nprefect.api.url = "http://127.0.0.1:9/api"\n'),
        (".env", "PREFECT_API_URL=http://127.0.0.1:9/api\n"),
    ],
)
def test_a_dead_server_that_a_file_beside_us_names_is_refused(
    file: str, text: str, tmp_path: Path, start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    importable = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    message = refusal(start(PYTHONPATH=importable))
    assert message.startswith("ServiceError: Prefect does not answer at http://127.0.0.1:9/api")


@pytest.mark.slow
def test_a_dead_mlflow_server_is_refused_before_the_run(start: Callable[..., Run]) -> None:
    message = refusal(start(MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
    assert message.startswith("ServiceError: MLflow does not answer at http://127.0.0.1:9")


@pytest.mark.slow
def test_two_first_uses_of_mlflow_at_once_make_one_good_database(tmp_path: Path) -> None:
    program = "from infra.services import mlflow_uri; print(mlflow_uri())"
    env = os.environ | {"LLAMA_HOME": str(tmp_path)}
    env.pop("MLFLOW_TRACKING_URI", None)
    both = [
        subprocess.Popen([sys.executable, "-c", program], env=env, text=True, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [p.communicate(timeout=120)[0].strip() for p in both] == [
        f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    ] * 2


@pytest.mark.parametrize(
    "fault", ["junk", "folder", pytest.param("of a later version", marks=pytest.mark.slow)]
)
def test_a_database_that_mlflow_cannot_use_is_one_clear_message(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_HOME", str(tmp_path))
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    if fault == "junk":
        database.write_bytes(b"this is no database" * 100)
    elif fault == "folder":
        database.mkdir()
    else:
        with contextlib.closing(sqlite3.connect(database)) as opened, opened:
            opened.execute("CREATE TABLE alembic_version (version_num)")
            opened.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
            opened.execute("CREATE TABLE experiments (experiment_id)")
    with pytest.raises(ServiceError, match="MLflow's database .*mlflow.db cannot be") as refused:
        prepare_mlflow()
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_stack_serves_runs_and_kills_leave_nothing_behind(
    home: Pipeline, start: Callable[..., Run]
) -> None:
    home.kill()  # the run of the tests above, where the one that ends it was not chosen
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        prefect_port, mlflow_port = one.getsockname()[1], two.getsockname()[1]
    command = [sys.executable, "-m", "infra.stack"]
    command += ["--prefect-port", str(prefect_port), "--mlflow-port", str(mlflow_port)]
    log = home.home / "stack.log"
    with log.open("w") as output:
        stack = subprocess.Popen(command, env=home.environment(), stdout=output, stderr=output)
    while "Ctrl-C" not in log.read_text():
        assert stack.poll() is None, log.read_text()
        time.sleep(0.2)
    url = f"http://127.0.0.1:{prefect_port}/api"
    assert answers(f"http://127.0.0.1:{mlflow_port}")

    run = start()
    assert url_of(run) == url
    second = subprocess.run(command, env=home.environment(), text=True, capture_output=True)
    assert second.returncode == 2 and second.stderr.startswith("error: a run, or another stack, has")

    again = subprocess.run(
        [sys.executable, "-m", "infra.workspace"], env=home.environment(PREFECT_API_URL=url)
    )
    assert again.returncode == 0
    assert names(f"{url}/automations/filter") == ["crashed-runs-start-again", "lost-runs-are-crashed"]
    assert names(f"{url}/work_pools/filter") == ["gpu-13b", "gpu-33b", "gpu-65b", "gpu-7b", "local"]

    stack.kill()
    stack.wait()
    assert answers(url, within=60), "a run that loses the stack has a server of its own at the same address"
    run.kill()
    assert not home.ends(within=20)


def test_a_taken_port_is_one_clear_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "infra.stack", "--mlflow-port", str(port), "--prefect-port", "0"]
        stack = subprocess.run(
            command, env=os.environ | {"LLAMA_HOME": str(tmp_path)}, text=True, capture_output=True
        )
    assert stack.returncode == 2
    assert stack.stderr == (
        f"error: port {port} is taken by another program: end that, or choose another port, with "
        "`.venv/bin/python -m infra.stack --mlflow-port PORT`\n"
    )
