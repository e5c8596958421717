"""What MLflow shows of a version besides its files: card, scores, data, links. None of it decides anything.

A person may edit all of it. What a registration finds is left as it is; only what is missing is written.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_MODEL_VERSIONS, MLFLOW_RUN_NOTE
from prefect.runtime import flow_run

from infra.prefect_server import HOST, STACK_PORT, announced
from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.evaluate.planned import promised
from llama_core.file_system import brief
from llama_core.url import redact
from tasks.evaluate import scores
from tasks.lineage import Lineage
from tasks.observe import warn
from tasks.registry.card import LONGEST, Place, SourceText, headline, model_card, texts, version_card
from tasks.run import Run
from tasks.tracking import named

MODEL_TAG = "llama.logged_model"  # the tag of a version that names the logged model with its metrics
REPORT_TAG = "llama.report"  # the tag of a version that names its report
TRAINING = "?workflowType=machine_learning"  # or MLflow's pages would be those for agents
DIGEST = 36  # characters of a dataset's digest, at most


@dataclass(frozen=True)
class Shown:
    """A version, and what is shown of it."""

    run: Run
    made: Lineage
    """The artifacts that went into it, by name, with `evaluate` and `export`."""
    name: str
    """The name of the registered model."""
    version: int
    run_id: str
    """The MLflow run of the training."""

    @property
    def trained(self) -> Artifact:
        """The training."""
        return self.made["train"]

    @cached_property
    def texts(self) -> dict[str, SourceText]:
        """What each source has given, by name."""
        return texts(self.made)


def show(shown: Shown) -> None:
    """Write what is missing of a version. Where MLflow refuses some of it, a line in the terminal says so."""
    api = MlflowClient()
    for what, write in {
        "the data of the training": _log_datasets,
        "the scores of the model": _log_scores,
        "the version": _describe_version,
        "the registered model": _describe_model,
        "the run": _describe_run,
    }.items():
        with _observed(what):
            write(api, shown)


@contextlib.contextmanager
def _observed(what: str) -> Iterator[None]:
    try:
        yield
    except (mlflow.MlflowException, LlamaError) as error:
        warn(f"      MLflow does not show {what} ({brief(error)}): the version itself is whole")


def _log_datasets(api: MlflowClient, shown: Shown) -> None:
    """Make the text that was trained on, and the benchmarks, inputs of the run: each with its digest."""
    inputs, made = api.get_run(shown.run_id).inputs, shown.made
    there = {(d.dataset.name, d.dataset.digest) for d in inputs.dataset_inputs} if inputs else set()
    found = [("corpus", made["corpus"].digest, made["corpus"])] if "corpus" in made else []
    sources = {name: name.removeprefix("ingest.") for name in made if name.startswith("ingest.")}
    found += [(source, made[name].digest, made[name]) for name, source in sources.items()]
    outside = made["evaluate"].manifest["inputs"]
    sets = [(name, digest, made["evaluate"]) for name, digest in promised(outside).items()]
    new = [_dataset(shown, *d) for d in (*found, *sets) if (d[0], d[1][:DIGEST]) not in there]
    if new:
        api.log_inputs(shown.run_id, new)


def _dataset(shown: Shown, name: str, digest: str, at: Artifact) -> DatasetInput:
    kind = "local" if at.store.is_local else at.url.partition("://")[0]
    source = json.dumps({"uri": redact(at.store.path() if at.store.is_local else at.url)})
    profile: dict[str, Any] = {"digest": digest}
    if at.stage == "ingest":
        text = shown.texts.get(name, SourceText())
        profile |= {"share": shown.run.recipe.mixture.get(name), "documents": text.documents}
        profile |= {"bytes": text.bytes, "tokens": text.tokens}
    elif at.stage == "corpus":
        profile |= at.counts
    context = "evaluation" if at.stage == "evaluate" else "training"
    dataset = Dataset(name, digest[:DIGEST], kind, source, profile=json.dumps(profile))
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)])


def _log_scores(api: MlflowClient, shown: Shown) -> None:
    """Make the scores metrics of the run and of a logged model, by which MLflow compares versions.

    A version of the registry has no metrics of its own in MLflow's database.
    """
    model_id = _logged_model(api, shown)
    known = {m.key: m.value for m in api.get_logged_model(model_id).metrics or []}
    step, now = shown.trained.counts.get("steps", 0), int(time.time() * 1000)
    wanted = named(scores(shown.made["evaluate"]))
    new = [Metric(k, v, now, step, model_id=model_id) for k, v in wanted.items() if known.get(k) != v]
    if new:
        api.log_batch(shown.run_id, metrics=new)


def _logged_model(api: MlflowClient, shown: Shown) -> str:
    """Return the id of the version's logged model, which is made if there is none yet."""
    tags = api.get_model_version(shown.name, str(shown.version)).tags
    if MODEL_TAG in tags:
        return tags[MODEL_TAG]
    run = api.get_run(shown.run_id)
    recipe, exported = shown.run.recipe, shown.made["export"]
    vocab_size = recipe.tokenizer.vocab_size
    params = {
        "recipe": recipe.name,
        "parameters": recipe.model.n_params(vocab_size),
        "vocab_size": vocab_size,
    }
    params |= {"tokens": shown.trained.facts.get("tokens", recipe.train.tokens)}
    params |= {key: getattr(recipe.model, key) for key in ("dim", "n_layers", "n_heads")}
    made = api.create_logged_model(
        run.info.experiment_id,
        name=f"{recipe.name}-{exported.id[:8]}",
        source_run_id=shown.run_id,
        params={key: str(value) for key, value in params.items()},
        tags={
            MLFLOW_MODEL_VERSIONS: json.dumps([{"name": shown.name, "version": str(shown.version)}]),
            "llama.export": exported.url,
            # its files are not where MLflow would put them
            "mlflow.model.isExternal": "true",
        },
        model_type="LLaMA",
    )
    api.finalize_logged_model(made.model_id, "READY")
    steps = shown.trained.counts.get("steps", 0)
    api.log_outputs(shown.run_id, [LoggedModelOutput(made.model_id, steps)])
    api.set_model_version_tag(shown.name, str(shown.version), MODEL_TAG, made.model_id)
    return str(made.model_id)


