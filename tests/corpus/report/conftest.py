from pathlib import Path

import pytest
from corpus.report.made import Made, make

from llama_core.store import Store


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Made:
    return make(store, tmp_path)
