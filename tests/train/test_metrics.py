"""The figures of a step are read when the next one is on its way, and say what happened."""

import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from llama_core.errors import RecipeError, StoreError
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens.loader import Batch
from llama_core.train.checkpoint import TrainState
from llama_core.train.distributed import World
from llama_core.train.metrics import hardware, record
from llama_core.train.metrics.clock import Clock
from llama_core.train.metrics.metrics import Metrics
from llama_core.train.metrics.record import SHARD, Record, records, segments
from llama_core.train.metrics.utilization import Utilization, flops_per_token, peak_of
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.profile import Profile, folder_of
from llama_core.train.stability.guard import NOTHING, Guard
from llama_core.train.stability.origin import WayBack

CPU = torch.device("cpu")
START = TrainState(0, 0, "")


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("micro")


@pytest.fixture
def metrics(store: Store, recipe: Recipe) -> Metrics:
    return Metrics(Step(store, "train", 1, {}), recipe, 512, ["code", "docs"], mesh(recipe), START)


def mesh(recipe: Recipe) -> Mesh:
    return Mesh.of(recipe.layout, World(0, 1, CPU))


def take(metrics: Metrics, n: int, losses: list[float], norm: float = 1.0, **more: Any) -> None:
    """A step whose batch is 16 sequences of 64 tokens, in turn of each source, with a mean loss for each."""
    metrics.begin()
    for part in ("data", "passes", "optimizer"):
        metrics.lap(part)
    sources = np.arange(16) % 2
    rows = torch.tensor([64 * losses[s] for s in sources], dtype=torch.float32)
    batch = Batch(np.zeros((16, 65), np.int64), sources, np.arange(16) + 16 * (n - 1))
    gradients = torch.tensor(norm)
    broken = torch.tensor(math.isinf(norm))
    metrics.step(n, rows, batch, gradients, gradients.isfinite(), broken, **more)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line.removeprefix("@metrics ")) for line in lines if line.startswith("@metrics ")]


def test_a_step_is_told_when_the_next_one_is_sent(metrics: Metrics, capsys: Any) -> None:
    take(metrics, 1, [2.0, 4.0])
    assert told(capsys) == []
    take(metrics, 2, [1.0, 2.0])
    [first] = told(capsys)
    assert (first["step"], first["tokens"], first["loss"]) == (1, 1024, 3.0)
    assert (first["loss/code"], first["loss/docs"], first["grad_norm"]) == (2.0, 4.0, 1.0)
    metrics.settle()
    metrics.add({"validation/bits_per_byte/code": 1.5})
    assert metrics.loss == 1.5
    metrics.seal()()
    [second] = told(capsys)
    assert second["step"] == 2 and second["validation/bits_per_byte/code"] == 1.5


