"""The stages on pages that CCNet itself has cleaned."""

import json

import pytest
from corpus.helpers import SAMPLES, needs_samples

from llama_core.corpus.clean.language import Identifier
from llama_core.corpus.clean.recipe import Language

pytestmark = needs_samples


@pytest.fixture
def pages() -> list[dict[str, object]]:
    """Ten pages of CCNet's `head` in English, with what CCNet says of them."""
    path = SAMPLES / "commoncrawl" / "ccnet-output_cc_en_head-0091.jsonl"
    return [json.loads(row) for row in path.read_text().splitlines()]


def test_ccnets_pages_are_in_the_language_that_ccnet_found_with_its_score(pages: list[dict]) -> None:
    found = Identifier(Language()).identify([page["text"] for page in pages])
    for page, (code, score) in zip(pages, found, strict=True):
        assert code == page["metadata"]["language"] == "en"
        assert score == pytest.approx(page["metadata"]["language_score"], abs=0.03)  # of the full model
