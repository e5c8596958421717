"""What ends a job that a flow watches, and what does not."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Running

from llama_core.errors import LaunchError
from llama_core.job import Job
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from tasks import launch, observe


def test_an_error_of_a_listener_ends_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    heard = []

    def listener(values: dict[str, int]) -> None:
        heard.append(values["step"])
        raise RuntimeError(f"no room for {values}")

    with caplog.at_level("WARNING"):
        for line in ('{"step": 1}', '{"step": 2', '{"step": 3}'):  # a full disk has cut the second
            launch._listen(listener, line)
    assert heard == [1, 3]
    assert [r.getMessage() for r in caplog.records] == [
        "      RuntimeError in watching: no room for {'step': 1}"
    ]


@pytest.mark.parametrize("noticed", [True, False])
def test_ctrl_c_leaves_the_job_and_a_second_one_cancels_it(
    noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may come while the log is read, or while a listener works."""

    def asked() -> launch.Asked:
        one = launch.Asked("llama-train-1")
        if noticed:
            with pytest.raises(KeyboardInterrupt), one:
                raise KeyboardInterrupt
        return one

    error = GeneratorExit() if noticed else KeyboardInterrupt()
    monkeypatch.setattr(launch, "SECOND", 0.1)
    alone = asked()
    assert not alone.cancel(error) and alone.left

    monkeypatch.setattr(launch, "SECOND", 30)
    second = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    again = asked()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of pytest's ignores it
    try:
        second.start()
        assert again.cancel(error) and not again.left
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_flow_that_somebody_cancels_takes_its_job_along_and_one_that_crashes_does_not(
    prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.pretrain import pretrain

    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as client:
        run = client.create_flow_run(pretrain, state=Running())
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(run.id))
        assert not observe.is_cancelled()
        crashed = launch.Asked("llama-train-1")
        assert not crashed.cancel(SystemExit(1)) and crashed.left
        client.set_flow_run_state(run.id, Cancelling(), force=True)
        assert observe.is_cancelled()
        assert launch.Asked("llama-train-1").cancel(SystemExit(1))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert not observe.is_cancelled(), "a server that is away cancels nothing"


@pytest.mark.parametrize("away", [True, False])
def test_a_job_goes_on_where_its_launcher_is_away_for_too_long_to_adopt_it(
    away: bool, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What Slurm says otherwise ends the training, and MLflow shows it as failed."""
    said = "Unable to contact slurm controller (connect failure)" if away else "Invalid user id"
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\necho 'slurm_load_jobs error: {said}' >&2\nexit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("infra.launch.run.PATIENCE", -1.0)
    job = Job(Step(store, "train", 1, {}), load_recipe("micro", {"launch.launcher": "slurm"}))
    with pytest.raises(LaunchError, match=re.escape(said)) as error:
        launch.launch(job, "llama_core.train")
    assert getattr(error.value, launch.GOES_ON) is away


def test_of_two_flows_that_make_a_step_on_one_machine_the_second_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(launch, "LOOK_EVERY", 0.01)
    step, order = Step(store, "train", 1, {}), list[str]()

    def second() -> None:
        with launch.alone(Step(store, "train", 1, {})):
            order.append("second")

    thread = threading.Thread(target=second)
    with caplog.at_level("INFO"), launch.alone(step), launch.alone(Step(store, "train", 1, {"another": 1})):
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert [r.getMessage().split(":")[0].split()[:3] for r in caplog.records] == [
        ["another", "flow", "makes"]
    ]


def test_a_home_that_cannot_be_written_does_not_keep_a_flow_from_its_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_HOME", "/proc/none")
    with launch.alone(Step(store, "train", 1, {})):
        pass