@pytest.mark.parametrize(("losses", "norm"), [([float("nan"), 1.0], 1.0), ([1.0, 1.0], float("inf"))])
def test_a_step_that_is_not_finite_is_told_and_passed_over(
    losses: list[float], norm: float, store: Store, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    recipe = load_recipe("micro", {"train.most_skipped": 2})
    metrics = Metrics(Step(store, "train", 1, {}), recipe, 512, ["code", "docs"], mesh(recipe), START)
    bad = (losses, norm if math.isinf(norm) else math.nan)
    for n, (of_step, its_norm) in enumerate([([1.0, 3.0], 1.0), bad, bad, ([1.0, 1.0], 1.0), bad, bad], 1):
        take(metrics, n, of_step, its_norm)
    metrics.settle()
    assert metrics.loss == 1.0, "that of the last step that made an update"
    assert [r.getMessage().partition(":")[0] for r in caplog.records] == [
        f"step {n} made no update" for n in (2, 3, 5, 6)
    ]
    said = caplog.records[0].getMessage()
    assert "sequences 16 to 31" in said
    if math.isnan(losses[0]):
        assert said.endswith("the loss is not finite on rank 0 (sequences 16, 18, 20, 22, 24, 26, 28, 30)")
    else:
        assert "gradients are not finite on rank 0 (sequences 16, 17, 18" in said
    metrics.seal()()
    steps = told(capsys)
    assert [r["skipped"] for r in steps] == [0, 1, 1, 0, 1, 1]
    assert steps[1]["no_update"] in said and "no_update" not in steps[0]
    assert steps[1]["grad_norm"] is None
    assert steps[1]["loss"] == (None if math.isnan(losses[0]) else 1.0)

    assert metrics.unstable is None
    take(metrics, 7, *bad)
    metrics.settle()
    assert metrics.unstable == (5, 7)


def test_pages_are_told_for_each_sequence(metrics: Metrics, capsys: Any) -> None:
    take(metrics, 1, [1.0, 1.0], fetches=4)
    take(metrics, 2, [1.0, 1.0], fetches=12)
    metrics.settle()
    metrics.seal()()
    assert [r["page_fetches_per_sequence"] for r in told(capsys)] == [4 / 16, 8 / 16]


def test_what_is_done_between_steps_is_no_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 7.0, 100.0, 101.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock(CPU)  # at 0
    clock.lap("data")
    clock.lap("passes")
    assert clock.step().seconds() == {"data": 1.0, "passes": 2.0}
    clock.lap("data")
    assert clock.step().seconds() == {"data": 4.0}
    clock.restart()  # after a save, at 100
    clock.lap("data")
    assert clock.step().seconds() == {"data": 1.0}


def test_mfu_is_that_of_two_formulas() -> None:
    recipe = load_recipe("7b")
    weights = recipe.model.n_params(32_000) - 32_000 * 4096
    attention = 32 * 4096 * 2048
    assert flops_per_token(recipe, 32_000) == 6 * weights + 12 * attention
    assert flops_per_token(recipe, 32_000, 6) == 6 * weights + 6 * attention
    at = Utilization(recipe, 32_000, 989e12).at(10_000)
    assert at["mfu"] == pytest.approx(10_000 * (6 * weights + 12 * attention) / 989e12, abs=1e-4)
    assert at["mfu_causal"] == pytest.approx(10_000 * (6 * weights + 6 * attention) / 989e12, abs=1e-4)
    assert Utilization(recipe, 32_000, None).at(10_000) == {"mfu": None, "mfu_causal": None}


@pytest.mark.parametrize(
    ("name", "peak"),
    [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H200", 989e12),
     ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA B200", 2.25e15), ("Somebody's", None)],
)  # fmt: skip
def test_the_peak_is_that_of_the_device(
    monkeypatch: pytest.MonkeyPatch, name: str, peak: float | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert peak_of(torch.device("cuda", 0), "bf16") == peak
    assert peak_of(torch.device("cuda", 0), "fp32") is None
    assert peak_of(CPU, "bf16") is None


def test_a_device_without_a_counter_tells_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path / "none")
    meter = hardware.EnergyMeter(CPU)
    assert not meter.knows and meter.joules() == 0


def test_a_gpu_tells_its_energy_until_it_does_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML as it is called: there is none without a GPU."""
    counts = iter([5000, 7000, 7500])  # millijoules
    nvml = ModuleType("pynvml")
    nvml.nvmlInit = lambda: None  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetHandleByUUID = {"GPU-abc": 1}.__getitem__  # type: ignore[attr-defined]
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: next(counts)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="abc"))
    meter = hardware.EnergyMeter(torch.device("cuda", 0))
    assert meter.knows and [meter.joules(), meter.joules()] == [2.0, 0.5]
    assert meter.joules() == 0 and not meter.knows


def package(folder: Path, name: str, microjoules: int, most: int = 1_000_000_000) -> None:
    """What Linux shows of a CPU package's energy counter."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{microjoules}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_cpus_tell_the_energy_of_all_packages_once_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path)
    for name, energy in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 900_000_000), ("intel-rapl:0:0", 1)):
        package(tmp_path, name, energy)
    monkeypatch.setenv("LOCAL_RANK", "0")
    first = hardware.EnergyMeter(CPU)
    monkeypatch.setenv("LOCAL_RANK", "1")
    second = hardware.EnergyMeter(CPU)
    package(tmp_path, "intel-rapl:0", 7_000_000)
    package(tmp_path, "intel-rapl:1", 50_000_000)  # it was full, and began at 0 again
    package(tmp_path, "intel-rapl:0:0", 700_000_000)  # a part of the first package
    assert first.knows and first.joules() == 2 + 150 and first.joules() == 0
    assert second.knows and second.joules() == 0


def test_a_counter_that_only_root_may_read_tells_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path)
    package(tmp_path, "intel-rapl:0", 5)
    meter = hardware.EnergyMeter(CPU)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules() == 0 and not meter.knows


