"""What does a checkpoint of 65B cost rank 0 at 2,048 ranks, what a resume, and how long does a save stall?

    python -m benchmarks.checkpoint [--ranks 512 1024 2048] [--dcp 64 256] [--megabytes 1100]

The ranks are simulated: one process has the real shapes and splits of the recipe `65b` on a grid of so many
ranks, as DTensors without values, and runs the project's own code on them. `save`: rank 0's work beside its
upload, from what all ranks have sent to the commit on the disk. `resume`: what one rank does beside fetching
data, from the commit to the checked tables and the list of what to fetch; on the same layout, and on
one without tensor parallelism. Tables are real files; digests are random, and no data lie there. `digest`:
what rank 0 does, at the end of a training, with the digests of all rows of the weights.

The peer is torch's DCP on the same shapes: `create_global_plan` of its planner, which rank 0 runs at each
save, and unpickling its metadata, as a resume does. It runs with fewer ranks, for its memory.

The stall is that of real saves of one process to the local disk: of a save that is waited for, and of one
beside which training goes on. Medians of several turns; the other figures are CPU seconds. The last line is
JSON.
"""

import argparse
import hashlib
import json
import pickle
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.distributed.checkpoint import metadata, planner
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.testing._internal.distributed.fake_pg import FakeStore

from llama_core.artifact import Shard
from llama_core.model.llama import Llama
from llama_core.objects import Object
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.train import checkpoint, digest
from llama_core.train.checkpoint import TrainState
from llama_core.train.checkpoints import files
from llama_core.train.checkpoints.layout import Layout, own_box
from llama_core.train.checkpoints.share import MOMENTS, Uploaded, share_of
from llama_core.train.distributed import World
from llama_core.train.network import Unpickler
from llama_core.train.optimizer import make_optimizer
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.parts import Parts
from llama_core.train.parallelize import parallelize
from llama_core.train.saving import Saver

