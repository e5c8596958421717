"""What MLflow shows of a version, by its own API: the card, scores, data, and nothing new the second time."""

import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from registered import Model
from trained import Trained

from llama_core.markdown import table
from llama_core.step import Step
from tasks.registry import card
from tasks.registry.card import LONGEST, SourceText, Training, how_to_load
from tasks.registry.details import MODEL_TAG, REPORT_TAG, link_report

HELD_OUT = {"bits_per_byte": 2.5, "unigram_bits_per_byte": 3.0, "ratio": 0.833}
FACTS = {
    "heldout": {"code": HELD_OUT, "docs": HELD_OUT | {"bits_per_byte": 2.75}},
    "tasks": {
        "hellaswag": {"status": "done", "score": 0.3125, "stderr": 0.05, "metric": "by characters", "n": 80},
        "gsm8k:maj1@100": {
            "status": "done",
            "score": 0.25,
            "stderr": 0.05,
            "metric": "maj1@4",
            "n": 80,
            "cut": 3,
            "figures": {'by "Answer:"': 0.125},
        },
        "arc_easy": {"status": "not run", "reason": "no files"},
    },
}


@pytest.fixture
def scored(model: Model, trained: Trained) -> Model:
    """A model with scores, and with the corpus and tokens that it was trained on."""
    step = Step(model.run.store, "evaluate", 1, {"of": "a test"}, {"data/hellaswag": "a" * 64})
    model.evaluation = step.commit([], facts=FACTS)
    model.lineage = dict(trained.inputs)
    return model


def test_a_version_shows_at_a_glance_what_it_is(scored: Model) -> None:
    made, api = scored.register(), MlflowClient()
    version = api.get_model_version("llama-micro", str(made.version))
    text = version.description
    assert len(text) <= LONGEST
    head = text.splitlines()[0]
    assert "M parameters" in head and "code 2.500, docs 2.750; hellaswag 31.2; gsm8k:maj1@100 25.0" in head
    for said in (
        "A base model",
        "| code",
        "80 items",
        "3 prompts cut",
        "no files",
        "Licences",
        "not run",
        "tasks.trace",
    ):
        assert said in text, said
    assert "](#/experiments/" in text, "links that MLflow's page follows"
    assert "models:/llama-micro@candidate" in api.get_registered_model("llama-micro").description
    steps = {key: value for key, value in version.tags.items() if key.startswith("step.")}
    assert steps["step.corpus"] == scored.lineage["corpus"].name
    assert all(len(value) < 40 for value in steps.values())


def test_scores_are_metrics_of_the_run_and_of_a_logged_model_that_names_the_version(scored: Model) -> None:
    made, api = scored.register(), MlflowClient()
    wanted = {
        "evaluation/bits_per_byte/code": 2.5,
        "evaluation/bits_per_byte/docs": 2.75,
        "evaluation/hellaswag": 0.3125,
        "evaluation/gsm8k/maj1_at_100": 0.25,
        "evaluation_figures/gsm8k/maj1_at_100/by _Answer:_": 0.125,
    }
    logged = api.get_logged_model(api.get_model_version("llama-micro", "1").tags[MODEL_TAG])
    assert {m.key: m.value for m in logged.metrics} == wanted
    assert logged.source_run_id == made.run_id and '"llama-micro"' in logged.tags["mlflow.modelVersions"]
    run = api.get_run(made.run_id)
    assert run.data.metrics.items() >= wanted.items()
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert "models/llama-micro/versions/1" in run.data.tags["mlflow.note.content"]


def test_the_data_are_inputs_of_the_run_with_their_digests(scored: Model) -> None:
    made = scored.register()
    inputs = MlflowClient().get_run(made.run_id).inputs.dataset_inputs
    found = {d.dataset.name: (d.dataset.digest, d.tags[0].value) for d in inputs}
    assert found["corpus"] == (scored.lineage["corpus"].digest[:36], "training")
    assert found["hellaswag"] == ("a" * 36, "evaluation")