def _describe_version(api: MlflowClient, shown: Shown) -> None:
    version = api.get_model_version(shown.name, str(shown.version))
    if version.description:
        return
    text = version_card(
        shown.run, shown.made, shown.texts, f"models:/{shown.name}/{shown.version}", _places(api, shown)
    )
    api.update_model_version(shown.name, str(shown.version), text)


def _describe_model(api: MlflowClient, shown: Shown) -> None:
    if not api.get_registered_model(shown.name).description:
        recipe = shown.run.recipe
        api.update_registered_model(shown.name, model_card(shown.name, recipe.name, recipe.register_.alias))


def _describe_run(api: MlflowClient, shown: Shown) -> None:
    if MLFLOW_RUN_NOTE not in api.get_run(shown.run_id).data.tags:
        own = Place(
            f"{shown.name}, version {shown.version}",
            f"#/models/{quote(shown.name, safe='')}/versions/{shown.version}{TRAINING}",
        )
        places = [own, *_places(api, shown)[1:]]
        text = f"{headline(shown.run, shown.made)}.\n\n{' · '.join(place.shown() for place in places)}"
        api.log_batch(shown.run_id, tags=[RunTag(MLFLOW_RUN_NOTE, text)])


def _places(api: MlflowClient, shown: Shown) -> list[Place]:
    """Return what a card links to: first the curves of the run."""
    experiment = api.get_run(shown.run_id).info.experiment_id
    inside = f"#/experiments/{experiment}"
    places = [
        Place("curves of the training", f"{inside}/runs/{shown.run_id}/model-metrics{TRAINING}"),
        Place("scores of all models", f"{inside}/models{TRAINING}"),
    ]
    if flow_run.id:
        places.append(Place(f"Prefect run {flow_run.name}", _flow_url()))
    if page := shown.made.get("corpus_page"):
        places.append(Place("corpus page", page.store.url_of(page.shard("page").object(".html").name)))
    return places


def link_report(name: str, version: int, run_id: str, url: str) -> None:
    """Name the report of a version in its card and among the tags of it and of its run, once."""
    api, url = MlflowClient(), redact(url)
    with _observed("the report"):
        found = api.get_model_version(name, str(version))
        if found.tags.get(REPORT_TAG) == url:
            return
        before = found.tags.get(REPORT_TAG)
        text = found.description or ""
        text = text.replace(before, url) if before else f"{text}\n\n{Place('report', url).shown()}"
        if len(text) <= LONGEST:
            api.update_model_version(name, str(version), text)
        api.set_model_version_tag(name, str(version), REPORT_TAG, url)
        api.set_tag(run_id, REPORT_TAG, url)


def _flow_url() -> str:
    """Return where Prefect shows this flow run. A run's own server ends with it; a stack shows it later."""
    url, own = str(flow_run.ui_url), announced()
    if own and not own.get("stays") and url.startswith(f"http://{HOST}:{own['port']}/"):
        return url.replace(f":{own['port']}/", f":{STACK_PORT}/", 1)
    return url
