"""Our engine and transformers' `generate`: tokens a second in batches of 32, same weights and prompts.

    python -m benchmarks.generate [--threads 2] [--repeat 2] [--device cuda --dtype bfloat16]

Both continue prompts whose lengths are spread evenly from 16 to 512 tokens, in turns, in one process:

    greedy    32 prompts, 128 new tokens each; the tokens of both are compared
    drawn     the same with temperature 0.8 and top-p 0.95
    stopping  64 prompts whose texts end after 16 to 128 tokens, as they do with stop strings: transformers
              takes them in two batches, each of which lasts as long as its longest text
    samples   one prompt of 512 tokens, 32 continuations

The figures are medians over the rounds, after a short one that is not counted, of tokens that were asked for
by wall clock; beside them those by the CPU time of the process, for a machine that others use as well.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from llama_core.generate.tokens import Request, generate
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model
from llama_core.weights import names

VOCAB, BATCH, NEW, SEED = 32000, 32, 128, 1
SHORTEST, LONGEST = 16, 512
HEADER = f"{'':<10}{'ours':>10}{'theirs':>10}{'ratio':>8}{'':>14}{'by CPU time':>15}{'ratio':>7}"
T = TypeVar("T")
WIDE = 0.25  # the weights' deviation: logits spread by about 4 then, as a trained model's do


@dataclass(frozen=True)
class Case:
    """Prompts, how many tokens each is to get, and how they are drawn."""

    name: str
    prompts: list[list[int]]
    new: list[int]
    temperature: float = 0.0
    samples: int = 1

    @property
    def tokens(self) -> int:
        return sum(self.new) * self.samples


def begin(description: str | None) -> tuple[argparse.Namespace, Llama, torch.nn.Module, str]:
    """Return the options, our model and transformers' as they want them, and what the two are."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--only", help="the name of one case")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    ours, theirs = models(options.dim, options.layers, options.heads, device, dtype)
    params = sum(p.numel() for p in ours.parameters())
    said = f"{params / 1e6:.1f} M parameters, {options.dtype} on {options.device}, {options.threads} threads"
    return options, ours, theirs, said


def main() -> None:
    options, ours, theirs, said = begin(__doc__)
    print(f"{said}, batch {BATCH}")
    print(HEADER)
    results = []
    for case in cases():
        if options.only in (None, case.name):
            results.append(compare(case, ours, theirs, options.repeat))
    print(json.dumps({"name": "generate", "results": results}))


def models(
    dim: int, layers: int, heads: int, device: torch.device, dtype: torch.dtype
) -> tuple[Llama, torch.nn.Module]:
    """Return our model, and transformers' with the same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    cfg = Model(dim=dim, n_layers=layers, n_heads=heads, multiple_of=64)
    ours = Llama(cfg, VOCAB, attention="sdpa")
    init_weights(ours, cfg, WIDE, SEED)
    config = LlamaConfig(
        hidden_size=dim,
        intermediate_size=cfg.ffn_dim,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        vocab_size=VOCAB,
        rms_norm_eps=cfg.norm_eps,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    theirs = LlamaForCausalLM(config)
    theirs.load_state_dict(
        {names.to_huggingface(n): names.permute(n, p.detach(), heads) for n, p in ours.named_parameters()}
    )
    return ours.to(device, dtype).eval(), theirs.to(device, dtype).eval()


def cases() -> list[Case]:
    generator = torch.Generator().manual_seed(SEED)

    def prompts(count: int) -> list[list[int]]:
        lengths = torch.linspace(SHORTEST, LONGEST, count).long()[torch.randperm(count, generator=generator)]
        return [torch.randint(3, VOCAB, (n,), generator=generator).tolist() for n in lengths.tolist()]

    one, two = prompts(BATCH), prompts(2 * BATCH)
    ends = torch.randint(16, NEW + 1, (2 * BATCH,), generator=generator).tolist()
    return [
        Case("greedy", one, [NEW] * BATCH),
        Case("drawn", one, [NEW] * BATCH, temperature=0.8),
        Case("stopping", two, ends),
        Case("samples", prompts(BATCH)[-1:], [NEW], temperature=0.8, samples=BATCH),
    ]


def compare(case: Case, ours: Llama, theirs: Any, repeat: int) -> dict[str, Any]:
    """Time both on one case, in turns, and print and return what came out."""
    few = case.prompts[:2]
    short = Case("warm-up", few, [2] * len(few), case.temperature)
    by_us(short, ours)
    by_transformers(short, theirs)
    turns = Turns(lambda: by_us(case, ours), lambda: by_transformers(case, theirs), repeat)
    if case.temperature == 0 and next(ours.parameters()).dtype == torch.float32:
        assert turns.mine == turns.theirs, "the greedy tokens differ"
    what = f"generation, batch {BATCH}, {case.name}"
    return turns.told(case.name, what, "transformers", case.tokens, "tokens/s")


class Turns(Generic[T]):
    """Two sides that have done the same work in turns, and how long they took."""

    def __init__(self, ours: Callable[[], T], theirs: Callable[[], T], repeat: int):
        self.wall: tuple[list[float], list[float]] = [], []
        self.cpu: tuple[list[float], list[float]] = [], []
        for _ in range(repeat):
            for side, run in enumerate((ours, theirs)):
                start, start_cpu = time.perf_counter(), time.process_time()
                result = run()
                self.wall[side].append(time.perf_counter() - start)
                self.cpu[side].append(time.process_time() - start_cpu)
                if side == 0:
                    self.mine = result
                else:
                    self.theirs = result

    def told(self, name: str, what: str, peer: str, amount: int, unit: str) -> dict[str, Any]:
        """Print the medians of `amount` by time as a line of the table, and return them as a result."""
        mine, theirs = (amount / statistics.median(times) for times in self.wall)
        mine_cpu, theirs_cpu = (amount / statistics.median(times) for times in self.cpu)
        print(
            f"{name:<10}{mine:>10.0f}{theirs:>10.0f}{mine / theirs:>8.2f}{unit:>14}"
            f"{mine_cpu:>8.0f} {theirs_cpu:>6.0f}{mine_cpu / theirs_cpu:>7.2f}",
            flush=True,
        )
        figures = {"ours": round(mine, 1), "peer": peer, "theirs": round(theirs, 1)}
        return {"what": what, **figures, "ratio": round(mine / theirs, 2), "unit": unit}


def by_us(case: Case, model: Llama) -> list[list[int]]:
    requests = [
        Request(ids, new, case.temperature, 0.95, range(case.samples))
        for ids, new in zip(case.prompts, case.new, strict=True)
    ]
    found: list[list[int]] = [[] for _ in range(len(requests) * case.samples)]
    for token in generate(model, requests, ends=lambda *_: False, rows=BATCH):
        found[token.request * case.samples + token.sample].append(token.id)
    return found


def by_transformers(case: Case, model: Any) -> list[list[int]]:
    found = []
    for first in range(0, len(case.prompts), BATCH):
        prompts, new = case.prompts[first : first + BATCH], case.new[first : first + BATCH]
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        drawn = {"do_sample": True, "temperature": case.temperature, "top_p": 0.95, "top_k": 0}
        with torch.inference_mode():
            output = model.generate(
                ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=max(new),
                pad_token_id=0,
                eos_token_id=None,
                num_return_sequences=case.samples,
                **(drawn if case.temperature else {"do_sample": False}),
            )
        texts = output[:, longest:].tolist()
        found += [text[: new[row // case.samples]] for row, text in enumerate(texts)]
    return found


if __name__ == "__main__":
    main()
