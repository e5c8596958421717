"""The whole pipeline: public text to a registered LLaMA, and the report of the run."""

from collections.abc import Iterator
from typing import Any, Literal

from prefect import flow

from tasks.clean import clean
from tasks.corpus import corpus, corpus_page
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.evaluation.during import Data, evaluate_checkpoints
from tasks.export import export
from tasks.ingest import ingest, raw_files
from tasks.lineage import lineage, used
from tasks.register import check_registry, register
from tasks.report import report
from tasks.run import Run, open_run
from tasks.tokenizer import tokenizer
from tasks.tokens import tokens
from tasks.train import train

Goal = Literal["corpus", "tokenizer", "tokens", "train", "evaluate", "register", "report"]


@flow(name="pretrain", persist_result=False)
def pretrain(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
) -> str:
    """Pretrain a LLaMA by recipe, from raw text to the registry.

    Args:
        recipe: micro, tiny, 7b, 13b, 33b, 65b, llama-v1, llama-v1-trial, or the path or URL of a YAML
            recipe.
        overrides: dotted keys and their values, such as {"train.lr": 0.001, "run.workers": 4}.
        store: fsspec URL of all artifacts, such as s3://bucket/prefix; default: the recipe's.
        refresh: look anew at lists, checksums and versions of packages, and say what has changed since the
            first start of this run; otherwise it is made from what it saw then.
    """
    run = open_run(recipe, overrides, store, refresh=refresh)
    check_registry(run)
    return until("report", run)


def stages(run: Run) -> Iterator[tuple[Goal, Any]]:
    """Make every stage in its order, and yield its result by name where a flow may end."""
    made = used(run)
    documents = made.documents or dedup(run, clean(run, ingest(run, raw_files(run))))
    text = made.text or decontaminate(run, made.corpus or corpus(run, documents))
    page = corpus_page(run, documents, text)
    yield "corpus", text.corpus

    trained_tokenizer = made.tokenizer or tokenizer(run, text)
    yield "tokenizer", trained_tokenizer
    token_shards = made.tokens or tokens(run, text, trained_tokenizer)
    yield "tokens", token_shards
    model = train(run, text.corpus, trained_tokenizer, token_shards)
    yield "train", model
    data = Data(text.corpus, trained_tokenizer, token_shards)
    earlier = evaluate_checkpoints(run, data, model)
    scores = evaluate(run, text.corpus, trained_tokenizer, token_shards, model)
    yield "evaluate", scores

    exported = export(run, trained_tokenizer, model)
    whole = lineage(documents, text, page, trained_tokenizer, token_shards, model)
    version = register(run, whole, scores, exported)
    yield "register", version
    yield "report", report(run, whole | earlier | {"evaluate": scores, "export": exported}, version)


def until(goal: Goal, run: Run) -> Any:
    """Make every stage up to the goal, and return the goal's result."""
    return all_until(goal, run)[goal]


def all_until(goal: Goal, run: Run) -> dict[Goal, Any]:
    """Make every stage up to the goal, and return their results by name."""
    made: dict[Goal, Any] = {}
    for name, result in stages(run):
        made[name] = result
        if name == goal:
            return made
    raise AssertionError(f"no stage ends at {goal}")
