"""Faults of jobs, nodes and the controller of a real Slurm: jobs go on, or say why not."""

import re
from pathlib import Path

import pytest
from system.slurm_cluster import SlurmCluster, missing
from system.slurm_jobs import ALONE, SLEEPER, ranks

from infra.launch.agent import RESTARTED
from infra.launch.run import run
from infra.launch.slurm import SlurmLauncher
from llama_core.errors import LaunchError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: no {', '.join(missing())}"),
]


def test_a_failed_job_shows_its_own_error_and_is_not_tried_again(slurm: SlurmLauncher, job) -> None:
    program = 'import os, sys\nif os.environ["RANK"] == "0": print("@error no such store"); sys.exit(2)'
    with pytest.raises(LaunchError, match="^no such store$"):
        list(run(job(program, max_restarts=3), slurm))


def test_an_unexplained_failure_shows_in_the_log_which_rank_failed_first(slurm: SlurmLauncher, job) -> None:
    with pytest.raises(
        LaunchError, match=r"(?s)failed \(exit code.*rank 3 failed first: it exited with code 7"
    ):
        list(run(job("import os, sys; sys.exit(7 * (os.environ['RANK'] == '3'))"), slurm))


def test_ranks_that_lose_one_of_them_start_again_in_the_same_allocation(slurm: SlurmLauncher, job) -> None:
    program = """
        import os, pathlib, signal, sys, torch, torch.distributed as dist
        from llama_core.train import distributed
        rank, job = os.environ["RANK"], os.environ["SLURM_JOB_ID"]
        world = distributed.join("cpu")
        sys.stdout.write(f"total {world.sum(world.rank + 1.0)[0]} in {job}\\n")
        if rank == "1" and not pathlib.Path("killed").exists():
            pathlib.Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            world.sum(1.0)
        except RuntimeError as error:
            sys.exit(76 if distributed.is_left_alone(error) else 1)
    """
    lines = list(run(job(program, procs_per_node=1, max_restarts=1), slurm))
    totals = [line for line in lines if line.startswith("total")]
    assert len(totals) == 4 and len(set(totals)) == 1 and totals[0].startswith("total 3.0 in ")
    assert "[agent] rank 1 failed first: it was killed by SIGKILL (node n2)" in lines
    assert lines.count(RESTARTED) == 1
    assert not any("(node n1)" in line for line in lines), "that one was only left alone"


def test_a_spare_node_takes_the_place_of_one_that_fails_in_the_same_allocation(
    slurm: SlurmLauncher, job
) -> None:
    program = """
        import os, signal, sys
        from llama_core.train import distributed
        world, node = distributed.join("cpu"), os.environ["SLURMD_NODENAME"]
        total = world.sum(world.rank + 1.0)[0]
        sys.stdout.write(f"rank {world.rank} on {node} in {os.environ['SLURM_JOB_ID']}: {total}\\n")
        sys.stdout.flush()
        if node == "n2":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            world.sum(1.0)
        except RuntimeError as error:
            sys.exit(76 if distributed.is_left_alone(error) else 1)
    """
    lines = list(run(job(program, procs_per_node=1, spare_nodes=1, max_restarts=1), slurm))
    places = [line.split() for line in lines if line.startswith("rank")]
    assert sorted((rank, node) for _, rank, _, node, *_ in places) == [
        ("0", "n1"), ("0", "n1"), ("1", "n2"), ("1", "n3"),
    ]  # fmt: skip
    assert len({tuple(rest) for _, _, _, _, *rest in places}) == 1, (
        "the job, and what its two ranks add up to"
    )
    assert lines.count(RESTARTED) == 1 and not any("[launcher] llama" in line for line in lines)


