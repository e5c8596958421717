"""Which stages a recipe asks for."""

from collections.abc import Callable

import pytest
from corpus.helpers import recipe_of

from llama_core.corpus.documents import Documents
from llama_core.errors import RecipeError
from llama_core.store import Store
from tasks.clean import clean
from tasks.run import Run

WEB = {"kind": "files", "urls": ["web.jsonl"]}


def test_a_source_whose_recipe_asks_for_nothing_goes_through_without_a_step(
    documents: Callable[..., Documents], store: Store
) -> None:
    web = documents({"a": ["a text"]})
    run = Run(recipe_of({"web": WEB}), store)
    assert clean(run, {"web": web}) == {"web": web}
    assert [name for name in store.list() if not name.startswith("ingest/")] == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"perplexity": {"train_on": "web"}}, "clean.language"),
        ({"language": {}, "perplexity": {"train_on": "wiki"}}, "'wiki', which is no source"),
        ({"language": {}, "perplexity": {"train_on": "web", "head": 0.7}}, "middle"),
        ({"references": {}}, "'wikipedia', which is no source"),
        ({"references": {"positives": "pages"}}, "'pages', which is no source"),
    ],
)
def test_a_recipe_that_cannot_be_cleaned_fails_before_anything_runs(
    section: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_of({"web": WEB | {"clean": section}})
