"""The gate: a worse model does not become the champion, a better one does, and both say why in MLflow."""

from dataclasses import replace
from typing import Any

import pytest
from mlflow import MlflowClient
from registered import Model

from llama_core.errors import RecipeError
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from tasks.registry.gate import GATE_TAG, Measure, compare
from tasks.run import Run

HELLASWAG = Measure(0.30, 0.02, True, "questions", "hellaswag")
CODE = Measure(2.5, 0.0, False, "text", "heldout")
QUIZ = Measure(0.20, 0.02, True, "quiz", "gsm8k:greedy")
VOTED = Measure(0.25, 0.02, True, "quiz", "gsm8k:maj1@100")
CHAMPION = {"hellaswag": HELLASWAG, "held-out code": CODE, "gsm8k:greedy": QUIZ, "gsm8k:maj1@100": VOTED}


@pytest.mark.parametrize(
    ("ours", "named", "moves", "why"),
    [
        ({}, None, True, "not worse on"),
        ({"hellaswag": replace(HELLASWAG, value=0.28)}, None, True, "not worse on hellaswag, held-out"),
        ({"hellaswag": replace(HELLASWAG, value=0.26)}, None, False, "worse on hellaswag"),
        ({"held-out code": replace(CODE, value=2.51)}, None, False, "worse on held-out code"),
        ({"held-out code": replace(CODE, value=2.51)}, ["hellaswag"], True, "not worse on hellaswag"),
        ({"hellaswag": replace(HELLASWAG, asked="others")}, None, True, "not worse on held-out code"),
        (
            {"hellaswag": replace(HELLASWAG, asked="others")},
            ["hellaswag"],
            False,
            "not compared on hellaswag",
        ),
        ({}, ["arc_easy", "hellaswag"], False, "not compared on arc_easy"),
        ({"gsm8k:maj1@100": replace(VOTED, value=0.21)}, ["gsm8k"], False, "worse on gsm8k:maj1@100"),
        ({"gsm8k:maj1@100": replace(VOTED, value=0.21)}, ["gsm8k:greedy"], True, "not worse on gsm8k:greedy"),
    ],
)
def test_a_version_passes_where_nothing_named_is_worse_beyond_the_error(
    ours: dict[str, Measure], named: list[str] | None, moves: bool, why: str
) -> None:
    verdict = compare(CHAMPION | ours, CHAMPION, named)
    assert verdict.moves == moves and why in verdict.why


def test_nothing_in_common_is_no_reason_to_move() -> None:
    assert not compare(CHAMPION, {}, None).moves
    assert not compare({}, {}, None).moves


def scored(model: Model, accuracy: float, bits: float, revision: int = 1) -> Model:
    """The model with other scores, which make another version."""
    held_out = {"bits_per_byte": bits, "unigram_bits_per_byte": 3.0, "ratio": bits / 3}
    hellaswag = {"status": "done", "score": accuracy, "stderr": 0.02, "metric": "acc_norm", "n": 80}
    facts: dict[str, Any] = {"heldout": {"code": held_out}, "tasks": {"hellaswag": hellaswag}}
    inputs = {"data/hellaswag": "a" * 64, "train": f"{accuracy} {bits}"}
    model.evaluation = Step(model.run.store, "evaluate", revision, {}, inputs).commit(
        [], digest=f"{accuracy} {bits}", facts=facts
    )
    return model


def champion() -> int:
    return int(MlflowClient().get_model_version_by_alias("llama-micro", "champion").version)


def said(version: int) -> tuple[str, str]:
    found = MlflowClient().get_model_version("llama-micro", str(version))
    return found.tags[GATE_TAG], found.description


def test_a_worse_model_does_not_become_champion_and_a_better_one_does_and_both_say_why(model: Model) -> None:
    scored(model, 0.30, 2.5).register()
    assert champion() == 1 and "the first with scores" in said(1)[0]
    scored(model, 0.20, 2.5).register()
    assert champion() == 1
    tag, text = said(2)
    assert tag == "does not become champion against version 1: worse on hellaswag"
    assert tag.partition(":")[0].removeprefix("does ") in text and "20.0 ± 2.0" in text and "worse" in text
    scored(model, 0.35, 2.4).register()
    assert champion() == 3
    tag, text = said(3)
    assert tag.startswith("becomes champion against version 1: not worse on held-out code, hellaswag")
    assert "| held-out code" in text and "better" in text
    scored(model, 0.30, 2.5).register()
    assert champion() == 3, "a version is judged once: what is registered again takes nothing back"
    assert int(MlflowClient().get_model_version_by_alias("llama-micro", "candidate").version) == 1


def test_a_champion_without_scores_of_ours_stays(model: Model) -> None:
    scored(model, 0.30, 2.5).register()
    api = MlflowClient()
    theirs = api.create_model_version("llama-micro", model.folder.as_uri()).version
    api.set_registered_model_alias("llama-micro", "champion", theirs)
    scored(model, 0.90, 1.5).register()
    assert champion() == int(theirs) and "nothing was asked of both" in said(3)[0]


def test_what_another_revision_of_the_evaluation_has_asked_is_not_compared(model: Model) -> None:
    scored(model, 0.30, 2.5).register()
    scored(model, 0.20, 2.4, revision=2).register()
    assert champion() == 2
    tag, text = said(2)
    assert tag == "becomes champion against version 1: not worse on held-out code"
    assert "not compared: asked otherwise" in text


def test_null_leaves_the_champion_to_people(model: Model) -> None:
    recipe = model.run.recipe
    register = recipe.register_.model_copy(update={"champion": None})
    model.run = Run(recipe.model_copy(update={"register_": register}), model.run.store)
    scored(model, 0.30, 2.5).register()
    assert MlflowClient().get_registered_model("llama-micro").aliases.keys() == {"candidate"}


def test_a_gate_that_nothing_scores_is_refused_with_the_recipe() -> None:
    named = {"register.gate": ["heldout", "hellaswag", "race_high"]}
    assert load_recipe("micro", named).register_.gate
    tasks = {"evaluate.tasks": ["hellaswag", "reading"]}
    assert load_recipe("micro", named | tasks).register_.gate
    with pytest.raises(RecipeError, match=r"register\.gate names 'boolq': heldout, hellaswag, race_middle, "):
        load_recipe("micro", {"register.gate": ["boolq"]} | tasks)
