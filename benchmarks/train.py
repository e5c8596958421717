"""Training steps: ours beside transformers and torchtitan, the same model on the same tokens.

    python -m benchmarks.train [--device cpu|cuda] [--precisions fp32 bf16 float8] [--eager]
        [--recipe 7b] [--layers 8] [--micro-batch 4] [--accumulate 4] [--rounds 7] [--steps 3]
        [--only ours transformers torchtitan] [--variants] [--torchtitan-python PATH] [--profile FILE]

Each side is what its users run: our `llama_core.train.loop`, `transformers.Trainer` with its defaults
(`train_transformers`), and `torchtitan.trainer.Trainer` of the released wheel (`train_torchtitan`), which has
a Python of its own where the one that runs does not have it. All have float32 weights and moments of AdamW,
and compile, each in its own way. On a CPU the model is small (17 M parameters, sequences of 256, 2 threads);
on a GPU it has the recipe's shape with `--layers` of its layers.

Each side is a process of its own. They take turns, `--steps` steps at a time, so that all of them see the
same machine: on a CPU the processes stay, on a GPU each turn is a fresh one, since one model may fill it. A
step is timed whole, from the batch on the host to the update. Speeds are medians over all steps, a ratio is
the median of the rounds' ratios. MFU is defined as in PaLM (Chowdhery et al. 2022): 6 N + 12 L d s operations
per token over the peak in bf16, where N leaves out the input embedding, and where every query sees all keys
before it, whatever the mask; `causal` counts half of the attention. The last line is JSON. A side that cannot
run is named with the reason, and the exit code is 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.train_environment import NoPeer, torchtitan_python
from benchmarks.train_ours import recipe_of
from benchmarks.train_turns import Setting
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Model
from llama_core.train.metrics.utilization import flops_per_token, peak_of

ROOT = Path(__file__).parents[1]
PEERS = ("transformers", "torchtitan")
SMALL, SMALL_VOCAB, SMALL_SEQUENCE = Model(dim=384, n_layers=6, n_heads=6), 8000, 256
WARM = 4  # steps that are not timed
VARIANTS = {
    "documents kept apart": {"train.document_mask": True},
    "not compiled": {"layout.compile": False},
    "blocks recomputed": {"layout.activation_checkpointing": "full"},
}


@dataclass(frozen=True)
class Measured:
    """What a side has shown in all of its turns."""

    rounds: list[list[float]]
    """Seconds of each step, by round."""
    peak: float
    """Most bytes in memory."""

    @property
    def seconds(self) -> float:
        """The median of all steps."""
        return statistics.median(second for turn in self.rounds for second in turn)

    def faster_than(self, other: "Measured") -> float:
        """Return the median over the rounds of how many times faster this was."""
        medians = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(statistics.median(b) / statistics.median(a) for a, b in medians)


class Worker:
    """A side's process, which makes steps when it is asked to (see `train_turns.Turns`)."""

    def __init__(self, side: str, python: str, setting: Setting, threads: int):
        self.side = side
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  open for as long as the process
        env = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        if setting.device == "cpu":
            env |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.train_{side}", setting.as_argument()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=ROOT, env=env,
        )  # fmt: skip
        try:
            if (weights := self._answer()["weights"]) != setting.weights:
                raise NoPeer(f"its model has {weights:,} weights, not {setting.weights:,}")
        except NoPeer:
            self.close()
            raise

    def steps(self, n: int) -> dict[str, Any]:
        """Have `n` steps made, and return their seconds and the memory at its peak. Raises NoPeer."""
        assert self._process.stdin
        try:
            print(n, file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise NoPeer(self._why()) from error
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait()
        raise NoPeer(self._why())

    def _why(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        return f"it ended with code {self._process.returncode}: {' | '.join(lines[-3:])[-600:]}"


def main() -> None:
    options = _options()
    print(_machine(options))
    failed: dict[str, str] = {}
    pythons = {"ours": sys.executable, "transformers": sys.executable}
    if "torchtitan" in options.only:
        try:
            pythons["torchtitan"] = options.torchtitan_python or torchtitan_python()
        except NoPeer as why:
            failed["torchtitan"] = str(why)
    rows: list[dict[str, Any]] = []
    for precision in options.precisions:
        setting = _setting(options, precision)
        sides = {side: (side, setting) for side in options.only}
        if options.variants:
            sides |= {f"ours, {what}": ("ours", replace(setting, differs=d)) for what, d in VARIANTS.items()}
        measured = _measure(options, sides, pythons, failed)
        print(f"\n{precision:<32}{'tokens/s':>10}{'ours x':>8}{'MFU':>8}{'causal':>8}{'GiB':>8}")
        for name in sides:
            _print(name, setting, measured, failed)
        rows += _rows(precision, setting, measured, options.only, failed)
    if options.profile:
        profiled = replace(_setting(options, options.precisions[-1]), profile=options.profile)
        worker = Worker("ours", sys.executable, profiled, options.threads)
        worker.steps(WARM + 4)
        worker.close()
    print(json.dumps({"name": "train", "results": rows}))
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cuda = torch.cuda.is_available()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if cuda else "cpu")
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16", "float8"))
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--recipe", default="7b", help="on a GPU: the recipe whose shape is trained")
    parser.add_argument("--layers", type=int, default=8, help="on a GPU: how many of its layers")
    parser.add_argument("--micro-batch", type=int, help="sequences; default: 8 on a CPU, 4 on a GPU")
    parser.add_argument("--accumulate", type=int, help="micro-batches; default: 2 on a CPU, 4 on a GPU")
    parser.add_argument("--rounds", type=int, help="turns of each side; default: 7 on a CPU, 3 on a GPU")
    parser.add_argument("--steps", type=int, help="steps in a turn; default: 2 on a CPU, 6 on a GPU")
    parser.add_argument("--threads", type=int, default=2, help="on a CPU: of each side")
    parser.add_argument(
        "--busy", action="store_true", help="count CPU seconds: the machine does other work too"
    )
    parser.add_argument("--only", nargs="+", choices=("ours", *PEERS), default=["ours", *PEERS])
    parser.add_argument("--variants", action="store_true", help="measure ours with other layouts too")
    parser.add_argument("--torchtitan-python", help="a Python that has torchtitan")
    parser.add_argument("--profile", help="write the operators of three of our steps to this file")
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    if on_gpu and not cuda:
        parser.error("there is no CUDA device")
    options.precisions = options.precisions or (["bf16", "float8"] if on_gpu else ["fp32", "bf16"])
    options.micro_batch = options.micro_batch or (4 if on_gpu else 8)
    options.accumulate = options.accumulate or (4 if on_gpu else 2)
    options.rounds = options.rounds or (3 if on_gpu else 7)
    options.steps = options.steps or (6 if on_gpu else 2)
    return options


def _machine(options: argparse.Namespace) -> str:
    what = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads of a CPU"
    compiled = "not compiled" if options.eager else "compiled"
    return (
        f"{what}, torch {torch.__version__}, {compiled}, batch {options.micro_batch} x {options.accumulate}"
    )


def _setting(options: argparse.Namespace, precision: str) -> Setting:
    recipe = load_recipe(options.recipe)
    shape, vocab, seq_len = SMALL, SMALL_VOCAB, SMALL_SEQUENCE
    if options.device == "cuda":
        shape = recipe.model.model_copy(update={"n_layers": options.layers})
        vocab, seq_len = recipe.tokenizer.vocab_size, recipe.train.seq_len
    cfg = recipe.train
    return Setting(
        dim=shape.dim, n_layers=shape.n_layers, n_heads=shape.n_heads, ffn_dim=shape.ffn_dim, vocab=vocab,
        norm_eps=shape.norm_eps, rope_theta=shape.rope_theta, seq_len=seq_len,
        batch=options.micro_batch * options.accumulate, micro_batch=options.micro_batch, precision=precision,
        compile=not options.eager, device=options.device, lr=cfg.lr, beta1=cfg.beta1, beta2=cfg.beta2,
        weight_decay=cfg.weight_decay, grad_clip=cfg.grad_clip, busy=options.busy,
    )  # fmt: skip


def _measure(
    options: argparse.Namespace,
    sides: dict[str, tuple[str, Setting]],
    pythons: dict[str, str],
    failed: dict[str, str],
) -> dict[str, Measured]:
    """Let the sides take turns. Those that cannot run are added to `failed`."""
    stay = options.device == "cpu"
    seconds: dict[str, list[list[float]]] = defaultdict(list)
    peaks: dict[str, float] = defaultdict(float)
    workers: dict[str, Worker] = {}
    with ExitStack() as open_workers:
        for _ in range(options.rounds):
            for name, (side, setting) in sides.items():
                if name in failed or side in failed:
                    continue
                try:
                    worker = workers.get(name)
                    if worker is None:
                        worker = Worker(side, pythons[side], setting, options.threads)
                        worker.steps(WARM)
                    if stay and name not in workers:
                        workers[name] = worker
                        open_workers.callback(worker.close)
                    turn = worker.steps(options.steps)
                    seconds[name].append(turn["seconds"])
                    peaks[name] = max(peaks[name], turn["peak"])
                except NoPeer as why:
                    failed[name] = str(why)
                    continue
                finally:
                    if not stay and worker is not None:
                        worker.close()
    return {
        name: Measured(seconds[name], peaks[name]) for name in sides if name not in failed and seconds[name]
    }


def _print(name: str, setting: Setting, measured: dict[str, Measured], failed: dict[str, str]) -> None:
    if name not in measured:
        print(f"{name:<32}  DID NOT RUN: {failed.get(name) or failed.get('ours')}", flush=True)
        return
    mine = measured[name]
    ratio = f"{measured['ours'].faster_than(mine):.3f}" if "ours" in measured else "-"
    speed = setting.tokens / mine.seconds
    shares = "".join(f"{share:>8}" for share in _mfu(setting, speed))
    print(f"{name:<32}{speed:>10,.0f}{ratio:>8}{shares}{mine.peak / 2**30:>8.1f}", flush=True)


def _mfu(setting: Setting, speed: float) -> tuple[str, str]:
    """Return the model FLOPs utilization at `speed` tokens per second by PaLM's formula and the causal one.

    They are "-" where the device's peak is unknown.
    """
    peak = peak_of(torch.device(setting.device), "bf16")
    if peak is None:
        return "-", "-"
    recipe = recipe_of(setting)
    palm, causal = (speed * flops_per_token(recipe, setting.vocab, each) / peak for each in (12, 6))
    return f"{palm:.1%}", f"{causal:.1%}"


def _rows(
    precision: str, setting: Setting, measured: dict[str, Measured], only: list[str], failed: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the benchmark's results: speed and memory beside each peer. A peer that did not run has why."""
    rows: list[dict[str, Any]] = []
    for peer in (p for p in PEERS if p in only):
        if peer not in measured or "ours" not in measured:
            why = failed.get(peer) or failed.get("ours")
            rows.append({"what": f"training in {precision}", "peer": peer, "did_not_run": why})
            continue
        ours, theirs = measured["ours"], measured[peer]
        speeds = [round(setting.tokens / side.seconds, 1) for side in (ours, theirs)]
        peaks = [round(side.peak / 2**30, 2) for side in (ours, theirs)]
        rows += [
            {"what": f"{what} in {precision}", "ours": mine, "peer": peer, "theirs": other}
            | {"ratio": round(ratio, 3), "unit": unit}
            for what, (mine, other), ratio, unit in (
                ("training", speeds, ours.faster_than(theirs), "tokens per second"),
                ("memory at its peak", peaks, theirs.peak / ours.peak, "GiB"),
            )
        ]
    return rows


if __name__ == "__main__":
    main()
