"""Parallelism is invisible: losses and gradient norms are those of one process."""

import functools

import pytest
import torch

from llama_core.model import llama
from llama_core.recipes.load import load_recipe
from llama_core.train.digest import model_digest
from llama_core.train.distributed import World
from llama_core.train.parallelize import build, init_weights


def curves(training):
    return [(r["loss"], r["grad_norm"]) for r in training.records()]


def assert_same_curves(one, other, tolerance=1e-5):
    assert len(one) == len(other) == 20
    for (loss_a, norm_a), (loss_b, norm_b) in zip(one, other, strict=True):
        assert loss_a == pytest.approx(loss_b, abs=tolerance)
        assert norm_a == pytest.approx(norm_b, rel=tolerance)


def test_two_fsdp_processes_train_like_one_with_accumulation_and_clipping(training):
    alone, two = training(), training()
    alone.run(1, micro_batch=16)
    two.run(2, micro_batch=4)  # two micro-batches on each process
    clipped = [norm for _, norm in curves(alone) if norm > alone.job.recipe.train.grad_clip]
    assert len(clipped) > 10
    assert_same_curves(curves(alone), curves(two))


@pytest.mark.slow
def test_hsdp_and_recomputation_train_like_one_process(training):
    alone, hsdp = training(), training()
    alone.run(1)
    hsdp.run(4, micro_batch=2, dp_replicate=2, activation_checkpointing="full")
    assert_same_curves(curves(alone), curves(hsdp))


@pytest.mark.slow
@pytest.mark.parametrize("layout", [{"tp": 1}, {"tp": 2, "loss_parallel": True}, {"tp": 2, "compile": True}])
def test_selective_recomputation_on_several_processes_trains_like_one_process(training, layout):
    alone, several = training(), training()
    alone.run(1)
    several.run(2 if layout["tp"] == 1 else 4, activation_checkpointing="selective", **layout)
    assert_same_curves(curves(alone), curves(several), 1e-4)


@pytest.mark.slow
def test_compiled_blocks_train_like_eager_ones(training):
    eager, compiled = training(), training()
    eager.run(1)
    compiled.run(2, compile=True, activation_checkpointing="full")
    assert_same_curves(curves(eager), curves(compiled))


def test_recomputed_blocks_are_compiled_although_xformers_attention_is_not(monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    monkeypatch.setattr(llama, "attention", torch.compiler.disable(llama.attention))
    layout = {"layout.compile": True, "layout.activation_checkpointing": "full"}
    recipe = load_recipe("micro", layout)
    model = build(recipe, 400, World(0, 1, torch.device("cpu")))
    init_weights(model, 0.1, 1)
    torch._dynamo.utils.counters.clear()
    model.whole(torch.ones(1, 8, dtype=torch.int64)).sum().backward()
    assert torch._dynamo.utils.counters["stats"]["calls_captured"] > 20


@pytest.mark.slow
def test_bf16_on_two_processes_follows_bf16_on_one(training):
    alone, two = (training(**{"train.precision": "bf16"}) for _ in range(2))
    alone.run(1)
    two.run(2)
    first, other = curves(alone)[0][0], curves(two)[0][0]
    assert first == pytest.approx(other, abs=1e-6), "the same weights, cast alike, give the same loss"
    assert_same_curves(curves(alone), curves(two), tolerance=5e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision,tolerance", [("fp32", 1e-4), ("bf16", 2e-2)])
@pytest.mark.parametrize("attention", ["xformers", "sdpa"])
def test_a_gpu_trains_like_the_cpu(training, precision, tolerance, attention):
    cpu, gpu = (training(**{"train.precision": precision}) for _ in range(2))
    cpu.run(1)
    assert f"attention by {attention} on cuda" in gpu.run_afresh("cuda", attention=attention)
    assert_same_curves(curves(cpu), curves(gpu), tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_and_recomputed_blocks_train_alike_on_a_gpu(training):
    eager, compiled = (training() for _ in range(2))
    eager.run_afresh("cuda")
    compiled.run_afresh("cuda", compile=True, activation_checkpointing="full")
    assert_same_curves(curves(eager), curves(compiled), 1e-4)


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_weights_are_initialised_alike_on_any_number_of_processes(training, processes):
    """One step at a learning rate of nothing: what is committed is the initial weights themselves."""
    run = training(**{"train.tokens": 1024, "train.lr": 1e-30})
    run.run(processes)
    recipe = run.job.recipe
    model = build(recipe, 400, World(0, 1, torch.device("cpu")))
    init_weights(model, recipe.train.init_std, recipe.train.seed)
    assert run.artifact().digest == model_digest(model)
