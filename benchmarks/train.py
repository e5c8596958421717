"""Training steps on one GPU: ours beside transformers' LLaMA of the same shape, on the same tokens.

    python -m benchmarks.train [--recipe 7b] [--layers 8] [--micro-batch 4] [--accumulate 4]
                              [--steps 10] [--profile FILE]

Only `--layers` of the recipe's layers are built, so that float32 weights and AdamW's moments fit one GPU.
Both sides compute in bf16 with float32 weights, compile each block and the loss, and update with fused AdamW
after `--accumulate` micro-batches; transformers uses autocast and SDPA, as its Trainer would. Documents have
512 tokens on average. A step is timed whole: data from the host, forward, backward, clipping, update. Tokens
per second are those of the median step. MFU is defined as in PaLM (Chowdhery et al. 2022): 6 N + 12 L d s
operations per token over the peak in bf16, where N leaves out the input embedding, and where every query sees
all keys before it, whatever the mask. The last line is JSON.
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.train import distributed
from llama_core.train.optimizer import clip, make_optimizer, update
from llama_core.train.parallelize import build
from llama_core.train.passes import backward

PEAK = {"H100 80GB HBM3": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16 operations a second, published
VOCAB, BOS, MEAN_DOCUMENT = 32_000, 1, 512
WARM = 4
PEER = "transformers"

Step = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="7b")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--accumulate", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10, help="timed, after a few that are not")
    parser.add_argument("--profile", help="write the kernels of three of our steps to this file")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this benchmark needs a CUDA device")
    card = torch.cuda.get_device_name()
    print(f"{card}, torch {torch.__version__}, {options.layers} layers of {options.recipe}")
    print(f"{'':<44}{'tokens/s':>10}{'MFU':>8}{'GiB':>8}")

    variants = {
        "ours": _recipe(options),
        "ours, documents kept apart": _recipe(options, {"train.document_mask": True}),
        "ours, not compiled": _recipe(options, {"layout.compile": False}),
        "ours, blocks recomputed": _recipe(options, {"layout.activation_checkpointing": "full"}),
        PEER: _recipe(options),
    }
    results = {}
    # Each variant has its own process: FSDP keeps a model in memory for as long as its process lives.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for what, recipe in variants.items():
            speed, peak = pool.submit(_measure, what, recipe, options.steps).result()
            print(f"{what:<44}{speed:>10,.0f}{_mfu(recipe, speed):>8}{peak:>8.1f}", flush=True)
            results[what] = speed, peak
        if options.profile:
            pool.submit(_profile, variants["ours, documents kept apart"], options.profile).result()
    (speed, peak), (their_speed, their_peak) = results["ours"], results[PEER]
    rows = [("training", speed, their_speed, speed / their_speed, "tokens per second")]
    rows += [("memory at its peak", peak, their_peak, their_peak / peak, "GiB")]
    print(json.dumps({"name": "train", "results": [
        {"what": what, "ours": round(a, 2), "peer": PEER, "theirs": round(b, 2)}
        | {"ratio": round(ratio, 3), "unit": unit} for what, a, b, ratio, unit in rows
    ]}))  # fmt: skip


def _recipe(options: argparse.Namespace, differs: Mapping[str, Any] = {}) -> Recipe:
    batch = options.accumulate * options.micro_batch * load_recipe(options.recipe).train.seq_len
    overrides = {
        "launch.device": "cuda",
        "launch.nodes": 1,
        "launch.procs_per_node": 1,
        "model.n_layers": options.layers,
        "layout.micro_batch": options.micro_batch,
        "layout.compile": True,
        "layout.activation_checkpointing": "none",
        "train.document_mask": False,
        "train.global_batch_tokens": batch,
    }
    return load_recipe(options.recipe, overrides | differs)


@contextlib.contextmanager
def _ours(recipe: Recipe) -> Iterator[Step]:
    """Build our model and optimizer, and yield a function that makes step `n`."""
    world = distributed.join(recipe.launch.device)
    model = build(recipe, VOCAB, world)
    with torch.no_grad():
        for weight in (getattr(p, "to_local", lambda p=p: p)() for p in model.parameters()):
            weight.normal_(0, recipe.train.init_std) if weight.ndim > 1 else weight.fill_(1)
    optimizer = make_optimizer(model, recipe.train)

    def step(n: int) -> None:
        backward(model, _batch(recipe, n), recipe, BOS)
        clip(model.parameters(), recipe.train.grad_clip)
        update(optimizer, n, recipe.train)

    yield step
    distributed.close_group()


@contextlib.contextmanager
def _transformers(recipe: Recipe) -> Iterator[Step]:
    """Build transformers' model and an optimizer, and yield a function that makes step `n`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = recipe.model
    with torch.device(recipe.launch.device):
        model = LlamaForCausalLM._from_config(
            LlamaConfig(
                vocab_size=VOCAB, hidden_size=shape.dim, intermediate_size=shape.ffn_dim,
                num_hidden_layers=shape.n_layers, num_attention_heads=shape.n_heads,
                max_position_embeddings=recipe.train.seq_len, rms_norm_eps=shape.norm_eps, use_cache=False,
            ),
            attn_implementation="sdpa", dtype=torch.float32,
        )  # fmt: skip
    model.train()
    for layer in model.model.layers:
        layer.compile()
    cfg = recipe.train
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), weight_decay=cfg.weight_decay, fused=True
    )

    loss_of = torch.compile(_cross_entropy)

    def step(n: int) -> None:
        total = torch.zeros((), device=recipe.launch.device)
        parts = _batch(recipe, n).split(recipe.layout.micro_batch)
        for tokens in (part.to(recipe.launch.device) for part in parts):
            with torch.autocast(recipe.launch.device, torch.bfloat16):
                logits = model(tokens[:, :-1], use_cache=False).logits
            loss = loss_of(logits, tokens[:, 1:], cfg.global_batch_tokens)
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.grad_clip)
        optimizer.step()
        optimizer.zero_grad()
        total.item()

    yield step


