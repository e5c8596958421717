"""A model that is small and sees far: its texts take as long as a test needs."""

import json
import shutil
from pathlib import Path

from trained import Trained

from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store

SEES = 4096  # tokens


def long_model(trained: Trained, place: Path) -> Path:
    """The folder of an export of the model, as a stranger's: it says that it sees `SEES` tokens."""
    step = Step(Store(str(place / "store")), "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"])
    exported = step.commit([huggingface.SHARD])
    config = exported.store.path(exported.shard("model").object("/config.json").name)
    folder = place / "long"
    shutil.copytree(Path(config).parent, folder)
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"max_position_embeddings": SEES}))
    return folder
