"""What is reported of a tokenizer, and that its segmentation alone tells the released kind from another."""

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from corpus.helpers import SAMPLES, needs_samples
from numpy.typing import NDArray
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from llama_core import recipe
from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import InputError
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokenizer.report import PROBE, PROBES, Segmentation, Text, report
from llama_core.tokenizer.train import FLAGS, train_tokenizer

WORDS = {
    "en": ["hello", "world", "the", "loss", "of", "return", "value", "tokens"],
    "de": ["über", "größe", "straße", "schön", "für", "müde", "höhe", "tür"],
}
CFG = recipe.TokenizerSection(vocab_size=420, sample_bytes=1_000_000)


def texts(language: str, count: int) -> list[str]:
    """Words, runs of spaces and numbers."""
    rng = random.Random(language)
    words = [*WORDS[language], "12", "307", "x = 1"]
    return [
        "".join(rng.choice([" ", "  ", "\n    "]) + rng.choice(words) for _ in range(300))
        for _ in range(count)
    ]


def train(store: Store, cfg: recipe.TokenizerSection = CFG) -> Artifact:
    step = Step(store, "corpus", 1, {})
    with step.shard("web.one") as shard:
        rows = [(lang, text) for lang in ("en", "de", "") for text in texts(lang or "en", 20)]
        with shard.publish("web.one/train.parquet") as file:
            write_documents(
                file,
                [
                    Document(document_id("web", str(i)), text, "web", "", "", language, "", "{}")
                    for i, (language, text) in enumerate(rows)
                ],
            )
        shard.counts.update({"documents.train": len(rows), "bytes.train": 1})
        shard.facts = {"source": "web"}
    corpus = step.commit(["web.one"])
    step = Step(store, "tokenizer", 1, cfg.identity(), {"corpus": corpus})
    train_tokenizer(step, TrainingText(corpus), cfg, {"web": 1.0})
    return step.commit(["tokenizer"])


def test_bytes_per_token_are_reported_by_source_and_language(store: Store) -> None:
    artifact = train(store)
    facts, tokenizer = artifact.shard("tokenizer").facts, Tokenizer.load(artifact)
    by_language = facts["bytes_per_token_by_language"]["web"]
    assert set(by_language) == {"de", "en", "unknown"}
    german = texts("de", 20)
    size, tokens = sum(len(t.encode()) for t in german), sum(len(tokenizer.encode(t)) for t in german)
    assert by_language["de"] == pytest.approx(size / tokens, abs=1e-4)
    assert min(by_language.values()) < facts["bytes_per_token"]["web"] < max(by_language.values())


def test_a_tokenizer_of_ours_takes_the_space_before_a_word_as_the_released_one_does(store: Store) -> None:
    facts = train(store).shard("tokenizer").facts
    assert facts["segmentation"]["tokens"] > 10_000
    assert facts["segmentation"]["spaces_taken"] == facts["segmentation"]["digits_joined"] == 0
    assert facts["probes"][" hello"] == ["▁", "▁hello"]


def test_the_same_flags_without_the_last_step_are_told_by_the_segmentation() -> None:
    model = io.BytesIO()
    lines = [line for language in WORDS for text in texts(language, 20) for line in text.split("\n") if line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=CFG.vocab_size,
        minloglevel=3,
        **FLAGS | {"split_digits": False},
    )
    segmentation = Tokenizer(model.getvalue()).segmentation
    found = report(segmentation, [Text("web", "en", text) for text in texts("en", 20)])
    assert found["segmentation"]["spaces_taken"] > 100
    assert found["segmentation"]["digits_joined"] > 100
    assert found["probes"][" hello"] == ["▁▁", "hello"]


def test_of_each_source_and_language_a_first_part_is_encoded() -> None:
    class Counting(Segmentation):
        encoded = 0

        def encode(self, text: str) -> NDArray[np.int32]:
            self.encoded += len(text)
            return super().encode(text)

    lines = ["hello world"] * 50 + texts("en", 20)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=300, minloglevel=3, **FLAGS
    )
    counting = Counting(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))
    text = "hello world " * 10_000
    found = report(counting, [Text("web", language, text) for language in ("en", "de") for _ in range(40)])
    assert 2 * PROBE <= counting.encoded < 2 * (PROBE + len(text)) + sum(map(len, PROBES))
    assert set(found["bytes_per_token_by_language"]["web"]) == {"en", "de"}


