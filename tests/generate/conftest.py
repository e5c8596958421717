import pytest
from trained import Trained, make_trained

from llama_core.store import Store


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(Store(str(tmp_path_factory.mktemp("trained"))))