def _cross_entropy(logits: Tensor, targets: Tensor, n_targets: int) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum") / n_targets


def _batch(recipe: Recipe, n: int) -> Tensor:
    """Return batch `n` of random ids, int64 (B, S + 1), on the host."""
    generator = torch.Generator().manual_seed(n)
    size = (recipe.train.batch_sequences, recipe.train.seq_len + 1)
    tokens = torch.randint(3, VOCAB, size, generator=generator)
    return tokens.masked_fill_(torch.rand(size, generator=generator) < 1 / MEAN_DOCUMENT, BOS)


def _measure(what: str, recipe: Recipe, steps: int) -> tuple[float, float]:
    """Time `steps` steps after WARM untimed ones, and return tokens per second and peak memory in GiB."""
    seconds = []
    with _transformers(recipe) if what == PEER else _ours(recipe) as step:
        for n in range(1, WARM + steps + 1):
            if n == WARM + 1:
                torch.cuda.reset_peak_memory_stats()
            torch.cuda.synchronize()
            start = time.perf_counter()
            step(n)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    speed = recipe.train.global_batch_tokens / statistics.median(seconds[WARM:])
    return speed, torch.cuda.max_memory_allocated() / 2**30


def _mfu(recipe: Recipe, speed: float) -> str:
    """Return the model FLOPs utilization at `speed` tokens per second, "-" if the GPU's peak is unknown."""
    peak = next((value for name, value in PEAK.items() if name in torch.cuda.get_device_name()), None)
    if peak is None:
        return "-"
    shape = recipe.model
    weights = shape.n_params(VOCAB) - VOCAB * shape.dim
    operations = 6 * weights + 12 * shape.n_layers * shape.dim * recipe.train.seq_len
    return f"{speed * operations / peak:.1%}"


def _profile(recipe: Recipe, path: str) -> None:
    """Write a table of the kernels of three of our steps to `path`."""
    from torch.profiler import ProfilerActivity, profile

    with _ours(recipe) as step:
        for n in range(1, WARM + 1):
            step(n)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            for n in range(3):
                step(WARM + n + 1)
            torch.cuda.synchronize()
    table = seen.key_averages().table(sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=90)
    with open(path, "w") as file:
        file.write(table)


if __name__ == "__main__":
    main()
