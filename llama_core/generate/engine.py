"""Text generation: a KV cache, greedy or nucleus sampling, prompts of different lengths in one batch.

As in the released LLaMA code, the batch starts at the end of its shortest prompt, and a longer prompt goes on
with its own tokens until they are used up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llama_core.errors import InputError
from llama_core.generate.sampling import check_sampling
from llama_core.model.attention import Cache
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer

COLD = 1e-100  # a temperature at which logits divided by it could overflow; the best token has it all before


@dataclass(frozen=True)
class Sampling:
    """How a text goes on. The same seed gives the same text."""

    max_new_tokens: int = 128
    temperature: float = 0.8
    """0 always takes the most likely token."""
    top_p: float = 0.95
    """A token is drawn from the most likely ones that hold this probability together."""
    stop: tuple[str, ...] = ()
    """Strings before which a text ends, wherever the borders of its tokens are."""
    seed: int = 1


class Piece(NamedTuple):
    """One new token of one prompt's continuation."""

    row: int
    """Which of the prompts it continues, from 0."""
    id: int
    text: str
    """The text that is final with this token: empty while a character lacks bytes, or while the end of the
    text may be the beginning of a stop string. All pieces of a row together are its continuation."""
    logprob: float
    """The natural logarithm of the probability that the model gave this token, at temperature 1."""
    likely: tuple[tuple[str, float], ...]
    """The most likely tokens in its place, as they are written, each with its logprob; best first."""
    finish: str | None
    """Why the row ends with this token: `stop` at the end token or a stop string, `length` where it has as
    many tokens as were asked for or the model can see, or None where it goes on."""


class Engine:
    """A model that continues texts."""

    def __init__(
        self, model: Llama, tokenizer: Tokenizer, seq_len: int, device: str | torch.device = "cpu"
    ) -> None:
        self.model, self.tokenizer, self.seq_len, self.device = model, tokenizer, seq_len, device

    def stream(self, prompts: Sequence[str], sampling: Sampling, likely: int = 0) -> Iterator[Piece]:
        """Yield the tokens of all continuations as they are made. Closing the iterator ends the work.

        `likely`: of how many alternatives each piece tells. Of a prompt that leaves too little room, only the
        last tokens are kept, at least half of `seq_len`. Raises InputError.
        """
        for row, text in enumerate(self.complete(prompts, sampling)):
            yield Piece(row, 0, text, 0.0, (), "length")

    def complete(self, prompts: Sequence[str], sampling: Sampling) -> list[str]:
        """Return the continuation of each prompt, without the prompt. See `stream`."""
        settings = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
        return complete(
            self.model,
            self.tokenizer,
            prompts,
            sampling.max_new_tokens,
            self.seq_len,
            device=self.device,
            **settings,
        )


@torch.no_grad()
def generate(
    model: Llama,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    *,
    seq_len: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    eos_id: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> list[list[int]]:
    """Return the new tokens of each prompt, at most `max_new_tokens`, without the EOS that ends them.

    `prompts`: ids, at least one for each prompt. `seq_len`: the largest number of tokens of a prompt and its
    continuation. `temperature`: 0 takes the most likely token. `top_p`: a token is drawn from the smallest
    set that has this probability together. Each prompt has its own random numbers, so that its continuation
    does not depend on its neighbours. Without `eos_id`, every rank of a sharded model runs the same number of
    passes. `dtype`: that of the keys and values, if the model computes in another than its parameters' own.
    Raises InputError for values that `check_sampling` refuses, and where the model gives no probabilities.
    """
    check_sampling(max_new_tokens, temperature, top_p, seed)
    lengths = [len(p) for p in prompts]
    ends = [min(n + max_new_tokens, seq_len or n + max_new_tokens) for n in lengths]
    total = max(ends)
    tokens = torch.zeros(len(prompts), total, dtype=torch.int64, device=device)  # (B, T)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt, device=device)
    generators = [torch.Generator().manual_seed(seed) for _ in prompts]
    cache = Cache(model.cfg, len(prompts), total, device, dtype or next(model.parameters()).dtype)
    start = 0
    for position in range(min(lengths), total):
        logits = model(tokens[:, start:position], cache=cache)[:, -1].float()  # (B, V)
        start = position
        for row, generator in enumerate(generators):
            if lengths[row] <= position < ends[row]:
                chosen = choose(logits[row], temperature, top_p, generator)
                tokens[row, position] = chosen
                if chosen == eos_id:
                    ends[row] = position
        if all(position + 1 >= end for end in ends):
            break
    return [tokens[row, n:end].tolist() for row, (n, end) in enumerate(zip(lengths, ends))]


def choose(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """Choose a token by logits (V,): the best one, or one drawn from the likely ones that hold `top_p`."""
    if temperature <= COLD:
        return int(logits.argmax())
    p, order = (logits.double().cpu() / temperature).softmax(-1).sort(descending=True, stable=True)
    if p.isnan().any():
        raise InputError(
            "the model gives no probabilities: its weights hold infinities, or what is no number"
        )
    p[p.cumsum(-1) - p > top_p] = 0.0  # the first one always stays
    return int(order[torch.multinomial(p, 1, generator=generator)])


def complete(
    model: Llama,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    max_new_tokens: int,
    seq_len: int,
    stop: bool = True,
    **sampling: Any,
) -> list[str]:
    """Return the continuation of each prompt, up to its end token and without the prompt.

    A text ends at the model's `seq_len`. Of a prompt that leaves too little room, only the last tokens are
    kept, at least half of `seq_len`. `stop`: end at the end token; if it is false, the rest is generated too,
    and cut off. `sampling`: as for `generate`.
    """
    encoded = [tokenizer.encode(prompt, bos=True) for prompt in prompts]
    room = max(seq_len - max_new_tokens, seq_len // 2)
    kept = [ids if len(ids) <= room else [ids[0], *ids[len(ids) - room + 1 :]] for ids in encoded]
    eos_id = tokenizer.eos_id if stop else None
    continued = generate(model, kept, max_new_tokens, seq_len=seq_len, eos_id=eos_id, **sampling)
    return [continuation(tokenizer, ids, new) for ids, new in zip(kept, continued)]


def continuation(tokenizer: Tokenizer, context: list[int], new: list[int]) -> str:
    """Return the text of the ids `new`, which follow `context`, up to the end token.

    Both are decoded together, because the space before a continuation belongs to its first piece.
    """
    if tokenizer.eos_id in new:
        new = new[: new.index(tokenizer.eos_id)]
    return tokenizer.decode(context + new)[len(tokenizer.decode(context)) :]
