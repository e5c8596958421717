"""Deployments as a person uses them: the stack, `prefect deploy`, a run, and what is seen of it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from listening import sockets_of
from mlflow.tracking import MlflowClient
from pipeline import Pipeline
from system.browser import CHROMIUM, browser
from system.stack import PREFECT, Stack
from system.stranger import page, tries

from llama_core.recipes.load import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def stack(micro: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """After `micro`, which names a server in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT_API_URL", "LLAMA_STORE"):
            patch.delenv(name, raising=False)
        stack = Stack(tmp_path_factory.mktemp("stack"))
        try:
            stack.start()
            stack.prefect("--no-prompt", "deploy", "--all")
            yield stack
        finally:
            stack.pipeline.kill()


def test_every_size_and_every_stage_has_a_deployment_and_the_large_sizes_their_pools(stack: Stack) -> None:
    flows = {flow["id"]: flow["name"] for flow in stack.ask("flows")}
    pools = {f"{flows[d['flow_id']]}/{d['name']}": d["work_pool_name"] for d in stack.ask("deployments")}
    large = {f"pretrain/{size}": f"gpu-{size}" for size in ("7b", "13b", "33b", "65b")}
    small = ("pretrain", "corpus", "tokenizer", "tokens", "train", "evaluate", "register")
    data = {"corpus/llama-v1": "local", "corpus/llama-v1-trial": "local"}
    assert pools == large | data | {f"{flow}/tiny": "local" for flow in small}


def test_the_parameters_of_every_deployment_are_a_recipe_that_loads(stack: Stack) -> None:
    for deployment in stack.ask("deployments"):
        load_recipe(deployment["parameters"]["recipe"], deployment["parameters"].get("overrides"))


def test_a_watched_run_completes_and_shows_progress_tables_a_report_and_the_registered_model(
    stack: Stack,
) -> None:
    stack.prefect(
        "deployment", "run", "pretrain/tiny", "--watch",
        "-p", "recipe=micro", "-p", f"store={stack.pipeline.store_url}",
        "-p", 'overrides={"run.log_every": 5}',
    )  # fmt: skip
    [run] = [r for r in stack.ask("flow_runs") if r["parameters"].get("recipe") == "micro"]
    assert run["state_type"] == "COMPLETED"
    shown = {a["type"] for a in stack.ask("artifacts", flow_runs={"id": {"any_": [run["id"]]}})}
    assert {"progress", "table", "markdown"} <= shown

    steps = load_recipe("micro").train.steps
    for tracker in (
        MlflowClient(f"sqlite:///{stack.pipeline.home}/mlflow/mlflow.db"),
        MlflowClient(f"http://127.0.0.1:{stack.ports['--mlflow-port']}"),
    ):
        experiment = tracker.get_experiment_by_name("llama-pretrain")
        assert experiment
        [tracked] = tracker.search_runs([experiment.experiment_id])
        assert [m.step for m in tracker.get_metric_history(tracked.info.run_id, "loss")] == list(
            range(1, steps + 1)
        )
        [version] = tracker.search_model_versions("name = 'llama-micro'")
        assert version.run_id == tracked.info.run_id


def test_a_size_that_this_machine_cannot_hold_ends_and_says_what_it_needs(stack: Stack) -> None:
    watched = stack.watch("pretrain/65b")
    assert "finished in state 'Failed'" in watched and "stack-gpu-65b" in watched
    [run] = [r for r in stack.ask("flow_runs") if r["parameters"].get("recipe") == "65b"]
    shown_in_the_ui = run["state"]["message"]
    for said in (
        "recipe 65b needs 256 nodes x 8 processes on cuda",
        "sinfo",
        "Here is this machine with",
        "make pretrain RECIPE=65b SET=launch.launcher=slurm",
        "prefect worker start --pool gpu-65b",
        "a smaller recipe such as tiny",
    ):
        assert said in watched and said in shown_in_the_ui
    assert "Traceback" not in watched