def state(run_id: str) -> dict[str, Any]:
    """All that MLflow shows of the model, its versions and its run, with the times of changes."""
    api = MlflowClient()
    run = api.get_run(run_id)
    experiment = run.info.experiment_id
    return {
        "model": [dict(m) | {"latest_versions": None} for m in api.search_registered_models()],
        "versions": [dict(version) for version in api.search_model_versions("name = 'llama-micro'")],
        "tags": run.data.tags,
        "metrics": {key: len(api.get_metric_history(run_id, key)) for key in run.data.metrics},
        "inputs": len(run.inputs.dataset_inputs),
        "outputs": len(run.outputs.model_outputs),
        "logged": [m.to_dictionary() for m in api.search_logged_models([experiment])],
    }


def test_a_second_registration_changes_nothing_and_leaves_what_a_person_wrote(scored: Model) -> None:
    made, api = scored.register(), MlflowClient()
    link_report("llama-micro", 1, made.run_id, "file:///a/report.html")
    before = state(made.run_id)
    assert REPORT_TAG in before["tags"]
    assert scored.register() == made
    link_report("llama-micro", 1, made.run_id, "file:///a/report.html")
    assert state(made.run_id) == before
    api.update_model_version("llama-micro", "1", "our best")
    api.update_registered_model("llama-micro", "ours")
    scored.register()
    assert api.get_model_version("llama-micro", "1").description == "our best"
    assert api.get_registered_model("llama-micro").description == "ours"


def test_an_mlflow_that_cannot_show_all_of_it_registers_the_model(scored: Model, database: str) -> None:
    with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as opened:
        opened.execute("DROP TABLE logged_models")
        opened.commit()
    made = scored.register()
    version = MlflowClient().get_model_version_by_alias("llama-micro", "candidate")
    assert int(version.version) == made.version and "A base model" in version.description


@pytest.mark.slow
def test_the_card_tells_three_ways_that_work(scored: Model, tmp_path: Path) -> None:
    scored.register()
    text = MlflowClient().get_model_version("llama-micro", "1").description
    blocks = re.findall(r"```(\w+)\n(.*?)\n```", text, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "python", "sh"]
    python = "\n".join(code for kind, code in blocks if kind == "python")
    command = blocks[-1][1].replace("python -m", f"{shlex.quote(sys.executable)} -m", 1)
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    both = f"{shlex.quote(sys.executable)} -c {shlex.quote(python)} && {command}"
    done = subprocess.run(["bash", "-c", both], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "def main():" in done.stdout.splitlines()[-1] or "def main():" in done.stdout


def test_a_name_is_quoted_for_python_and_for_the_shell() -> None:
    uri = 'models:/it\'s "a" $(touch z)@candidate'
    python, _, shell = re.findall(r"```\w+\n(.*?)\n```", how_to_load(uri), re.DOTALL)
    [quoted] = re.findall(r"load_model\((.*)\)$", python, re.MULTILINE)
    assert eval(quoted) == uri
    assert shlex.split(shell)[3] == uri


def test_what_a_page_says_of_its_licence_is_shown_as_it_is_and_not_at_length() -> None:
    hostile = SourceText()
    hostile.licenses.update({"<script>|\n[x](javascript:1)": 3, "y" * 5000: 2, "": 1})
    text = card._licenses({"web": hostile}, 4)
    assert "\\<script\\>\\| \\[x\\](javascript" in text and len(text) < 400, "no tag, no cell, no link"
    assert "none stated (1)" in text
    assert card._licenses({"web": hostile}, 0).count("y") < 9


def test_energy_is_told_by_the_papers_factors_or_not_at_all() -> None:
    told = card._energy(Training(7.0, 10.0, 3.6e9))
    assert told == "1,000 kWh by the devices' own counters, 423.5 kg CO2 eq. by the paper's factors"
    assert card._energy(Training(7.0, 10.0, None)).startswith("not measured")


def test_a_table_keeps_its_cells_apart_on_mlflows_page() -> None:
    rows = [("a", "b|c"), ("d", "e")]
    assert card.cells(("x", "y"), rows).replace("&nbsp;", "").split() == table(("x", "y"), rows).split()
