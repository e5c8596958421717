"""A command says what every field of a recipe is, and what it does."""

import pytest

from llama_core.recipe import Recipe
from llama_core.recipes.__main__ import fields, main
from llama_core.recipes.load import PRESETS, load_recipe


@pytest.mark.parametrize("name", PRESETS)
def test_every_field_of_every_recipe_says_what_it_does(name: str) -> None:
    known = {field.key: field for field in fields(load_recipe(name))}
    assert [key for key, field in known.items() if not field.does] == []
    assert {key.partition(".")[0] for key in known} == {f.alias or n for n, f in Recipe.model_fields.items()}


def test_a_field_is_shown_with_its_value_its_role_and_what_it_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["tiny", "run.keep", "train.lr=1e-3"]) == 0
    said = capsys.readouterr().out
    assert "run.keep: 2  (execution, default)\n    Number of checkpoints that are kept" in said
    assert "train.lr: 0.001  (identity)\n    Peak learning rate" in said
    assert "run.keep_every" not in said


def test_fields_of_a_section_that_is_not_set_are_shown_where_they_are_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["tiny", "train"]) == 0
    assert "train.start_from.at" not in capsys.readouterr().out
    assert main(["tiny", "train.start_from"]) == 0
    said = capsys.readouterr().out
    assert "train.start_from: null  (identity, default)" in said
    assert "train.start_from.at:   (identity, not set)\n    Number of steps" in said
    assert main(["tiny", "corpus.sources.code.limit.documents"]) == 0
    assert "corpus.sources.code.limit.documents: null  (identity, not set)" in capsys.readouterr().out


def test_a_field_that_is_not_there_is_an_error_that_names_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["tiny", "run.kepe"]) == 2
    assert "no field and no section 'run.kepe': did you mean run.keep?" in capsys.readouterr().err
