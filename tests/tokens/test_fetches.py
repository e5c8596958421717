"""Few nodes fetch a page: the order and the deal of batches over a corpus of the paper's size."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.order import MIXTURE, MOST, RANKS, TRAIN, corpus, fetches
from llama_core.store import Store
from llama_core.tokens.loader import Loader
from llama_core.tokens.node_cache import MOST_BYTES, NodeCache
from llama_core.tokens.shards import PAGE_BYTES


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    folder: Path = tmp_path_factory.mktemp("order")
    made = corpus(Store(str(folder)), 5000, digests=False)
    loader = Loader(made, TRAIN, MIXTURE, cache=NodeCache("order", place=folder))
    yield loader
    loader.close()


@pytest.mark.parametrize("ranks", RANKS)
def test_a_node_fetches_few_pages_with_the_seven_sources(loader: Loader, ranks: int) -> None:
    a_sequence, most = fetches(loader, ranks, 64)
    assert 0 < a_sequence <= MOST
    assert most * PAGE_BYTES <= MOST_BYTES


def test_ranges_of_sequences_would_make_every_node_fetch_every_page(loader: Loader) -> None:
    assert fetches(loader, 2048, 20, dealt=False)[0] > 0.5
