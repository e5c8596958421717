"""One whole run of `micro`, from raw text to the registry, and what a person finds afterwards."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from mlflow.tracking import MlflowClient
from pipeline import ROOT, Pipeline, how_made

from llama_core.errors import InputError
from llama_core.recipes.load import load_recipe
from llama_core.tokens.given import given
from tasks.trace.__main__ import main as trace

STAGES = "corpus corpus_page dedup evaluate export ingest report tokenizer tokens train".split()  # noqa: SIM905
LABELS = (
    "corpus|corpus page|dedup|evaluate|export|ingest code|ingest docs|register|report|tokenizer|tokens|train"
)


def test_every_stage_leaves_a_finished_artifact(micro: Pipeline) -> None:
    assert sorted(micro.artifacts()) == STAGES


def test_nothing_is_left_running(micro: Pipeline) -> None:
    assert micro.ends(within=10) == []


def test_the_report_shows_that_the_sums_hold(micro: Pipeline) -> None:
    report = micro.artifact("report")
    text = report.read(report.shard("report").object(".md")).decode()
    sums = [line for line in text.splitlines() if line.endswith("| yes |")]
    assert len(sums) == 5, "two sources, dedup, corpus, tokens"
    assert "| NO |" not in text
    assert "near" in text.split("## Duplicates")[1].split("##")[0]
    assert "Not run: no evaluation sets" in text.split("## Decontamination")[1].split("##")[0]
    page = report.read(report.shard("report").object(".html")).decode()
    assert "<svg" in page and "<table>" in page
    assert "drawn with temperature 0.8, top-p 0.95 and seed 1" in page
    assert re.search(r"Goodput \d+\.\d%: the steps that count took so much of \d:\d\d", text)


def test_the_report_shows_names_with_underscores_as_they_are(micro: Pipeline) -> None:
    report, examples = micro.artifact("report"), micro.artifact("dedup").facts["examples"]
    page = report.read(report.shard("report").object(".html")).decode()
    assert any("_" in example["dropped"] for example in examples)
    for example in examples:
        assert f"<td><code>{example['dropped']}</code></td>" in page
    assert "hellaswag, winogrande, arc_easy, arc_challenge" in page, "the benchmarks that are not run"


def test_the_report_has_the_papers_tables_with_this_model(micro: Pipeline) -> None:
    report = micro.artifact("report")
    text = report.read(report.shard("report").object(".md")).decode()
    page = report.read(report.shard("report").object(".html")).decode()
    evaluation = text.split("## Evaluation")[1].split("## Samples")[0]
    assert re.search(r"^\| llama-micro \| CPU .* \|$", evaluation, re.MULTILINE), "Table 15"
    assert "Without a value: Table 3" in evaluation and "### Table 3" not in evaluation
    folded = page.split("<details>")[1].split("</details>")[0]
    assert "Table 3: " in folded and "llama-micro" in folded
    assert page.index('aria-label="training loss"') < page.index("<h2>Evaluation</h2>")


def test_the_report_links_to_the_corpus_page(micro: Pipeline) -> None:
    report = micro.artifact("report")
    entry = report.shard("report").object(".html")
    [link] = re.findall(r'href="([^"]+corpus\.html)"', report.read(entry).decode())
    page = (Path(report.store.path(entry.name)).parent / link).resolve()
    assert page == Path(micro.artifact("corpus_page").store.path()).resolve() / page.parent.name / page.name
    text = page.read_text()
    assert "DOES NOT HOLD" not in text and text.count("<svg") == 2, "a picture for each source"
    assert "Decontamination: not run (no evaluation sets were given)" in text


def test_the_model_is_better_than_a_unigram_model(micro: Pipeline) -> None:
    for source, result in micro.artifact("evaluate").facts["heldout"].items():
        assert 0 < result["bits_per_byte"] < result["unigram_bits_per_byte"], source


def test_benchmarks_without_data_are_not_run_and_have_no_score(micro: Pipeline) -> None:
    for task, result in micro.artifact("evaluate").facts["tasks"].items():
        assert result["status"] == "not run", task
        assert "score" not in result


@pytest.fixture
def registry(micro: Pipeline, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    uri = f"sqlite:///{micro.home}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return MlflowClient(uri)


def test_the_registered_version_points_at_the_store_and_knows_where_it_came_from(
    micro: Pipeline, registry: MlflowClient
) -> None:
    version = registry.get_model_version_by_alias("llama-micro", "candidate")
    assert version.source.startswith(micro.artifact("export").url)
    for stage in ("corpus", "tokenizer", "tokens", "train"):
        assert version.tags[f"step.{stage}"] == micro.artifact(stage).name
    assert version.tags["llama.digest"] == micro.artifact("train").digest
    history = registry.get_metric_history(version.run_id, "loss")
    assert sorted(m.step for m in history) == list(range(1, load_recipe("micro").train.steps + 1))
    assert 0 < registry.get_run(version.run_id).data.metrics["goodput"] <= 1


def test_a_version_leads_back_to_its_raw_files_and_a_snippet_to_its_documents(
    micro: Pipeline, registry: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(["models:/llama-micro@candidate", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["version"]["aliases"] == ["candidate", "champion"], "the first with scores"
    stages = {step["stage"] for step in value["steps"]}
    assert {"export", "train", "tokens", "tokenizer", "corpus", "dedup", "ingest"} <= stages
    assert {link["state"] for step in value["steps"] for link in step["inputs"]} <= {"same", "implied"}
    [first, *_] = [file for step in value["steps"] for file in step["files"]]
    assert first["file"].startswith("pypi:") and len(first["digest"]) == 64
    assert trace([micro.artifact("train").url, "--snippet", "import ", "--limit", "2", "--json"]) == 0
    for document in json.loads(capsys.readouterr().out)["documents"]:
        assert "import " in document["around"] and document["raw_file"].startswith("pypi:")
        assert [decision["keep"] for decision in document["decisions"]] == [True]
    assert trace(["models:/llama-micro/1", "--snippet", "import "]) == 0
    assert "dedup/" in capsys.readouterr().out
    assert trace(["models:/llama-micro/1", "--snippet", "no such text, surely \x00"]) == 1


@pytest.mark.slow
def test_the_model_loads_from_the_registry_where_this_project_is_not_installed_and_predicts(
    micro: Pipeline, registry: MlflowClient
) -> None:
    program = """
