"""The Slurm launcher with a real Slurm of three nodes on this machine: how jobs start, are found and end."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import busy
import psutil
import pytest
from listening import beyond_loopback, listening
from system.slurm_cluster import SlurmCluster, missing
from system.slurm_jobs import ALONE, LOGS, SLEEPER, ranks, wait_for

from infra.launch.capacity import Capacity, check_capacity
from infra.launch.run import run
from infra.launch.slurm import SlurmLauncher
from llama_core.errors import LaunchError
from llama_core.recipes.load import load_recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: no {', '.join(missing())}"),
]
REDUCE = """
    import os, sys, time, torch, torch.distributed as dist
    dist.init_process_group("gloo")
    total = torch.tensor(dist.get_rank() + 1.0)
    dist.all_reduce(total)
    assert torch.get_num_threads() == 1, "a core for each rank"
    sys.stdout.write(f"rank {dist.get_rank()} on {os.environ['SLURMD_NODENAME']}: {total.item()}\\n")
    dist.destroy_process_group()
"""


def test_two_nodes_reduce_and_rank_0_is_on_the_first(slurm: SlurmLauncher, job) -> None:
    lines = sorted(line for line in run(job(REDUCE), slurm) if line.startswith("rank"))
    assert [line.split(": ")[1] for line in lines] == ["10.0"] * 4
    assert [line.split(":")[0] for line in lines] == [
        "rank 0 on n1",
        "rank 1 on n1",
        "rank 2 on n2",
        "rank 3 on n2",
    ]


def test_arguments_reach_the_job_as_they_are(slurm: SlurmLauncher, job, cluster: SlurmCluster) -> None:
    argument = """file:///a b/$HOME/"x"/'y'"""
    the_job = job("import sys; print(sys.argv[1])", argument, time_limit="2-0", **ALONE)
    handle = slurm.submit(the_job)
    [told] = [
        word
        for word in cluster.command("scontrol", "show", "job", handle.id).split()
        if word.startswith("TimeLimit=")
    ]
    assert told == "TimeLimit=2-00:00:00"
    lines = list(slurm.logs(handle))
    assert argument in lines
    assert handle.log.parent.name == LOGS


def test_a_log_whose_path_has_a_backslash_is_found_by_the_next_flow(
    slurm: SlurmLauncher, job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In such a path Slurm takes a `%` as it is, in others it does not."""
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / "a\\b 100%j"))
    the_job = job(SLEEPER, time_limit="UNLIMITED", **ALONE)
    ranks(slurm.logs(slurm.submit(the_job)), 1)
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / "another"))
    adopted = slurm.adopt(the_job.name)
    assert adopted and adopted.log.parent.name == "a\\b 100%j"
    ranks(slurm.logs(adopted), 1)
    slurm.cancel(adopted)


def test_a_caller_who_stops_reading_leaves_the_job_unless_its_end_is_asked_for(
    slurm: SlurmLauncher, job
) -> None:
    lines = run(job(SLEEPER), slurm)
    pids = ranks(lines)
    lines.close()
    time.sleep(1)
    assert all(psutil.pid_exists(pid) for pid in pids)

    reasons: list[BaseException] = []
    lines = run(job(SLEEPER), slurm, cancel_asked=lambda reason: not reasons.append(reason))
    assert ranks(lines) == pids, "not the same job"
    agents = {psutil.Process(pid).ppid() for pid in pids}
    found = [one for agent in agents for one in listening(agent)]
    assert len({port for _, port, _ in found}) == 2, "the stores of the agents and of the ranks"
    assert beyond_loopback(found) == []
    lines.close()
    _wait_until_gone(pids)
    assert slurm.adopt(job(SLEEPER).name) is None
    assert [type(reason) for reason in reasons] == [GeneratorExit]


def test_a_job_outlives_its_flow_and_the_next_flow_adopts_it(
    slurm: SlurmLauncher, job, tmp_path: Path
) -> None:
    program = """
        import os, pathlib, sys, time
        sys.stdout.write(f"rank {os.environ['RANK']} is {os.getpid()}\\n")
        while not pathlib.Path("finish").exists():
            time.sleep(0.2)
    """
    flow = f"""
        import sys
        from infra.launch.launcher import JobSpec
        from infra.launch.run import run
        from infra.launch.slurm import SlurmLauncher
        from llama_core.recipes.running import Launch
        for line in run({job(program, **ALONE)!r}, SlurmLauncher(every=0.3)):
            print(line, flush=True)
    """
    (tmp_path / "flow.py").write_text(textwrap.dedent(flow))
    first = subprocess.Popen([sys.executable, "flow.py"], stdout=subprocess.PIPE, text=True)
    pids = ranks(iter(first.stdout), 1)
    first.kill()
    first.wait()
    time.sleep(1)
    assert all(psutil.pid_exists(p) for p in pids)

    second = run(job(program, **ALONE), slurm)
    assert ranks(second, 1) == pids, "not the same job"
    (tmp_path / "finish").touch()
    list(second)


def test_two_jobs_of_one_name_never_run_beside_each_other(slurm: SlurmLauncher, job) -> None:
    the_job = job(SLEEPER, nodes=1, procs_per_node=1)
    first, second = slurm.submit(the_job), slurm.submit(the_job)
    wait_for(lambda: slurm.poll(first).phase == "running")
    wait_for(lambda: "Dependency" in slurm.poll(second).reason)
    assert slurm.adopt(the_job.name).id == first.id
    began = time.monotonic()
    slurm.cancel(second, patience=100)
    assert time.monotonic() - began < busy.patience(30), "one that is queued has nothing to save"
    slurm.cancel(first)
    for handle in (second, first):
        assert slurm.poll(handle).phase == "cancelled"


def test_a_job_on_gpus_gets_all_of_its_nodes_gpus(slurm: SlurmLauncher, job) -> None:
    program = 'import os, sys; sys.stdout.write(os.environ["CUDA_VISIBLE_DEVICES"] + "\\n")'
    assert "0,1" in list(run(job(program, nodes=1, device="cuda"), slurm))


def test_capacity_is_that_of_the_partition(slurm: SlurmLauncher) -> None:
    whole = Capacity("slurm", nodes=3, cores=2, node_memory=2000 << 20, gpus=2, gpu_memory=None)
    assert slurm.capacity() == whole
    assert str(whole) == "3 nodes with 2 CPU cores, 2 GiB of memory and 2 GPUs each"
    assert SlurmLauncher("half").capacity().nodes == 1
    assert SlurmLauncher("half,main").capacity() == whole, "the larger of the two"
    with pytest.raises(LaunchError, match="no partition 'gpus': launch.partition can be half, main"):
        SlurmLauncher("main,gpus").capacity()
    with pytest.raises(LaunchError, match="too little in nodes and GPUs.*choose another partition"):
        check_capacity(load_recipe("7b", {"launch.launcher": "slurm"}), slurm.capacity, slurm.capacity)


def test_what_sbatch_refuses_is_told_in_its_words(slurm: SlurmLauncher, job) -> None:
    with pytest.raises(LaunchError, match="sbatch.*invalid partition"):
        SlurmLauncher("gpus").submit(job(SLEEPER))


def test_what_a_queued_job_waits_for_is_a_line_of_its_log(slurm: SlurmLauncher, job) -> None:
    lines = run(job(SLEEPER, nodes=5), slurm)
    assert next(line for line in lines if "(" in line) == "[launcher] pending (PartitionConfig)"
    lines.close()


def _wait_until_gone(pids: list[int]) -> None:
    assert len(pids) == 4
    wait_for(lambda: not any(psutil.pid_exists(p) for p in pids), seconds=30)