UNTIL_FINISH = """
    import os, pathlib, sys, time
    from llama_core.train import distributed
    world, node = distributed.join("cpu"), os.environ["SLURMD_NODENAME"]
    sys.stdout.write(f"rank {world.rank} on {node} in {os.environ['SLURM_JOB_ID']}\\n")
    sys.stdout.flush()
    try:
        while not world.sum(float(pathlib.Path("finish").exists()))[0]:
            time.sleep(0.1)
    except RuntimeError as error:
        sys.exit(76 if distributed.is_left_alone(error) else 1)
"""


def test_a_job_with_spare_nodes_whose_first_node_dies_is_queued_again(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    """Its script has died with that node, and Slurm would let the others wait until the time limit."""
    lines = run(job(UNTIL_FINISH, procs_per_node=1, spare_nodes=1, max_restarts=1), slurm)
    first = [next(line for line in lines if line.startswith("rank")) for _ in range(2)]
    with cluster.without_node("n1"):
        told = next(line for line in lines if line.startswith("[launcher] pending"))
        assert "its first node, n1, is lost" in told
    Path("finish").touch()
    rest = list(lines)
    again = [line for line in rest if line.startswith("rank")]
    assert len(again) == 2 and len({line.split(" in ")[1] for line in first + again}) == 1
    assert not any("[launcher] llama" in line for line in rest), "it is no failure of the job"


def test_a_spare_node_takes_the_place_of_one_that_dies_as_a_whole(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    the_job = job(UNTIL_FINISH, procs_per_node=1, spare_nodes=1, max_restarts=1)
    # The other agents do not wait as long as elsewhere for that of the dead node.
    Path("sitecustomize.py").write_text(
        'import sys\nif "infra.launch.agent" in sys.orig_argv:\n'
        "    from infra.launch import rendezvous\n    rendezvous.LATE = 5.0\n"
    )
    lines, seen = run(the_job, slurm), list[str]()

    def until(count: int) -> None:
        while sum(line.startswith("rank") for line in seen) < count:
            seen.append(next(lines))

    until(2)
    with cluster.without_node("n2"):
        until(4)
        Path("finish").touch()
        seen += lines
    places = [line for line in seen if line.startswith("rank")]
    assert sorted(place.split(" in ")[0] for place in places) == [
        "rank 0 on n1", "rank 0 on n1", "rank 1 on n2", "rank 1 on n3",
    ]  # fmt: skip
    assert len({place.split(" in ")[1] for place in places}) == 1 and seen.count(RESTARTED) == 1
    assert not any("[launcher] llama" in line for line in seen), "Slurm has not ended the job"


def test_a_node_on_which_ranks_fail_twice_is_named_and_left_out(slurm: SlurmLauncher, job) -> None:
    program = """
        import os, pathlib, signal, sys, time
        tries = pathlib.Path("tries")
        with tries.open("a") as file:
            file.write(os.environ["SLURMD_NODENAME"] + " ")
        sys.stdout.write('@metrics {"step": %d}\\n' % len(tries.read_text()))
        sys.stdout.flush()
        if os.environ["SLURMD_NODENAME"] == "n1":
            os.kill(os.getpid(), signal.SIGKILL)
    """
    lines = list(run(job(program, max_restarts=2, **ALONE), slurm))
    *on_n1, last = Path("tries").read_text().split()
    assert last != "n1" and len(on_n1) >= 2, "its agent may start it once more before Slurm ends it"
    [told] = [line for line in lines if line.startswith("[launcher] llama")]
    assert "ranks failed 2 times on node n1" in told and "checkpoint, without node n1" in told


def test_a_job_goes_on_while_the_controller_is_away(slurm: SlurmLauncher, job, cluster: SlurmCluster) -> None:
    """It is killed, and comes back: the job is not cancelled, and its log is read on."""
    program = """
        import pathlib, sys, time
        for step in range(1, 10_000):
            sys.stdout.write('@metrics {"step": %d}\\n' % step)
            sys.stdout.flush()
            time.sleep(0.1)
            if pathlib.Path("finish").exists():
                break
    """
    lines = run(job(program, **ALONE), slurm)
    assert any(line.startswith("@metrics") for line in lines)
    with cluster.without_controller():
        away = next(line for line in lines if line.startswith("[launcher] unknown"))
        assert "goes on" in away
        assert any(line.startswith("@metrics") for line in lines), "its log is not read meanwhile"
    Path("finish").touch()
    rest = list(lines)
    assert not any("started again" in line for line in rest)


def test_a_job_that_a_person_cancels_is_not_started_again(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    the_job = job(SLEEPER, max_restarts=3, **ALONE)
    lines = run(the_job, slurm)
    ranks(lines, 1)
    cluster.command("scancel", "--name", the_job.name)
    with pytest.raises(LaunchError, match="cancelled") as error:
        list(lines)
    assert error.value.cancelled, "MLflow shows it as killed"


def test_a_requeued_job_starts_again_under_the_same_log(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    program = """
        import os, sys, time
        again = os.environ.get("SLURM_RESTART_COUNT")
        sys.stdout.write(f"rank {os.environ['RANK']} is {os.getpid()}\\n")
        time.sleep(0 if again else 600)
    """
    the_job = job(program, **ALONE)
    lines = run(the_job, slurm)
    first = ranks(lines, 1)
    handle = slurm.adopt(the_job.name)
    cluster.command("scontrol", "requeue", handle.id)
    rest = list(lines)
    second = [int(pid) for line in rest for pid in re.findall(r"rank \d is (\d+)", line)]
    assert len(second) == 1 and not set(first) & set(second)
    assert any(line.startswith("[launcher] pending") for line in rest)


def test_a_job_that_is_cancelled_may_save_for_longer_than_slurm_would_wait(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    program = """
        import os, pathlib, signal, sys, time
        def save(*_):
            time.sleep(12)
            pathlib.Path(f"saved-{os.environ['RANK']}").touch()
            os._exit(75)
        signal.signal(signal.SIGTERM, save)
        sys.stdout.write(f"rank {os.environ['RANK']} is {os.getpid()}\\n")
        sys.stdout.flush()
        time.sleep(600)
    """
    assert "KillWait                = 5 sec" in cluster.command("scontrol", "show", "config")
    lines = run(job(program, procs_per_node=1), slurm, cancel_asked=lambda _: True)
    ranks(lines, 2)
    handle = slurm.adopt(job(program).name)
    lines.close()
    assert sorted(path.name for path in Path().glob("saved-*")) == ["saved-0", "saved-1"]
    assert slurm.poll(handle).phase == "cancelled", "another flow that follows it does not start it again"


def test_a_job_whose_node_fails_starts_again_under_its_number_and_is_followed_on(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    program = """
        import os, sys, time
        sys.stdout.write(f"on {os.environ['SLURMD_NODENAME']} in {os.environ['SLURM_JOB_ID']}\\n")
        sys.stdout.flush()
        time.sleep(0 if os.environ.get("SLURM_RESTART_COUNT") else 600)
    """
    lines = run(job(program, **ALONE), slurm)
    first = next(line for line in lines if line.startswith("on "))
    cluster.command("scontrol", "update", f"nodename={first.split()[1]}", "state=down", "reason=test")
    [second] = [line for line in lines if line.startswith("on ")]
    assert first.split()[3] == second.split()[3]


def test_a_job_at_its_time_limit_saves_and_goes_on_in_the_next(slurm: SlurmLauncher, job) -> None:
    program = """
        import os, pathlib, signal, sys, time
        saved = pathlib.Path(f"checkpoint-{os.environ['RANK']}")
        if saved.exists():
            sys.exit(0)
        def save(*_):
            saved.touch()
            sys.exit(1)
        signal.signal(signal.SIGTERM, save)
        if os.environ["RANK"] == "0":
            sys.stdout.write('@metrics {"step": 1}\\n')
        time.sleep(600)
    """
    lines = list(run(job(program, time_limit="1"), slurm))
    assert any("preempted (time limit" in line for line in lines)