T = TypeVar("T")
RECIPE = "65b"
NAME = checkpoint.name_of(1)
PROGRESS = TrainState(1, 4 << 20, "made up")
TURNS = 5
WITHOUT_TP = {"tp": 1, "loss_parallel": False, "micro_batch": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--dcp", type=int, nargs="*", default=[64, 256])
    parser.add_argument(
        "--megabytes", type=int, default=1100, help="size of the save whose stall is measured"
    )
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, *arguments = options.part
        print(json.dumps(PARTS[name](*arguments)))
        return
    results = []
    for ranks in sorted({*options.ranks, *options.dcp}):
        with tempfile.TemporaryDirectory(prefix="llama-checkpoint-") as folder:
            ours = run("save", ranks, folder)
            ours |= {which: run("resume", ranks, folder, which) for which in ("same", "other")}
            ours |= {"digest": run("digest", ranks)}
        results += told(ranks, ours, run("dcp", ranks) if ranks in options.dcp else None)
    stall = run("stall", options.megabytes)
    print(
        f"\na save of {stall['bytes'] / 1e9:.2f} GB: {stall['blocking']:.2f} s if it is waited for, "
        f"{stall['blocking_cpu']:.2f} of them on the CPU; otherwise a stall of {stall['stall']:.2f} s, "
        f"{stall['stall_cpu']:.2f} on the CPU: {stall['stall'] / stall['blocking']:.1%} of the time, "
        f"{stall['stall_cpu'] / stall['blocking_cpu']:.1%} of the CPU's"
    )
    for what, unit in (("stall", "s"), ("stall_cpu", "CPU-s")):
        theirs = stall[what.replace("stall", "blocking")]
        results.append(row("stall of a save", stall[what], "a save that is waited for", theirs, unit))
    print(json.dumps({"name": "checkpoint", "results": results}))


def run(name: str, *arguments: object) -> dict[str, Any]:
    """Run a part of the benchmark in a process of its own, whose memory is that of the part."""
    command = [sys.executable, "-m", "benchmarks.checkpoint", "--part", name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def told(ranks: int, ours: dict[str, Any], dcp: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Print the figures of a number of ranks, and return them as rows of the JSON object."""
    print(
        f"{ranks:5,} ranks  save: rank 0 {ours['seconds']:.2f} s  commit {ours['commit'] / 1e6:.2f} MB, "
        f"tables {ours['tables'] / 1e6:.0f} MB in all"
    )
    for name in ("same", "other"):
        of = ours[name]
        print(
            f"{'':13}resume on {of['layout']}: {of['seconds']:.2f} s, {of['megabytes']:.0f} MB more than "
            f"before, tables of {of['tables']:,} ranks, {of['requests']:,} requests"
        )
    of = ours["digest"]
    print(
        f"{'':13}digest of the weights at the end: rank 0 {of['seconds']:.2f} s, {of['megabytes']:.0f} MB, "
        f"{of['sent'] / 1e6:.0f} MB in one message at most"
    )
    plan, read = (dcp["seconds"], dcp["load"]) if dcp else (None, None)
    if dcp:
        print(
            f"{'':13}DCP: global plan {plan:.1f} s a save; metadata {dcp['bytes'] / 1e6:.0f} MB, "
            f"unpickled in {read:.1f} s at a resume, {dcp['megabytes']:,.0f} MB"
        )
    return [
        row(f"rank 0's work of a save, {ranks} ranks", ours["seconds"], "DCP", plan),
        row(f"a rank's work of a resume, {ranks} ranks", ours["same"]["seconds"], "DCP", read),
        row(
            f"memory of a resume, {ranks} ranks",
            max(ours[name]["megabytes"] for name in ("same", "other")),
            "DCP",
            dcp["megabytes"] if dcp else None,
            "MB",
        ),
        row(f"memory of rank 0 for the digest, {ranks} ranks", of["megabytes"], "DCP", None, "MB"),
    ]


def row(what: str, ours: float, peer: str, theirs: float | None, unit: str = "s") -> dict[str, Any]:
    """Return a row of the JSON object. Less is better."""
    ratio = round(theirs / max(ours, 1e-9), 1) if theirs else None
    return {
        "what": what, "ours": round(ours, 3), "peer": peer if theirs else None,
        "theirs": round(theirs, 2) if theirs else None, "ratio": ratio, "unit": unit,
    }  # fmt: skip


def model_of(ranks: int, **layout: Any) -> tuple[Parts, World, Recipe]:
    """Return rank 0's part of the recipe's model, without values, among so many processes."""
    eager = {"compile": False, "activation_checkpointing": "none", "attention": "sdpa"} | layout
    overrides = {f"layout.{name}": value for name, value in eager.items()}
    recipe = load_recipe(RECIPE, overrides | {"launch.nodes": ranks // 8})
    dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    world = World(0, ranks, torch.device("cpu"))
    mesh = Mesh.of(recipe.layout, world)
    with torch.device("meta"):
        model = Llama(recipe.model, recipe.tokenizer.vocab_size)
    parallelize(model, recipe, mesh)
    return Parts([model], mesh), world, recipe


def with_moments(model: Parts) -> Any:
    """Return what `share_of` takes of an optimizer, without values."""
    state = {p: {"step": torch.zeros(()), **dict.fromkeys(MOMENTS, p)} for p in model.parameters()}
    return SimpleNamespace(state=state)


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """Return what `do` returns, and the CPU seconds that it took."""
    start = time.process_time()
    value = do()
    return value, time.process_time() - start


def save(ranks: str, folder: str) -> dict[str, Any]:
    """Measure rank 0's work of a save, and leave its commit and the tables of all ranks in a folder."""
    model, world, _ = model_of(int(ranks))
    optimizer = with_moments(model)
    step = Step(Store(folder), "train", 1, {"made": "up"}, attempt="a-1")
    layout = share_of(model, optimizer, world).layout
    sent = [upload_of(step, layout, rank) for rank in range(int(ranks))]

    def work() -> None:
        share = share_of(model, optimizer, world)
        uploads = [Unpickler(BytesIO(data)).load() for data in sent]
        checkpoint.commit(step, share, uploads, PROGRESS)

    _, seconds = timed(work)
    tables = sum(size for name, size in step.folder.sizes("a-1").items() if name.endswith(".table"))
    return {"seconds": seconds, "commit": step.folder.size(f"shards/{NAME}.json"), "tables": tables}


def upload_of(step: Step, layout: Layout, rank: int) -> bytes:
    """Return what a rank sends to rank 0, and write its table."""
    parts, kinds = layout.parts(rank), len(layout.kinds)
    if not parts.pieces:
        return pickle.dumps(Uploaded([], {}))
    n = parts.pieces * kinds
    table = files.HEADER.pack(files.MARK, n) + secrets.token_bytes(n * files.DIGEST)
    data = Object(step.place_of(f"{NAME}/{files.data_of(rank)}"), parts.bytes * kinds, secrets.token_hex(32))
    written = step.folder.publish_bytes(step.place_of(f"{NAME}/{files.table_of(rank)}"), table)
    parameters = layout.as_dict()["parameters"] if rank == 0 else {}
    return pickle.dumps(Uploaded([data, written], parameters))


def resume(ranks: str, folder: str, which: str) -> dict[str, Any]:
    """Measure one rank's work of a resume, on the same layout or on another one."""
    model, _, recipe = model_of(int(ranks), **({} if which == "same" else WITHOUT_TP))
    step = Step(Store(folder), "train", 1, {"made": "up"})
    tensors = {(kind, name): p for name, p in model.named_parameters() for kind in ("model", *MOMENTS)}
    before = _resident()

    def work() -> tuple[int, int]:
        sent = pickle.dumps(step.committed(NAME))  # as rank 0 does, for all
        shard: Shard = Unpickler(BytesIO(sent)).load()
        reader = files.Reader(step.folder, shard)
        wanted: list[files.Piece] = []
        for (kind, name), tensor in tensors.items():
            reader.check(kind, name, tuple(tensor.shape))
            wanted += reader.pieces(kind, name, own_box(tensor), lambda box, values: None)
        requests = files.requests_of(wanted)
        tables = {reader._table(of[0].rank)[0] and of[0].rank for of in requests}
        return len(tables), len(requests)

    (tables, requests), seconds = timed(work)
    layout = f"tp {recipe.layout.tp} x FSDP {int(ranks) // recipe.layout.tp}"
    return {
        "seconds": seconds, "megabytes": (_resident() - before) / 1e6, "layout": layout, "tables": tables,
        "requests": requests,
    }  # fmt: skip


def digest_of(ranks: str) -> dict[str, Any]:
    """Measure rank 0's work of the digest of the weights beside its own rows, from what all ranks send."""
    model, _, _ = model_of(int(ranks))
    named = dict(model.named_parameters())
    headers = {name: digest.header_of(name, p.dtype, p.shape) for name, p in named.items()}
    whole, seconds, largest, before = hashlib.sha256(), 0.0, 0, _resident()
    for names in digest.groups_of({name: p.shape[0] for name, p in named.items()}):
        sent = [pickle.dumps(made_up(named, names, rank, int(ranks))) for rank in range(int(ranks))]
        largest = max(largest, len(sent) * max(map(len, sent)))  # the room for each is that of the largest

        def work(sent: list[bytes] = sent) -> None:
            rows = [row for data in sent for row in Unpickler(BytesIO(data)).load()]
            digest.add(whole, headers, rows)

        seconds += timed(work)[1]
    return {"seconds": seconds, "megabytes": (_resident() - before) / 1e6, "sent": largest}


def made_up(named: dict[str, Any], names: list[str], rank: int, ranks: int) -> digest.Rows:
    """Return the rows of some parameters that a rank would send: its share of each, with other digests."""
    found: digest.Rows = []
    for name in names:
        rows = named[name].shape[0]
        first, end = rows * rank // ranks, rows * (rank + 1) // ranks
        size = (end - first) * (files.DIGEST if named[name].ndim > 1 else 4)
        found += [(name, first, secrets.token_bytes(size))] if size else []
    return found


def dcp(ranks: str) -> dict[str, Any]:
    """Measure DCP's global plan over the same items, and the unpickling of the metadata that it makes."""
    model, world, _ = model_of(int(ranks))
    layout = share_of(model, with_moments(model), world).layout
    properties = metadata.TensorProperties(dtype=torch.float32)
    plans = []
    for rank in range(int(ranks)):
        items = []
        for kind in layout.kinds:
            for name, part in layout.parts(rank).items():
                offsets, ends = (torch.Size(at) for at in zip(*part.box, strict=True))
                chunk = metadata.ChunkStorageMetadata(
                    offsets, torch.Size(b - a for a, b in zip(offsets, ends))
                )
                shape = torch.Size(layout.parameters[name].shape)
                index = metadata.MetadataIndex(f"{kind}.{name}", offsets)
                data = planner.TensorWriteData(chunk, properties, shape)
                items.append(planner.WriteItem(index, planner.WriteItemType.SHARD, tensor_data=data))
        plans.append(planner.SavePlan(items, planner_data={}))
    (_, made), seconds = timed(lambda: DefaultSavePlanner().create_global_plan(plans))
    made.storage_data = {
        i.index: SimpleNamespace(file=f"__{n}_0") for n, p in enumerate(plans) for i in p.items
    }
    packed = pickle.dumps(made)
    before = _now()
    _kept, load = timed(lambda: pickle.loads(packed))
    return {"seconds": seconds, "load": load, "bytes": len(packed), "megabytes": (_now() - before) / 1e6}


def stall(megabytes: str) -> dict[str, Any]:
    """Measure real saves of one process: those that are waited for, and those beside the training."""
    torch.set_num_threads(1)
    dim = 1024
    layers = round(int(megabytes) * 1e6 / 12 / (12 * dim * dim))
    sizes = {"model.dim": dim, "model.n_heads": 16, "model.n_layers": layers, "run.keep": 1}
    recipe = load_recipe("micro", sizes | {"train.tokens": 1 << 40})
    model = Llama(recipe.model, 512)
    optimizer = make_optimizer(model, recipe.train)
    world = World(0, 1, torch.device("cpu"))
    metrics: Any = SimpleNamespace(seal=lambda: lambda: None)
    watchdog: Any = SimpleNamespace(beat=lambda n: None)
    with tempfile.TemporaryDirectory(prefix="llama-checkpoint-", dir=".") as folder:
        step = Step(Store(folder), "train", 1, {"made": "up"})
        saver = Saver(step, recipe, model, optimizer, world, watchdog, PROGRESS)
        waited, beside = [], []
        for n in range(TURNS + 1):
            start = _clocks()
            checkpoint.save(step, model, optimizer, TrainState(2 * n + 1, 0, ""), world)
            waited.append(_clocks() - start)
            start = _clocks()
            saver.save(TrainState(2 * n + 2, 0, ""), metrics)
            beside.append(_clocks() - start)
            saver.settle(2 * n + 2)
            checkpoint.retain(step, 1)
        shard = checkpoint.saved_in(step.folder)[-1]
    size = sum(entry.size for entry in shard.objects)
    # The first turn takes the memory that the others use again.
    (blocking, of_blocking), (stall, of_stall) = (np.median(of[1:], 0).tolist() for of in (waited, beside))
    return {
        "bytes": size, "blocking": blocking, "blocking_cpu": of_blocking,
        "stall": stall, "stall_cpu": of_stall,
    }  # fmt: skip


def _clocks() -> NDArray[np.float64]:
    """Return the wall clock and the CPU seconds of this thread: (2,)."""
    return np.array([time.perf_counter(), time.thread_time()])


def _resident() -> int:
    """Return the bytes of memory that this process has at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _now() -> int:
    """Return the bytes of memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "save": save,
    "resume": resume,
    "digest": digest_of,
    "dcp": dcp,
    "stall": stall,
}

if __name__ == "__main__":
    main()
