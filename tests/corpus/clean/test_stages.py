"""Which stages a recipe asks for."""

from collections.abc import Callable

import pytest
from corpus.helpers import recipe_of

from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Clean, Filters, Language, Pii
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
    assert clean(run, {"web": web.ingested}) == {"web": web}
    assert [name for name in store.list() if not name.startswith("ingest/")] == []


@pytest.mark.parametrize(
    "cfg", [{"language": Language()}, {"filters": Filters(fineweb=True)}, {"pii": Pii(ip=True)}]
)
def test_language_filters_and_masks_are_one_stage(cfg: dict[str, object]) -> None:
    assert Clean(**cfg).has_quality
    assert not Clean().has_quality


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
