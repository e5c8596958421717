"""Evaluate: bits per byte on held-out text, and scores on the benchmarks whose files are there."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llama_core.artifact import Artifact
from llama_core.evaluate import REVISION, names, planned
from llama_core.job import Job
from llama_core.step import Input, Inputs, Step
from tasks.export import import_for_export
from tasks.launch import launch
from tasks.observe import Progress, say, show_table
from tasks.run import Run
from tasks.step import made, reused, stage


@stage("evaluate")
def evaluate(
    run: Run, corpus: Artifact, tokenizer: Artifact, tokens: Artifact, trained: Artifact
) -> Artifact:
    """Score the trained model on the held-out text and the benchmarks."""
    artifact = score(run, evaluation(run, corpus, tokenizer, tokens, trained))
    show(artifact)
    return artifact


def evaluation(
    run: Run,
    corpus: Artifact,
    tokenizer: Artifact,
    tokens: Artifact,
    model: Input,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Step:
    """Return the step that evaluates the last checkpoint of a training or, with `more` identity, another."""
    cfg = run.recipe.evaluate
    inputs: Inputs = {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "tokens": tokens,
        "train": model,
        **planned.digests(cfg.data, cfg.tasks),
    }
    identity = cfg.identity() | {"mixture": run.recipe.mixture} | dict(more)
    return Step(run.store, "evaluate", REVISION, identity, inputs, run.recipe.execution())


def score(run: Run, step: Step, title: str = "") -> Artifact:
    """Return the artifact of an evaluation, which a job makes unless it is there.

    `title`: what the terminal and Prefect call it; by default its stage.
    """
    started = time.monotonic()
    if artifact := step.finished():
        return reused(artifact, title)
    progress = Progress(f"{title or step.stage}-progress", 1, "parts")
    artifact = launch(
        Job(step, run.recipe),
        "llama_core.evaluate",
        on=run.recipe.evaluation_launch,
        on_progress=lambda p: progress.update(p["done"] / p["total"], p["what"]),
        beside=import_for_export,
    )
    return made(artifact, time.monotonic() - started, title)


def show(evaluation: Artifact) -> None:
    """Show the results in Prefect and in the terminal."""
    rows = table(evaluation)
    show_table("evaluation", rows, "evaluation")
    for row in rows:
        say(f"      {row['what']:<20} {row['value']}  {row['note']}")


def table(evaluation: Artifact) -> list[dict[str, Any]]:
    """Return the results as the rows of a table: what, value, note."""
    rows = []
    for source, r in evaluation.facts["heldout"].items():
        note = f"bits per byte; unigram {r['unigram_bits_per_byte']:.3f}, ratio {r['ratio']:.3f}"
        rows.append({"what": f"held-out {source}", "value": f"{r['bits_per_byte']:.3f}", "note": note})
    tasks = evaluation.facts["tasks"]
    left: dict[str, list[str]] = {}
    begun = {names.name_of(key) for key, r in tasks.items() if r["status"] == "done"}
    for key in names.in_order(tasks):
        r = tasks[key]
        if r["status"] == "done" and r["score"] is None:
            rows.append({"what": key, "value": "not scored", "note": f"{r['n']} items, {r['not_scored']}"})
        elif r["status"] == "done":
            cut = f", {r['cut']} prompts cut" if r.get("cut") else ""
            note = f"{r['metric']}, {r['n']} items, ± {100 * r['stderr']:.1f}{cut}"
            rows.append({"what": key, "value": f"{100 * r['score']:.1f}", "note": note})
        else:
            what = key if names.name_of(key) in begun else names.name_of(key)
            if what not in left.setdefault(r["reason"], []):
                left[r["reason"]].append(what)
    for reason, benchmarks in left.items():
        what, listed = benchmarks[0], ""
        if len(benchmarks) > 1:
            what, listed = f"{len(benchmarks)} benchmarks", f": {', '.join(benchmarks)}"
        rows.append({"what": what, "value": "not run", "note": reason + listed})
    return rows


def scores(evaluation: Artifact) -> dict[str, float]:
    """Return the results as metrics for MLflow, by name."""
    heldout, tasks = evaluation.facts["heldout"], evaluation.facts["tasks"]
    found = {f"evaluation/bits_per_byte/{source}": r["bits_per_byte"] for source, r in heldout.items()}
    for key, r in tasks.items():
        if r["status"] == "done":
            place = key.replace(":", "/").replace("@", "_at_")
            found |= {} if r["score"] is None else {f"evaluation/{place}": r["score"]}
            figures = r.get("figures", {}).items()
            found |= {f"evaluation_figures/{place}/{name}": value for name, value in figures}
    return found