def test_memory_holds_one_segment_however_many_steps_there_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST", 10)
    step = Step(store, "train", 1, {})
    kept = Record(step)
    for n in range(1, 36):
        kept.add({"step": n})
        assert len(kept._lines) < 10
    kept.seal()
    newest = kept.publish()
    assert newest == kept.publish(), "nothing new, nothing written"
    with step.shard(SHARD) as shard:
        shard.objects += segments(step.folder, newest)
    found = step.commit([SHARD])
    assert len(found.shard(SHARD).objects) == 4
    assert [r["step"] for r in records(found)] == list(range(1, 36))


def test_a_record_that_cannot_be_published_is_published_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST", 10)
    step = Step(store, "train", 1, {})
    kept = Record(step)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "publish_bytes", away)
        for n in range(1, 26):
            kept.add({"step": n})
    kept.seal()
    with step.shard(SHARD) as shard:
        shard.objects += segments(step.folder, kept.publish())
    assert [r["step"] for r in records(step.commit([SHARD]))] == list(range(1, 26))


def away(*_: Any) -> None:
    raise StoreError("the store is away")


def test_a_record_of_one_object_is_read_as_well(store: Store) -> None:
    """As trainings had it that are on stores."""
    step = Step(store, "train", 1, {})
    with step.shard(SHARD) as shard:
        shard.publish_bytes("metrics/metrics.jsonl", b'{"step": 1}\n{"step": 2}\n')
    assert list(records(step.commit([SHARD]))) == [{"step": 1}, {"step": 2}]


PROFILED = {"run.profile": [2, 3]}


def profiled(store: Store, recipe: Recipe) -> tuple[Step, list[int]]:
    step = Step(store, "train", 1, {})
    profile = Profile(step, recipe, World(0, 1, CPU))
    ended = []
    for n in range(1, 6):
        profile.begin(n)
        torch.ones(8, 8) @ torch.ones(8, 8)
        ended += [n] if profile.ends(n) else []
    return step, ended


def test_a_profile_lies_beside_the_step(store: Store) -> None:
    step, ended = profiled(store, load_recipe("micro", PROFILED))
    assert ended == [3]
    folder = folder_of(store, step.name)
    assert sorted(folder.list()) == [
        f"{step.attempt}/steps-2-3.rank0.kernels.txt",
        f"{step.attempt}/steps-2-3.rank0.trace.json.gz",
    ]
    assert b"aten::mm" in folder.read(f"{step.attempt}/steps-2-3.rank0.kernels.txt")
    assert folder.read(f"{step.attempt}/steps-2-3.rank0.trace.json.gz")[:2] == b"\x1f\x8b"
    assert not step.folder.list()


def test_a_profile_that_fails_costs_itself_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Store, "publish_bytes", full)
    _, ended = profiled(store, load_recipe("micro", PROFILED))
    assert ended == [3] and "no profile: OSError: no space left" in caplog.text


@pytest.mark.parametrize("span", [[], [1], [0, 1], [3, 2], [1, 2, 3], [1, 30], [40, 41]])
def test_a_profile_of_no_steps_or_of_many_is_refused(span: list[int]) -> None:
    with pytest.raises(RecipeError, match=r"run\.profile"):
        load_recipe("micro", {"run.profile": span})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_path_of_a_step_never_waits_for_the_device(store: Store) -> None:
    from llama_core.train.optimizer import clip, make_optimizer, update
    from llama_core.train.parallelize import build, init_weights
    from llama_core.train.passes import backward

    recipe = load_recipe("micro", {"launch.device": "cuda", "layout.micro_batch": 4})
    model = build(recipe, 512, World(0, 1, torch.device("cuda", 0)))
    init_weights(model, 0.02, 1)
    optimizer = make_optimizer(model, recipe.train)
    metrics = Metrics(Step(store, "train", 1, {}), recipe, 512, ["code", "docs"], model.mesh, START)
    way_back = WayBack(model)
    batch, sources = torch.randint(3, 512, (16, 65)), np.arange(16) % 2
    guard = Guard(recipe.train, NOTHING, torch.device("cuda"))
    try:
        for n in range(1, 6):
            torch.cuda.set_sync_debug_mode("error" if n > 2 else "default")  # the first ones allocate
            metrics.begin()
            metrics.lap("data")
            rows = backward(model, batch, recipe, 1)
            metrics.lap("passes")
            norm, loss = clip(model.parameters(), 1.0, rows)
            allowed = guard.allows(norm, loss / (16 * 64))
            update(optimizer, n, recipe.train, allowed)
            metrics.lap("optimizer")
            metrics.step(n, rows, Batch(batch.numpy(), sources, sources), norm, allowed, way_back.broken())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    metrics.settle()
    assert metrics.loss > 0
