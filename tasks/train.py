"""Train: pretraining by torchrun, which can be watched in the terminal, in Prefect and in MLflow."""

import time
from contextlib import nullcontext
from typing import Any

from llama_core.artifact import Artifact
from llama_core.job import Job
from llama_core.step import Implied, Input, Named, Step
from llama_core.train import REVISION
from llama_core.train.metrics.goodput import Goodput, goodput
from llama_core.train.metrics.names import INTERRUPTION
from llama_core.train.metrics.names import VALIDATION as NAME
from llama_core.train.metrics.record import records
from tasks import tracking
from tasks.evaluation import during
from tasks.export import import_for_export
from tasks.launch import launch
from tasks.lineage import started_from, step_tags
from tasks.observe import Progress, clock, live, say
from tasks.run import Run
from tasks.step import made, reused, stage


@stage("train")
def train(run: Run, corpus: Artifact, tokenizer: Artifact, tokens: Artifact) -> Artifact:
    """Pretrain the recipe's model, and log it to its MLflow run; or take the imported one that it names.

    `corpus`: what the tokens were made from, which the evaluations of checkpoints name (see `during`).
    """
    recipe, step = run.recipe, training(run, tokenizer, tokens)
    imported = _imported(run, tokenizer)
    lineage = step_tags({"tokens": tokens, "tokenizer": tokenizer}) | started_from(recipe)
    run_id = tracking.training_run(run, imported.name if imported else step.name, lineage)
    started = time.monotonic()
    artifact, spent = imported or step.finished(), None
    if artifact:
        reused(artifact)
    else:
        data = during.Data(corpus, tokenizer, tokens)
        with tracking.running(run_id), during.evaluated(run, data, step):
            artifact = _follow(Job(step, recipe), run_id)
        made(artifact, time.monotonic() - started)
        spent = goodput(records(artifact))
        _say_goodput(spent)
    tracking.conclude(run_id, artifact, spent)
    return artifact


def training(run: Run, tokenizer: Artifact, tokens: Artifact) -> Step:
    """Return the step of the recipe's training, finished or not."""
    recipe = run.recipe
    identity = {
        "model": recipe.model.identity(),
        "train": recipe.train.identity(),
        "mixture": recipe.mixture,
        "vocab_size": recipe.tokenizer.vocab_size,
    }
    inputs: dict[str, Input | str] = {"tokens": tokens, "tokenizer": Implied(tokenizer)}
    if start := recipe.train.start_from:
        inputs |= {"start_from": Named(start.step)}
    return Step(run.store, "train", REVISION, identity, inputs, recipe.execution())


def _imported(run: Run, tokenizer: Artifact) -> Artifact | None:
    """Return the imported model that the recipe names in the place of a training, or None."""
    if run.recipe.train.imported is None:
        return None
    from llama_core.train.start import check_tokenizer  # torch is slow to import

    artifact = Artifact.load(run.store, run.recipe.train.imported)
    check_tokenizer(artifact, tokenizer)
    return artifact


def _follow(job: Job, run_id: str) -> Artifact:
    """Launch the training, show its metrics and log them to MLflow, and return the artifact."""
    every = job.recipe.run.log_every
    progress = Progress("train-progress", job.recipe.train.steps, "steps")
    here = job.recipe.launch.launcher == "local"
    seen, began = tracking.steps_of(run_id), time.time()
    with tracking.Tracker(run_id, seen) as tracker, tracker.watched() if here else nullcontext():

        def show(record: dict[str, Any]) -> None:
            tracker.log(record)
            step, steps = record["step"], record["steps"]
            if step in seen and record["time"] < began:
                return  # the flow whose job this one has adopted has shown it
            line = headline(record)
            if step % every == 0 or step in (1, steps) or _is_news(record):
                live(line, end=step == steps)
            progress.update(step, line)

        return launch(job, "llama_core.train", on_metrics=show, beside=import_for_export)


def _say_goodput(time: Goodput) -> None:
    lost = (
        f"; interruptions: {len(time.interruptions):,}, which cost {clock(time.lost)}"
        if time.interruptions
        else ""
    )
    say(f"      goodput {time.share:.1%}: the steps that count took so much of {clock(time.wall)}{lost}")


def _is_news(record: dict[str, Any]) -> bool:
    """Tell whether a record has what most have not: a validation, or an interruption before the step."""
    return INTERRUPTION in record or any(key.startswith(NAME) for key in record)


def headline(record: dict[str, Any]) -> str:
    """Return what a person looks for in the record of a step, in one line."""
    parts = [f"after an interruption ({record[INTERRUPTION]})"] if INTERRUPTION in record else []
    parts += [
        f"step {record['step']}/{record['steps']}",
        "no update" if record["loss"] is None or record.get("skipped") else f"loss {record['loss']:.4f}",
        f"{record['tokens_per_s']:,.0f} tokens/s",
    ]
    if record.get("mfu") is not None:
        parts.append(f"MFU {record['mfu']:.1%}")
    parts.append(f"{clock(record['eta_s'])} left")
    held_out = [f"{k.removeprefix(NAME)} {v:.3f}" for k, v in record.items() if k.startswith(NAME)]
    if held_out:
        parts.append(f"held-out bits/byte: {', '.join(held_out)}")
    return "  ".join(parts)
