"""Texts of one model or two, as they grow: equal to the engine's own, and ended with whoever asked."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from generate.page.folders import long_model
from trained import Trained

from llama_core.errors import InputError
from llama_core.generate.engine import Engine, Sampling
from llama_core.generate.page import answers as page
from llama_core.generate.page.models import Models
from llama_core.generate.page.settings import Settings
from llama_core.generate.page.templates import Turn


@pytest.fixture(scope="module")
def models(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = long_model(trained, tmp_path_factory.mktemp("answers"))
    return Models([str(folder), trained.inputs["train"].url], "cpu")


@pytest.fixture
def settings(models: Models) -> Settings:
    first, second = models.names
    return Settings(text="def main", model=first, other=second, max_new_tokens=20, seed=3)


def last(grown: Iterator[list[page.Answer]]) -> list[page.Answer]:
    *_, answers = grown
    return answers


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_two_models_side_by_side_write_what_the_engine_writes(
    models: Models, settings: Settings, temperature: float
) -> None:
    answers = last(page.answers(models, replace(settings, temperature=temperature)))
    assert [answer.name for answer in answers] == models.names
    for answer in answers:
        sampling = Sampling(20, temperature, settings.top_p, seed=3)
        [expected] = models.find(answer.name).engine.complete([settings.text], sampling)
        assert answer.text == expected and answer.finish and answer.seed == 3
        assert all(piece.likely for piece in answer.pieces)


def test_without_a_seed_another_is_drawn_and_told(models: Models, settings: Settings) -> None:
    drawn = replace(settings, seed=None, temperature=1.5, other="")
    [first], [second] = (last(page.answers(models, drawn)) for _ in range(2))
    assert first.seed != second.seed and first.text != second.text
    [again] = last(page.answers(models, replace(drawn, seed=first.seed)))
    assert again.text == first.text


def test_a_conversation_is_each_models_own(models: Models, settings: Settings) -> None:
    said = [[Turn("Hello", "one")], [Turn("Hello", "two")]]
    answers = last(page.answers(models, replace(settings, mode="Converse"), said))
    for answer, word in zip(answers, ("one", "two")):
        assert f"Person: Hello\nAssistant: {word}\nPerson: def main\nAssistant:" in answer.prompt


def test_who_leaves_ends_the_streams(
    models: Models, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    stream = Engine.stream

    def watched(*args: object, **kwargs: object) -> Iterator[object]:
        try:
            yield from stream(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            ended.append(True)

    monkeypatch.setattr(Engine, "stream", watched)
    grown = page.answers(models, replace(settings, max_new_tokens=2000))
    assert len(list(islice(grown, 2))) == 2 and not ended
    grown.close()  # type: ignore[attr-defined]
    assert len(ended) == 2


def test_only_what_is_offered_is_loaded_and_two_stay_in_memory(
    trained: Trained, models: Models, settings: Settings
) -> None:
    with pytest.raises(InputError, match="does not offer /etc"):
        last(page.answers(models, replace(settings, model="/etc")))
    url = trained.inputs["train"].url
    three = Models([url, f"{url}/", models.names[0]], "cpu")
    engines = [id(three.find(name).engine) for name in three.names]
    assert three.find(three.names[2]).engine is three.find(three.names[2]).engine
    assert len(set(engines)) == 3 and len(three._loaded) == 2
