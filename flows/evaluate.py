"""A trained model to its scores."""

from typing import Any

from prefect import flow

from flows.pretrain import all_until, until
from tasks.evaluation.during import Data, evaluate_at
from tasks.run import open_run
from tasks.tracking import check_tracking
from tasks.train import training


@flow(name="evaluate", persist_result=False)
def evaluate(
    recipe: str = "tiny",
    overrides: dict[str, Any] | None = None,
    store: str | None = None,
    refresh: bool = False,
    at: float | None = None,
) -> dict[str, Any]:
    """Evaluate the recipe's model. Stages that are not made yet are made first.

    `at`: evaluate the checkpoint that the training, which may go on, has saved after the first update that
    reaches so many tokens. Only the stages before the training are made for it.
    """
    run = open_run(recipe, overrides, store, refresh=refresh, trains=at is None, evaluates=True)
    check_tracking(run)
    if at is None:
        return until("evaluate", run).facts
    made = all_until("tokens", run)
    data = Data(made["corpus"], made["tokenizer"], made["tokens"])
    return evaluate_at(run, data, training(run, data.tokenizer, data.tokens).name, int(at)).facts
