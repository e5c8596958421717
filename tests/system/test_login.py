"""A stack that asks for a login, on a home and with a password of odd characters."""

import base64
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from pipeline import ROOT
from system.browser import CHROMIUM, browser
from system.stack import PREFECT, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOME = "a home%2F of? its#own 'and' \"more\""
USER, PASSWORD = "ann", "p:@%/#$x '\"`\\&?;(%s)+~"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its login is a person's own: what needs the most quoting."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL", "LLAMA_STORE"):
            patch.delenv(name, raising=False)
        home = tmp_path_factory.mktemp("login") / HOME
        patch.setenv("HOME", str(home))  # without a Prefect profile
        patch.setenv("PREFECT_SERVER_API_AUTH_STRING", f"{USER}:{PASSWORD}")
        stack = Stack(home, "--auth", env={})
        try:
            stack.start()
            patch.delenv("PREFECT_SERVER_API_AUTH_STRING")
            yield stack
        finally:
            stack.pipeline.kill()


def shell(stack: Stack, command: str) -> str:
    """What a command says, in a shell that has read what the stack's welcome says, and nothing else."""
    [source] = [line.strip() for line in stack.said.splitlines() if line.strip().startswith("source ")]
    done = subprocess.run(
        ["bash", "-ec", f"{source}\n{command}"],
        cwd=ROOT,
        env=stack.pipeline.environment(COLUMNS="300"),
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_the_login_both_servers_refuse(stack: Stack) -> None:
    experiments = "api/2.0/mlflow/experiments/search?max_results=1"

    def statuses(auth: tuple[str, str] | None) -> list[int]:
        return [
            httpx.post(f"{stack.api}/flow_runs/filter", json={}, auth=auth).status_code,
            httpx.get(f"{stack.api}/admin/version", auth=auth).status_code,
            httpx.get(f"{stack.mlflow}/{experiments}", auth=auth).status_code,
            httpx.get(f"{stack.mlflow}/ajax-api/3.0/jobs/1", auth=auth).status_code,
            httpx.get(f"{stack.mlflow}/", auth=auth).status_code,
        ]

    assert statuses(None) == statuses((USER, "password1234")) == statuses(("admin", PASSWORD)) == [401] * 5
    known = statuses((USER, PASSWORD))
    assert known[:3] == [200] * 3 and 401 not in known


def test_commands_and_runs_beside_it_need_no_typing(stack: Stack) -> None:
    mlflow = shlex.quote(str(Path(PREFECT).with_name("mlflow")))
    assert "Default" in shell(stack, f"{mlflow} experiments search")
    run = (
        "import os\n"
        "from infra.services import run_services\n"
        "with run_services() as url:\n"
        "    from prefect.client.orchestration import get_client\n"
        "    with get_client(sync_client=True) as client:\n"
        "        print(url, len(client.read_work_pools()))\n"
    )
    env = stack.pipeline.environment()
    output = subprocess.check_output([sys.executable, "-c", run], env=env, text=True)
    assert output.split() == [stack.api, "5"]


def test_a_flow_run_of_the_worker_has_the_login_and_shows_what_it_says(stack: Stack) -> None:
    prefect = shlex.quote(PREFECT)
    shell(stack, f"{prefect} --no-prompt deploy --name register/tiny")
    watch = f"{prefect} deployment run register/tiny -p recipe=no-such-recipe --watch --watch-timeout 120"
    shown = shell(stack, f"{watch} || true")
    assert "no-such-recipe" in shown and "finished in state 'Failed'" in shown


def test_the_secret_is_on_no_command_line_and_in_no_log(stack: Stack) -> None:
    processes = stack.pipeline.processes()
    assert len(processes) >= 7
    assert not [p for p in processes if PASSWORD in " ".join(p.cmdline())]
    forms = [PASSWORD, quote(PASSWORD), base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()]
    files = [
        file
        for file in stack.pipeline.home.rglob("*")
        if file.is_file() and file.name not in ("login", "env")
    ]
    assert any(file.suffix == ".log" for file in files)
    assert not [f for f in files for form in forms if form.encode() in f.read_bytes()]
    assert not [form for form in forms if form in stack.said]


def test_nobody_else_may_read_the_home_and_nothing_lies_beside_it(stack: Stack) -> None:
    home = stack.pipeline.home
    modes = {path: path.stat().st_mode & 0o777 for path in (home, home / "login", home / "env")}
    assert list(modes.values()) == [0o700, 0o600, 0o600]
    assert {path.name for path in home.parent.iterdir()} == {home.name, f"{home.name}.log"}


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_person_logs_in_with_a_browser(stack: Stack, tmp_path: Path) -> None:
    prefect, login = stack.api.removesuffix("/api"), f"{USER}:{PASSWORD}"
    type_it = """(() => {
        const field = document.querySelector('input[type=password]');
        if (!field) return false;
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, LOGIN);
        field.dispatchEvent(new Event('input', {bubbles: true}));
        document.querySelector('button[type=submit]').click();
        return true;
    })()""".replace("LOGIN", json.dumps(login))
    with browser(tmp_path) as tab:
        tab.open(f"{prefect}/v2/work-pools")
        tab.until(type_it)
        tab.until("!document.querySelector('input[type=password]')")
        tab.open(f"{prefect}/v2/work-pools")
        tab.shows("gpu-65b")
        tab.open(stack.mlflow.replace("://", f"://{quote(USER)}:{quote(PASSWORD, safe='')}@"))
        tab.shows("Experiments")
        tab.open(f"{stack.mlflow}/#/experiments")
        tab.shows("Default")