def test_a_pool_that_another_worker_serves_is_left_to_it(stack: Stack) -> None:
    command = [PREFECT, "worker", "start", "--pool", "gpu-7b", "--name", "on-a-login-node"]
    with subprocess.Popen(
        command, env=stack.pipeline.environment(), stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout
            while "started" not in other.stdout.readline():
                assert other.poll() is None
            watched = stack.watch("pretrain/7b")
            assert "on-a-login-node" in watched and "stack-gpu-7b" not in watched
        finally:
            other.kill()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_browser_shows_the_run_the_deployments_and_the_registered_model(
    stack: Stack, tmp_path: Path
) -> None:
    """After the run of the test before."""
    [run] = [r for r in stack.ask("flow_runs") if r["parameters"].get("recipe") == "micro"]
    prefect = f"{stack.api.removesuffix('/api')}/v2"
    mlflow = f"http://127.0.0.1:{stack.ports['--mlflow-port']}/#"
    with browser(tmp_path) as tab:
        for url, shown in {
            f"{prefect}/runs/flow-run/{run['id']}": ["Completed", "ingest code", "Artifacts"],
            f"{prefect}/deployments": ["65b", "tiny", "tokenizer"],
            f"{mlflow}/models/llama-micro": ["candidate", "step.corpus", "A base model"],
        }.items():
            tab.open(url)
            tab.shows(*shown)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "elsewhere.test"])
def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(
    host: str, stack: Stack, tmp_path: Path
) -> None:
    [deployment] = [d for d in stack.ask("deployments") if d["tags"] == ["register", "tiny"]]
    targets = {"api": stack.api, "mlflow": stack.mlflow, "ws": stack.api.replace("http", "ws")}
    targets |= {"deployment": deployment["id"]}

    def state() -> tuple[object, ...]:
        tracker = MlflowClient(stack.mlflow)
        return (
            {run["id"] for run in stack.ask("flow_runs")},
            [(pool["name"], pool["is_paused"]) for pool in stack.ask("work_pools")],
            {experiment.name for experiment in tracker.search_experiments()},
        )

    before = state()
    with page(targets) as port, browser(tmp_path, "--host-resolver-rules=MAP *.test 127.0.0.1") as tab:
        tried = tries(f"http://{host}:{port}", tab)
    assert tried.pop("own") == "200 mine", "the page does ask"
    assert len(tried) == 13
    read = {name: what for name, what in tried.items() if not what.startswith("Error")}
    assert read.items() <= {"prefect_run_blind": "opaque", "mlflow_make_blind": "opaque"}.items()
    assert state() == before


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_page_whose_own_name_leads_here_is_refused(stack: Stack, tmp_path: Path) -> None:
    with browser(tmp_path, "--host-resolver-rules=MAP *.test 127.0.0.1") as tab:
        for url in (f"{stack.api}/work_pools/local", stack.mlflow, f"{stack.mlflow}/health"):
            tab.open(url.replace("127.0.0.1", "elsewhere.test"))
            tab.shows("Refused", "see the Host header")


def test_a_run_sets_no_command_and_no_variable_that_executes_code(stack: Stack) -> None:
    before = {run["id"] for run in stack.ask("flow_runs")}
    [deployment] = [d for d in stack.ask("deployments") if d["tags"] == ["register", "tiny"]]
    url = f"{stack.api}/deployments/{deployment['id']}"

    def asked(variables: dict[str, object]) -> tuple[int, int]:
        body = {"job_variables": variables, "state": {"type": "PAUSED"}}
        made = httpx.post(f"{url}/create_flow_run", json=body, timeout=30)
        pool = {"job_variables": variables, "work_pool_name": "local"}
        for _ in range(5):
            changed = httpx.patch(url, json=pool, timeout=30)
            if changed.status_code != 503:  # Prefect's SQLite was locked
                break
            time.sleep(1)
        return made.status_code, changed.status_code

    for variables in (
        {"command": "touch executed"},
        {"working_dir": "/tmp"},
        {"env.PYTHONPATH": "/tmp"},
        {"env": {"LD_PRELOAD": "x.so"}},
        {"env": {"LLAMA_STORE": "s3://a", "AWS_CONFIG_FILE": "/proc/self/environ"}},
    ):
        assert asked(variables) == (422, 409), variables
    assert {run["id"] for run in stack.ask("flow_runs")} == before
    assert asked({"env": {"LLAMA_STORE": "s3://a", "AWS_REGION": "b"}}) == (201, 204)
    assert httpx.patch(url, json={"job_variables": {}}, timeout=30).status_code == 204


