"""The whole pipeline: public text to a registered LLaMA, and the report of the run."""

from typing import Any

from prefect import flow

from flows.register import build_version
from tasks.report import report
from tasks.run import open_run


@flow(name="pretrain", persist_result=False)
def pretrain(recipe: str = "tiny", overrides: dict[str, Any] | None = None, store: str | None = None) -> str:
    """Pretrain a LLaMA by recipe, from raw text to the registry.

    Args:
        recipe: micro, tiny, llama-v1, 7b, 13b, 33b, 65b, or the path or URL of a YAML recipe.
        overrides: dotted keys and their values, such as {"train.lr": 0.001, "run.workers": 4}.
        store: fsspec URL of all artifacts, such as s3://bucket/prefix; default: the recipe's.
    """
    run = open_run(recipe, overrides, store)
    made, version = build_version(run)
    return report(run, made, version)
