"""Import, export and its check take the memory of a block, however large the model is."""

import json
import subprocess
import sys
from pathlib import Path

import programs
import pytest
import released
import torch
from trained import Trained

from llama_core.recipes.training import Model
from llama_core.weights import names

SIZES = {"dim": 1024, "multiple_of": 256, "n_heads": 8, "n_layers": 16, "norm_eps": 1e-6}
MODEL = Model(**SIZES)
BLOCK = 4 * (MODEL.n_params(0) - MODEL.dim) // MODEL.n_layers  # bytes in float32
MOST = BLOCK + 300 * 10**6

# Does one thing, and prints the largest memory that it took above what Python and its libraries had taken.
PROGRAM = """
import sys
from pathlib import Path

import torch
from transformers.models.auto import tokenization_auto
from transformers.models.llama import modeling_llama

from llama_core.artifact import Artifact
from llama_core.export import REVISION, convert, huggingface
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.weights.checkpoint import tokenizer_of

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

tokens = torch.zeros(2, 64, dtype=torch.int64)
torch.randn(64, 64) @ torch.randn(64, 64)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmHWM")
what, source, target = sys.argv[1:4]
if what == "pipeline":
    train = Artifact.open(Store(source))
    recipe = load_recipe("micro", {"train.precision": "bf16"})
    step = Step(Store(target), "export", REVISION, {})
    huggingface.export(step, recipe, train, tokenizer_of(train))
    print(step.folder.url)
else:
    print(convert.convert(source, target, what, lambda *_: None))
print(status("VmHWM") - before)
"""


def measured(what: str, source: object, target: object) -> tuple[str, int]:
    command = [sys.executable, "-c", PROGRAM, what, str(source), str(target)]
    done = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, made, memory = done.stdout.split()
    return made, int(memory)


@pytest.mark.slow
def test_a_model_that_is_much_larger_takes_the_memory_of_a_block(trained: Trained, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = names.shapes(MODEL, trained.tokenizer.n_words)
    state = {n: (0.02 * torch.randn(s, generator=generator)).half() for n, s in shapes.items()}
    assert sum(tensor.nbytes for tensor in state.values()) > MOST  # half of what a checkpoint of it takes
    folder = released.write(tmp_path / "7B", state, SIZES | {"vocab_size": -1}, 1, trained.tokenizer.model)
    del state
    found = {}
    step, found["import"] = measured("step", folder, tmp_path / "store")
    _, found["export and its check"] = measured("pipeline", step, tmp_path / "exports")
    _, found["to Hugging Face's format"] = measured("huggingface", folder, tmp_path / "hf")
    _, found["to Meta's format"] = measured("meta", step, tmp_path / "meta")
    print(json.dumps({name: f"{size / 1e6:,.0f} MB" for name, size in found.items()}))
    assert max(found.values()) < MOST, found
