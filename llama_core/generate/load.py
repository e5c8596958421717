"""A model to talk to, from the URL of an export or train step, or of a LLaMA folder by anybody."""

import os
from typing import NamedTuple

import torch

from llama_core.errors import InputError
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer
from llama_core.weights.open import open_weights, store_of, whole


class Loaded(NamedTuple):
    """A model that is ready to generate text."""

    model: Llama
    tokenizer: Tokenizer
    seq_len: int
    """The longest context of the model, in tokens."""


def load(url: str, device: str | torch.device = "cpu") -> Loaded:
    """Load the model at any path or fsspec URL: see `open_weights`.

    Weights keep the precision that they are stored in. Raises InputError where there is no such model, and
    DamagedError where its bytes are not what the manifest says, or not what they should be.
    """
    weights = open_weights(url)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if weights.size > memory:
        raise InputError(f"the weights at {url} take {weights.size:,} bytes, and this machine has {memory:,}")
    with whole(store_of(url)):
        weights.check()
        with torch.device("meta"):
            model = Llama(weights.model, weights.vocab_size)
        model.load_state_dict({name: weights.read(name) for name in weights.names}, assign=True)
    model.to(device).eval()
    return Loaded(model, weights.tokenizer, weights.seq_len)