import json, sys
sys.modules["llama_core"] = None
import mlflow, pandas
model = mlflow.pyfunc.load_model("models:/llama-micro@candidate")
short, long = ({"max_new_tokens": n} for n in (2, 8))
listed = ["def main():"]
frame = pandas.DataFrame({"prompt": listed})
print(json.dumps([model.predict(*asked) for asked in ((listed, long), (listed, short), (frame, short))]))
"""
    env = os.environ | {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=micro.home, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [long], [short], [from_frame] = json.loads(done.stdout.splitlines()[-1])
    assert from_frame == short
    assert len(long) > len(short) > 0 and long.startswith(short)


def test_a_second_run_reuses_every_step_though_it_is_executed_in_another_way(micro: Pipeline) -> None:
    before = set(micro.store.list())
    output = micro.ok("launch.procs_per_node=1", "layout.micro_batch=2", "run.workers=1", "run.log_every=7")
    made = how_made(output)
    assert sorted(made) == LABELS.split("|")
    assert set(made.values()) == {"reused"}
    assert set(micro.store.list()) == before
    indented = [line for line in output.splitlines() if line.startswith(" " * 6) and line.strip()]
    told = " ".join(line.split()[0] for line in indented)
    assert "page card read trace" in told, "where the corpus lies and how to look at it"


@pytest.mark.slow
def test_a_run_may_use_tokens_that_are_there_whatever_its_recipe_says_of_their_making(
    micro: Pipeline,
) -> None:
    tokens, corpus = micro.artifact("tokens"), micro.artifact("corpus")
    code, output = micro.run("--flow", "train", f"run.use={tokens.name}", "corpus.dedup.threshold=0.9")
    assert code == 0, output
    made = how_made(output)
    assert sorted(made) == ["corpus", "corpus page", "tokenizer", "tokens", "train"]
    assert set(made.values()) == {"reused"}

    recipe = load_recipe("micro", {"run.use": corpus.name})
    found = given(recipe, micro.store)
    assert {d.ingested.stage for d in found.documents.values()} == {"ingest"}
    assert corpus.parents == {s: [a.name for a in d.stages] for s, d in found.documents.items()}
    for named, wrong in (
        ({"run.use": tokens.name, "tokenizer.vocab_size": 500}, "pieces: set tokenizer.vocab_size"),
        ({"run.use": "corpus/0123456789abcdef"}, "there is no finished step"),
    ):
        with pytest.raises(InputError, match=f"run.use: .*{wrong}"):
            given(load_recipe("micro", named), micro.store)
    with pytest.raises(InputError, match="has the sources code, docs, and mixture names code"):
        given(recipe.model_copy(update={"mixture": {"code": 1.0}}), micro.store)


def test_bytes_per_token_are_shown_in_the_terminal_and_as_a_table_in_prefect(
    micro: Pipeline, prefect_url: str
) -> None:
    assert "bytes per token: code " in micro.said
    asked = {"artifacts": {"key": {"any_": ["bytes-per-token"]}}}
    table, *_ = httpx.post(f"{prefect_url}/artifacts/filter", json=asked, timeout=30).json()
    assert '"source": "docs"' in table["data"]


def test_the_deployed_flows_take_what_prefect_yaml_gives_them() -> None:
    import yaml

    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        if recipe := deployment.get("parameters", {}).get("recipe"):
            assert load_recipe(recipe)
