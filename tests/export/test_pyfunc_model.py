"""The model that MLflow loads answers a batch as a batch, and each prompt as if it were alone."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.export import REVISION, huggingface
from llama_core.export.pyfunc_model import DEFAULTS, LlamaPyfunc
from llama_core.step import Step
from llama_core.store import Store
from tasks.export import mlflow_files

PROMPTS = ["def main(self):", "The", "import os\n" * 3, "x = [", "  return x"]
GREEDY = {"max_new_tokens": 12}
DRAWN = GREEDY | {"temperature": 1.0, "top_p": 0.9, "seed": 5}
SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " What is a llama? "}]
TEXT = "Be brief.\n\nUser: What is a llama?\n\nAssistant:"


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(str(tmp_path_factory.mktemp("export")))
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"])
    made: Artifact = step.commit([huggingface.SHARD])
    entry = made.shard("model").object("/config.json")
    return Path(made.store.path(entry.name)).parent


@pytest.fixture(scope="module")
def model(folder: Path) -> LlamaPyfunc:
    return LlamaPyfunc(str(folder))


@pytest.fixture(scope="module")
def passes(model: LlamaPyfunc) -> list[int]:
    """The number of rows of each forward pass."""
    found: list[int] = []
    model.model.register_forward_pre_hook(
        lambda module, arguments, given: found.append(len(given["input_ids"])), with_kwargs=True
    )
    return found


@pytest.mark.parametrize("asked", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_a_batch_is_one_batch_and_each_text_is_the_one_that_is_made_alone(
    model: LlamaPyfunc, passes: list[int], asked: dict[str, Any]
) -> None:
    passes.clear()
    together = model.predict(PROMPTS, asked)
    assert len(passes) <= 12 and set(passes) == {5}
    assert model.predict(PROMPTS[::-1], asked) == together[::-1]
    assert [model.predict(prompt, asked)[0] for prompt in PROMPTS] == together
    assert len(set(together)) == 5


def test_many_prompts_are_continued_in_batches_of_a_bounded_size(
    model: LlamaPyfunc, passes: list[int]
) -> None:
    passes.clear()
    found = model.predict(PROMPTS * 14, {"max_new_tokens": 2})
    assert found == found[:5] * 14
    assert max(passes) == 32 and len(passes) <= 6


def test_texts_are_drawn_by_their_seed(model: LlamaPyfunc) -> None:
    assert model.predict(PROMPTS, DRAWN) == model.predict(PROMPTS, DRAWN)
    assert model.predict(PROMPTS, DRAWN) != model.predict(PROMPTS, DRAWN | {"seed": 6})
    cold = model.predict(PROMPTS, DRAWN | {"temperature": 1e-30})
    assert cold == model.predict(PROMPTS, GREEDY) == model.predict(PROMPTS, DRAWN | {"top_p": 1e-30})


def test_a_text_ends_before_a_stop_string_and_its_neighbours_go_on(
    model: LlamaPyfunc, passes: list[int]
) -> None:
    free = model.predict(PROMPTS, GREEDY)
    stop = free[1][2:4]
    expected = [text.split(stop)[0] for text in free]
    assert model.predict(PROMPTS, GREEDY | {"stop": [stop, "\0"]}) == expected
    passes.clear()
    assert model.predict(PROMPTS[1], GREEDY | {"stop": stop}) == expected[1:2]
    assert len(passes) < 12


def test_a_prompt_beyond_the_context_keeps_its_end_whatever_is_beside_it(model: LlamaPyfunc) -> None:
    long = "def main(self): " * 50
    asked = {"max_new_tokens": 1000}
    (alone,) = model.predict(long, asked)
    assert alone and model.predict([*PROMPTS, long], asked)[-1] == alone


def test_a_conversation_is_the_text_of_its_template_up_to_the_next_turn(model: LlamaPyfunc) -> None:
    (expected,) = model.predict(TEXT, GREEDY)
    expected = expected.split("\nUser:")[0].lstrip()
    frame = pd.DataFrame({"messages": [SAID, SAID]})
    assert model.predict(frame, GREEDY) == [expected] * 2
    assert model.predict([{"messages": SAID}], GREEDY) == [expected]
    assert model.predict({"messages": SAID}, GREEDY) == [expected]
    turns = [*SAID, {"role": "assistant", "content": "An animal."}, {"role": "user", "content": "Why?"}]
    (longer,) = model.predict([{"messages": turns}], GREEDY)
    text = TEXT + " An animal.\n\nUser: Why?\n\nAssistant:"
    assert longer == model.predict(text, GREEDY)[0].split("\nUser:")[0].lstrip()


def test_what_mlflow_makes_of_input_and_params_by_the_signature_is_understood(
    model: LlamaPyfunc, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_bytes(mlflow_files()["MLmodel"])
    signature = Model.load(str(tmp_path)).signature
    assert {p.name for p in signature.params} == DEFAULTS.keys()
    params = _enforce_params_schema({"stop": ["\n"], "max_new_tokens": 5}, signature.params)
    assert params == DEFAULTS | {"stop": ["\n"], "max_new_tokens": 5}
    (talk,) = model.predict([{"messages": SAID}], params)
    prompts = model.predict(PROMPTS, params)
    for given, expected in (
        (PROMPTS, prompts),
        (PROMPTS[0], prompts[:1]),
        (pd.DataFrame({"prompt": PROMPTS}), prompts),
        (pd.DataFrame({"anything": PROMPTS}), prompts),
        ([{"prompt": prompt} for prompt in PROMPTS], prompts),
        ({"prompt": PROMPTS}, prompts),
        ({"prompt": PROMPTS[0]}, prompts[:1]),
        ({"messages": SAID}, [talk]),
        ([{"messages": SAID}, {"messages": SAID}], [talk] * 2),
        (pd.DataFrame({"messages": [SAID]}), [talk]),
    ):
        assert model.predict(_enforce_schema(given, signature.inputs), params) == expected, given
        assert model.predict(given, params) == expected, given
    assert model.predict([], params) == []
    # Of these MLflow leaves the roles alone, or the first message of each.
    for lost in (SAID, [SAID[0]], [SAID, SAID[:1]], [SAID, SAID]):
        with pytest.raises(ValueError, match="messages"):
            model.predict(_enforce_schema(lost, signature.inputs), params)


@pytest.mark.parametrize(
    ("given", "params", "said"),
    [
        ("x", {"top_k": 3}, "top_k"),
        ("x", {"max_new_tokens": 0}, "max_new_tokens"),
        ("x", {"temperature": -1.0}, "temperature"),
        ("x", {"top_p": 0.0}, "top_p"),
        ("x", {"stop": [""]}, "stop"),
        ("x", {"stop": [3]}, "stop"),
        ("x", {"seed": -1}, "seed"),
        ([3], {}, "prompt"),
        ([["x", 3]], {}, "prompt"),
        ([{"messages": []}], {}, "messages"),
        ([{"messages": [{"role": "tool", "content": "x"}]}], {}, "role"),
        ([{"messages": [{"role": "user", "content": None}]}], {}, "content"),
        (pd.DataFrame({"text": ["a"], "more": ["b"]}), {}, "prompt"),
    ],
)
def test_what_cannot_be_continued_is_named(
    model: LlamaPyfunc, given: Any, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        model.predict(given, params)
