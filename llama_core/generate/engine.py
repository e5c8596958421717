"""Text generation: a KV cache, greedy or nucleus sampling, prompts of different lengths in one batch.

As in the released LLaMA code, the batch starts at its shortest prompt; a longer prompt goes on with its
own tokens until they are used up.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llama_core.model.attention import Cache
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer


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
    """The new tokens of each prompt, up to `max_new_tokens`, without the EOS that ends them.

    `prompts`: each of one token or more. `seq_len`: where a prompt and what follows it end. `temperature`
    0: greedy. `top_p`: the smallest set of tokens with this probability is drawn from. Each prompt has its
    own random numbers: what it gives does not depend on its neighbours. Without `eos_id`, every rank of a
    sharded model runs the same number of passes. `dtype`: of the keys and values, where the model does not
    compute in its parameters' own.
    """
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
    """One token from logits (V,): the best, or a draw from the most likely that hold `top_p` together."""
    if temperature <= 0:
        return int(logits.argmax())
    p, order = (logits.double().cpu() / temperature).softmax(-1).sort(descending=True, stable=True)
    p[p.cumsum(-1) - p > top_p] = 0.0  # the first always stays
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
    """The continuation of each prompt, up to its end token, without the prompt. `sampling` as for `generate`.

    Text ends at the model's `seq_len`; a prompt keeps its last tokens, at least half of that. `stop`: end
    at the end token; without it the rest is generated too, and cut off.
    """
    encoded = [tokenizer.encode(prompt, bos=True) for prompt in prompts]
    room = max(seq_len - max_new_tokens, seq_len // 2)
    kept = [ids if len(ids) <= room else [ids[0], *ids[len(ids) - room + 1 :]] for ids in encoded]
    eos_id = tokenizer.eos_id if stop else None
    continued = generate(model, kept, max_new_tokens, seq_len=seq_len, eos_id=eos_id, **sampling)
    return [continuation(tokenizer, ids, new) for ids, new in zip(kept, continued)]


def continuation(tokenizer: Tokenizer, context: list[int], new: list[int]) -> str:
    """The text of `new` after `context`. Decoded together: a first space belongs to its first piece."""
    if tokenizer.eos_id in new:
        new = new[: new.index(tokenizer.eos_id)]
    return tokenizer.decode(context + new)[len(tokenizer.decode(context)) :]
