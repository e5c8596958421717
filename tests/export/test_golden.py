"""An export whose bytes change has another revision."""

import torch
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec

from llama_core.export import REVISION, huggingface
from llama_core.export.imported import import_model
from llama_core.objects import Object
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.weights.checkpoint import tokenizer_of
from llama_core.weights.weights import Part, Sizes, Weights

# The revision, and the digest of what it makes of the model below. Raise the one when the other changes.
GOLDEN = 4, "1dd43c241a7b1ceb02194c3d45d4beda3012f249deffd406a9be6fee78084551"


class Made(Weights):
    """A model whose weights are written down in a line."""

    def _read(self, name: str, part: Part) -> torch.Tensor:
        dim, start, stop = part
        shape = self.shape(name)
        numbers = torch.arange(torch.Size(shape).numel()) * 37 % 101
        return (numbers / 101 - 0.5).view(shape).narrow(dim, start, stop - start)

    def files(self) -> list[tuple[Store, str]]:
        return []

    @property
    def size(self) -> int:
        return 4 * self.model.n_params(self.vocab_size)

    def check(self, share: int = 0, of: int = 1) -> None:
        pass


def tokenizer() -> Tokenizer:
    """A few pieces of BPE, with all bytes."""
    model = ModelProto()
    model.trainer_spec.model_type = TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    kind = ModelProto.SentencePiece
    for piece, of in (("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)):
        model.pieces.add(piece=piece, score=0, type=of)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=kind.BYTE)
    for number, piece in enumerate(("de", "ef", "def", "\u2581def", "in", "\u2581", *"defimnaurt():0,")):
        model.pieces.add(piece=piece, score=-number, type=kind.NORMAL)
    return Tokenizer(model.SerializeToString(deterministic=True))


def test_equal_models_have_equal_exports_until_the_revision_is_raised(store: Store) -> None:
    recipe, words = load_recipe("micro"), tokenizer()
    weights = Made("made", Sizes(recipe.model, words.n_words, 64), words, torch.float32)
    train = import_model(weights, store)
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, recipe, train, tokenizer_of(train))
    shard = step.commit([huggingface.SHARD]).shard(huggingface.SHARD)
    assert (REVISION, shard.digest) == GOLDEN, [Object(o.name, o.size, o.sha256) for o in shard.objects]
