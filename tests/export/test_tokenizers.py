"""Whoever loads the exported folder gets our ids: by the fast or slow tokenizer, on any text."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trained import Trained
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from llama_core.export.convert import convert
from llama_core.tokenizer.model import Tokenizer

MARKS = ["<s>", "</s>", "<unk>", "<pad>", "<0x0A>", "<0x41>", "\u2581", "[INST]", "<|endoftext|>"]
HOSTILE = [
    "",
    " ",
    "  ",
    " " * 57,
    "\n",
    "\t x",
    " leading",
    "   leading and trailing   ",
    "<s>",
    "<s> a",
    " <s>a</s> <s>b</s>",
    "a<s><s></s><unk>b",
    "< s >",
    "\u2581\u2581x \u2581",
    "e\u0301\u0300 \u00e9 \ufb01 \u2126",  # nothing is normalised
    "\x00\x01\x7f\u0085\u2028",
    "\u200b\u200d\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e8\U0001f1ed",
    "\u202e right to left \u202c",
    "a\r\nb\rc",
    "0123456789 3.14 1e-9",
    "x" * 5000,
    "<s>" * 300,
    "def f(x):\n    return  x\n\n\n",
]
texts = st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=12), st.just(" ")), max_size=8).map(
    "".join
)


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    convert(trained.inputs["train"].url, str(folder), "huggingface", lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> dict[str, Any]:
    """What people load: the class is found by the folder's settings, or named."""
    return {
        "fast": AutoTokenizer.from_pretrained(folder),
        "slow": AutoTokenizer.from_pretrained(folder, use_fast=False),
        "named": PreTrainedTokenizerFast.from_pretrained(folder),
    }


def check(loaded: dict[str, Any], ours: Tokenizer, text: str) -> None:
    expected = ours.encode(text, bos=True)
    for name, theirs in loaded.items():
        assert theirs(text)["input_ids"] == expected, (name, text)
        assert theirs(text, add_special_tokens=False)["input_ids"] == expected[1:], (name, text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_get_our_ids(loaded: dict[str, Any], trained: Trained, text: str) -> None:
    check(loaded, trained.tokenizer, text)
    expected = [trained.tokenizer.encode(part, bos=True) for part in (text, "x", text)]
    assert loaded["fast"]([text, "x", text])["input_ids"] == expected


@settings(deadline=None, max_examples=300)
@given(text=texts)
def test_any_text_gets_our_ids(loaded: dict[str, Any], trained: Trained, text: str) -> None:
    check(loaded, trained.tokenizer, text)


def test_marks_are_still_marks_to_who_asks_for_them(loaded: dict[str, Any], trained: Trained) -> None:
    ours, rng = trained.tokenizer, random.Random(1)
    for theirs in loaded.values():
        assert (theirs.bos_token_id, theirs.eos_token_id, theirs.unk_token_id) == (1, 2, 0)
        ids = ours.encode("hello  x", bos=True, eos=True)
        assert theirs.decode(ids, skip_special_tokens=True) == "hello  x"
        assert theirs.decode(ids).startswith("<s>") and theirs.decode(ids).endswith("</s>")
        for _ in range(20):
            text = "".join(rng.choices(" abé\n<s>", k=30))
            assert theirs.decode(theirs(text)["input_ids"], skip_special_tokens=True) == text