def test_a_schedule_and_an_automation_stay_as_a_person_has_switched_them(stack: Stack) -> None:
    name = "train-tiny-when-its-corpus-is-ready"

    def found() -> tuple[str, dict[str, Any], dict[str, Any]]:
        [(deployment, schedule)] = [(d["id"], s) for d in stack.ask("deployments") for s in d["schedules"]]
        [automation] = [a for a in stack.ask("automations") if a["name"] == name]
        return deployment, schedule, automation

    def switches() -> tuple[bool, bool]:
        _, schedule, automation = found()
        return schedule["active"], automation["enabled"]

    def switch(on: bool, enabled: bool) -> None:
        deployment, schedule, automation = found()
        for place, change in (
            (f"deployments/{deployment}/schedules/{schedule['id']}", {"active": on}),
            (f"automations/{automation['id']}", {"enabled": enabled}),
        ):
            while (done := httpx.patch(f"{stack.api}/{place}", json=change, timeout=30)).status_code == 503:
                time.sleep(0.5)  # SQLite is locked
            done.raise_for_status()

    assert switches() == (False, True)
    switch(True, False)
    stack.prefect("--no-prompt", "deploy", "--all")
    assert switches() == (True, False)
    switch(False, True)
    stack.prefect("--no-prompt", "deploy", "--name", "pretrain/tiny", "--name", "train/tiny")
    assert switches() == (False, True)


def test_the_stack_listens_on_loopback_at_its_two_ports_and_nowhere_else(stack: Stack) -> None:
    sockets = sockets_of(stack.pipeline.processes())
    assert {(ip, port) for ip, port, _ in sockets} == {("127.0.0.1", port) for port in stack.ports.values()}


@pytest.fixture
def store(micro: Pipeline, tmp_path: Path) -> str:
    """A store with the steps of micro up to the tokens."""
    pipeline = Pipeline(tmp_path, f"file://{tmp_path}")
    pipeline.begin_with(micro, "ingest", "dedup", "corpus", "corpus_page", "tokenizer", "tokens")
    return pipeline.store_url


def test_a_killed_flow_run_starts_again_by_itself_and_completes(stack: Stack, store: str) -> None:
    run = stack.begin(store)
    [flow] = [p for p in stack.pipeline.processes() if p.environ().get("PREFECT__FLOW_RUN_ID") == run and
              "prefect.engine" in p.cmdline()]  # fmt: skip
    flow.kill()
    assert stack.await_completed(run)["run_count"] == 2


def test_a_run_that_was_lost_with_the_stack_goes_on_when_the_stack_is_back(stack: Stack, store: str) -> None:
    run = stack.begin(store)
    stack.kill()
    stack.start()
    assert stack.await_completed(run)["run_count"] == 2


def test_a_cancelled_run_ends_its_training_and_is_killed_in_mlflow(stack: Stack, store: str) -> None:
    before = {run["id"] for run in stack.ask("flow_runs")}
    long = 'overrides={"train.tokens": 2048000}'
    stack.prefect(
        "deployment", "run", "train/tiny", "-p", "recipe=micro", "-p", f"store={store}", "-p", long
    )  # fmt: skip
    [run] = [r["id"] for r in stack.ask("flow_runs") if r["id"] not in before]
    mlflow = MlflowClient(f"sqlite:///{stack.pipeline.home}/mlflow/mlflow.db")

    def statuses() -> list[str]:
        experiment = mlflow.get_experiment_by_name("llama-pretrain")
        return [r.info.status for r in mlflow.search_runs([experiment.experiment_id])] if experiment else []

    deadline = time.monotonic() + 300
    while "RUNNING" not in statuses():
        assert time.monotonic() < deadline, stack.state(run)
        time.sleep(0.5)
    stack.prefect("flow-run", "cancel", run)
    while stack.state(run)["state_type"] != "CANCELLED" or "RUNNING" in statuses():
        assert time.monotonic() < deadline, stack.state(run)
        time.sleep(0.5)
    assert statuses().count("KILLED") == 1


def test_a_corpus_that_is_ready_starts_a_training_with_what_it_was_asked_for_with(stack: Stack) -> None:
    stack.prefect("work-pool", "pause", "local")  # the run is to be seen, not to be done
    asked = {"recipe": "s3://bucket/my-tiny.yaml", "overrides": {"corpus.holdout": ["click"]}, "store": None}
    emit = (
        "from prefect.events import emit_event; "
        "resource = {'prefect.resource.id': 'llama.corpus.0', 'llama.recipe': %r}; "
        f"emit_event('llama.corpus.ready', resource, payload={asked!r})"
    )
    train = {"flows": {"name": {"any_": ["train"]}}}
    before = stack.ask("flow_runs", **train)
    for recipe in ("7b", "tiny"):
        subprocess.run([sys.executable, "-c", emit % recipe], env=stack.pipeline.environment(), check=True)
    deadline = time.monotonic() + 60
    while len(stack.ask("flow_runs", **train)) == len(before):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(3)
    known = {run["id"] for run in before}
    runs = [run for run in stack.ask("flow_runs", **train) if run["id"] not in known]
    assert [run["parameters"] for run in runs] == [asked]


def test_ctrl_c_ends_every_process_of_the_stack(stack: Stack) -> None:
    stack.interrupt()
