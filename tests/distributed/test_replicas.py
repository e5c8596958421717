"""Replicas of the parameters are compared: one that has changed is named, and nothing of it is saved."""

import programs
import pytest
import ranks
from trainings import end_of

from llama_core.recipes.load import load_recipe

FAULT = """
import os, sys, torch
from llama_core.train import loop
update = loop.update
def faulty(optimizer, n, cfg, allowed):
    update(optimizer, n, cfg, allowed)
    if n == 7 and os.environ["RANK"] == "1":
        weights = optimizer.param_groups[0]["params"][3].to_local()
        weights.view(torch.int32).view(-1)[5] ^= 1  # its last bit
loop.update = faulty
from llama_core.train.run import main
from llama_core.program import run
sys.argv[1:] = [{url!r}]
run("llama_core.train")
"""


def compare(world, layout, broken):
    """Compare the replicas of a model, of which process `broken` has another bit in one parameter."""
    from llama_core.errors import ReplicaError
    from llama_core.train.parallelize import build, init_weights
    from llama_core.train.stability.replicas import Replicas

    parts = build(
        load_recipe("micro", {"launch.procs_per_node": world.size, "layout.micro_batch": 1} | layout),
        512,
        world,
    )
    init_weights(parts, 0.1, 1)
    replicas = Replicas(parts, 1)
    replicas.compare(1)
    name, parameter = next(p for p in parts.named_parameters() if p[0].endswith("norm.weight"))
    if world.rank == broken:
        parameter.to_local().detach()[0] += 1
    try:
        replicas.compare(2)
    except ReplicaError as error:
        return name in str(error), f"rank {broken}" in str(error)
    return None


@pytest.mark.parametrize(
    ("layout", "broken", "found"),
    [
        ({"layout.dp_replicate": 4}, 2, (True, True)),
        ({"layout.dp_replicate": 2}, 3, (True, True)),
        ({"layout.tp": 2}, 1, (True, True)),
        ({}, 1, None),  # nothing is held twice
    ],
)
def test_one_bit_of_one_replica_is_seen_and_named_by_all(layout, broken, found) -> None:
    assert ranks.call(4, compare, layout, broken) == [found] * 4


@pytest.mark.slow
def test_a_replica_that_drifts_ends_the_job_before_it_is_saved(training) -> None:
    settings = {"run.save_every": 4, "run.compare_every": 3}
    run, whole = training(**settings), training(**settings)
    url = run.publish(2, dp_replicate=2)
    done = programs.run("-c", FAULT.format(url=url), ranks=2)
    assert done.returncode == 2
    assert "@error after step 8 the parameters of replicas differ: rank 1 in " in done.stdout
    assert run.committed() == ["step-00000004"]
    run.run(2, dp_replicate=2)
    whole.run(2, dp_replicate=2)
    assert end_of(run) == end_of(whole)
