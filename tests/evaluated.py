"""Evaluate steps written by hand, with the training that they belong to, for tests of what shows them."""

from typing import Any

from llama_core.artifact import Artifact
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train.metrics.record import SHARD, Record

SECONDS, STEPS, BATCH = 2.0, 20, 1000


def done(score: float | None, n: int, metric: str = "accuracy", **figures: float) -> dict[str, Any]:
    """The result of a benchmark."""
    return {"status": "done", "score": score, "stderr": 0.01, "n": n, "metric": metric, "figures": figures}


def step_record(n: int, devices: int = 2, joules: float | None = None, **more: Any) -> dict[str, Any]:
    """The record of a training's step, which takes SECONDS and follows the one before at once."""
    speed = BATCH / SECONDS
    return {
        "step": n,
        "tokens": n * BATCH,
        "loss": 6.0 - n / 10,
        "seconds/data": SECONDS / 4,
        "seconds/passes": SECONDS * 3 / 4,
        "tokens_per_s": speed,
        "tokens_per_s_per_device": round(speed / devices, 1),
        "joules": joules,
        "time": 1e9 + n * SECONDS,
    } | more


def trained(
    store: Store, joules: float | None = None, parameters: int = 6_738_415_616, **launch: Any
) -> Artifact:
    """A finished training of STEPS steps on two devices."""
    execution = {"launch": {"device": "cpu"} | launch}
    step = Step(store, "train", 1, {"of": [joules, parameters]}, execution=execution)
    record = Record(step)
    for n in range(1, STEPS + 1):
        record.add(step_record(n, joules=joules))
    record.seal()
    newest = record.publish()
    assert newest is not None
    with step.shard(SHARD) as shard:
        shard.objects.append(newest)
    facts = {"parameters": parameters, "tokens": STEPS * BATCH}
    return step.commit([SHARD], digest=step.id, facts=facts)


def evaluated(
    train: Artifact, tasks: dict[str, Any], tokens: int | None = None, name: str = "mine"
) -> Artifact:
    """An evaluation of a training. `tokens`: after how many, where it is not the last checkpoint's."""
    root = Store(train.url.removesuffix(f"/{train.name}"))
    step = Step(root, "evaluate", 1, {"of": [tokens, tasks]}, {"train": train}, {"name": name})
    facts = {"heldout": {}, "tasks": tasks} | ({} if tokens is None else {"tokens": tokens})
    return step.commit([], facts=facts)