def test_another_tokenizer_is_reported_beside_ours(store: Store, tmp_path: Path) -> None:
    ours = Tokenizer.load(train(store))
    model = ModelProto.FromString(ours.model)
    for piece in model.pieces:
        if not piece.piece.strip("▁"):
            piece.score = 0.0
    path = tmp_path / "other.model"
    path.write_bytes(model.SerializeToString())
    again = Store(f"{store.url}/again")
    facts = train(again, CFG.model_copy(update={"compare_with": str(path)})).shard("tokenizer").facts
    other = facts["compared_with"][str(path)]
    assert other["pieces_in_common"] == 1.0
    assert other["segmentation"]["spaces_taken"] > 0 == facts["segmentation"]["spaces_taken"]
    assert other["probes"][" hello"] != facts["probes"][" hello"]


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_tokenizer_to_compare_with_is_an_error_of_the_recipe_key(
    store: Store, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "other.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="tokenizer.compare_with: .*other.model is no SentencePiece model"):
        train(store, CFG.model_copy(update={"compare_with": str(path)}))


RELEASED = os.environ.get("LLAMA_TOKENIZER", "")


@pytest.mark.skipif(not RELEASED, reason="LLAMA_TOKENIZER names no released tokenizer.model")
@needs_samples
def test_the_released_tokenizer_has_no_fault_on_real_text() -> None:
    tokenizer = Tokenizer(Path(RELEASED).read_bytes())
    books = [path.read_text(encoding="utf-8-sig") for path in sorted((SAMPLES / "gutenberg").glob("*.txt"))]
    papers = [path.read_text() for path in sorted((SAMPLES / "arxiv").glob("*.tex"))]
    found = report(
        tokenizer.segmentation,
        [Text("books", "en", t) for t in books] + [Text("arxiv", "en", t) for t in papers],
    )
    assert found["segmentation"]["tokens"] > 500_000
    assert found["segmentation"]["spaces_taken"] == found["segmentation"]["digits_joined"] == 0
    assert found["probes"][" hello"] == ["▁", "▁hello"] and found["probes"]["a  b"] == ["▁a", "▁", "▁b"]
    assert all(3 < ratio < 4 for ratio in found["bytes_per_token"].values())


# Read from the released tokenizer.model; left out are the size of the sample and traces of the machine.
RELEASED_FLAGS = {
    "model_type": 2,  # BPE
    "max_sentence_length": 4192,
    "seed_sentencepiece_size": 1_000_000,
    "max_sentencepiece_length": 16,
    "num_sub_iterations": 2,
    "split_by_unicode_script": True,
    "split_by_whitespace": True,
    "split_by_number": True,
    "split_digits": True,
    "treat_whitespace_as_suffix": False,
    "allow_whitespace_only_pieces": True,
    "vocabulary_output_piece_score": True,
    "hard_vocab_limit": True,
    "use_all_vocab": False,
    "byte_fallback": True,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "unk_surface": " ⁇ ",
}
RELEASED_NORMALIZER = {
    "name": "identity",
    "precompiled_charsmap": b"",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
}


def test_the_model_file_states_the_flags_of_the_released_one(store: Store) -> None:
    models = [Tokenizer.load(train(store)).model]
    if RELEASED:
        models.append(Path(RELEASED).read_bytes())
    for data in models:
        model = ModelProto.FromString(data)
        assert {k: getattr(model.trainer_spec, k) for k in RELEASED_FLAGS} == RELEASED_FLAGS
        assert {k: getattr(model.normalizer_spec, k) for k in RELEASED_NORMALIZER} == RELEASED_NORMALIZER
    assert recipe.TokenizerSection().vocab_size == 32_000
    assert recipe.TokenizerSection().character_coverage == 0.99995
