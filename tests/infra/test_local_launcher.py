"""The local launcher with real processes: torchrun, pipes, signals."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from listening import beyond_loopback, listening

from infra.launch.agent import RESTARTED
from infra.launch.capacity import Capacity, check_capacity, check_evaluation, memory_needed
from infra.launch.launcher import JobSpec
from infra.launch.local import LocalLauncher
from infra.launch.run import run
from llama_core.errors import LaunchError
from llama_core.recipes.load import load_recipe
from llama_core.recipes.running import Launch

# A rank that writes its process id into a file and then waits for ever.
SLEEPER = """
    import os, time
    from llama_core import lifeline
    lifeline.watch()
    rank = os.environ.get("RANK", "0")
    with open(f"rank-{rank}.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"rank-{rank}.tmp", f"rank-{rank}.pid")
    time.sleep(600)
"""


LOGS = """logs of "jobs", 'all' 100%j #1 $HOME \\ %2F?"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., JobSpec]:
    """job(program, *args, procs=1, device="cpu"): a job that runs the program's text.

    Ranks for a CPU are forked, those for a GPU are programs; these programs use neither.
    """
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / LOGS))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)

    def make(program: str, *args: str, procs: int = 1, max_restarts: int = 0, device: str = "cpu") -> JobSpec:
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        launch = Launch(procs_per_node=procs, max_restarts=max_restarts, device=device)
        return JobSpec("llama-train-4f2a", "program", list(args), launch, {"PYTHONPATH": str(tmp_path)})

    return make


def test_the_log_has_every_line_of_both_streams_in_order(job) -> None:
    lines = list(
        run(
            job(
                'import sys\nprint("one")\nprint("two", file=sys.stderr)\nprint(sys.argv[1], end="")', "three"
            )
        )
    )
    assert lines == ["one", "two", "three"]


def test_a_failure_shows_the_exit_code_and_the_end_of_the_log(job) -> None:
    with pytest.raises(LaunchError, match=r"(?s)llama-train-4f2a failed \(exit code 3\).*line 99$"):
        list(run(job('import sys\nfor i in range(100): print(f"line {i}")\nsys.exit(3)')))


def test_an_error_that_the_job_explains_is_the_whole_message_and_final(job) -> None:
    seen = []
    with pytest.raises(LaunchError) as error:
        seen.extend(run(job('import sys\nprint("@error no such store")\nsys.exit(2)', max_restarts=5)))
    assert str(error.value) == "no such store"
    assert seen == ["@error no such store"], "it was started again"


def test_an_error_that_would_come_again_is_final_though_work_was_done(job) -> None:
    program = "import sys\nprint('@progress {}')\nprint('@final it diverged')\nsys.exit(2)"
    seen = []
    with pytest.raises(LaunchError, match="^it diverged$"):
        seen.extend(run(job(program, max_restarts=5)))
    assert seen == ["@progress {}", "@final it diverged"], "it was started again"


def test_a_killed_job_says_by_which_signal(job) -> None:
    with pytest.raises(LaunchError, match="killed by SIGSEGV"):
        list(run(job("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")))


CRASHES_TWICE = """
    import os, pathlib, sys
    tries = pathlib.Path("tries")
    n = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (n + 1))
    print("@metrics {}")
    sys.exit(1 if n < 2 else 0)
"""


def test_a_crashed_job_is_started_again(job) -> None:
    lines = list(run(job(CRASHES_TWICE, max_restarts=2)))
    assert lines.count("@metrics {}") == 3
    assert sum("started again" in line for line in lines) == 2


def test_a_job_that_is_started_again_is_told_the_error_that_it_has_explained(job) -> None:
    lines = list(
        run(
            job("""
        import os, pathlib, sys
        print('@metrics {"step": 1}')
        if why := os.environ.get("LLAMA_INTERRUPTED"):
            print("why:", why)
        elif not print("@error the store is full: free some"):
            sys.exit(2)
    """)
        )
    )
    [again] = [line for line in lines if "started again" in line]
    assert "failed (exit code 2): the store is full: free some; it is started again" in again
    assert "why: the store is full: free some" in lines


def test_a_job_that_comes_no_further_is_not_started_more_often_than_the_recipe_says(job) -> None:
    with pytest.raises(LaunchError, match=r"(?s)exit code 1.*\(2 starts in a row came no further"):
        list(run(job(CRASHES_TWICE, max_restarts=1)))
    assert Path("tries").read_text() == "xx"


# Each start does again the last step of the one before, does as many more as it is told, and fails.
CRASHES_FURTHER_ON = """
    import pathlib, sys
    tries = pathlib.Path("tries")
    n = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (n + 1))
    more = [int(word) for word in sys.argv[1].split(",")]
    for step in range(sum(more[:n]), sum(more[: n + 1]) + 1):
        sys.stdout.write(f'@{sys.argv[2]} {{"loss": 1.5, "%s": {step}, "what": "x"}}\\n' % sys.argv[3])
    sys.exit(1 if n + 1 < len(more) else 0)
"""


@pytest.mark.parametrize("told", [("metrics", "step"), ("progress", "done")])
def test_a_job_that_fails_further_on_each_time_is_always_started_again(job, told: tuple[str, str]) -> None:
    lines = list(run(job(CRASHES_FURTHER_ON, "2,1,3,1,1", *told, max_restarts=0)))
    assert sum("started again" in line for line in lines) == 4


def test_failures_without_progress_count_only_if_nothing_lies_between(job, monkeypatch) -> None:
    monkeypatch.setattr("infra.launch.run.REST", 0.1)
    assert list(run(job(CRASHES_FURTHER_ON, "1,0,0,1,0,0,1", "metrics", "step", max_restarts=2)))
    Path("tries").unlink()
    with pytest.raises(LaunchError, match="3 starts in a row came no further"):
        list(run(job(CRASHES_FURTHER_ON, "1,0,0,0,1", "metrics", "step", max_restarts=2)))
    assert Path("tries").read_text() == "xxxx"


def test_a_store_that_is_away_when_a_job_starts_again_ends_nothing(job) -> None:
    """The error that a job explains before it has done anything is final only at its first start."""
    program = """
        import pathlib, sys
        tries = pathlib.Path("tries")
        n = len(tries.read_text()) if tries.exists() else 0
        tries.write_text("x" * (n + 1))
        sys.stdout.write('@error the store is away\\n' if n == 1 else '@metrics {"step": %d}\\n' % (n + 1))
        sys.exit(2 if n < 2 else 0)
    """
    lines = list(run(job(program, max_restarts=1)))
    assert lines[-1] == '@metrics {"step": 3}'


DEVICES = pytest.mark.parametrize("device", ["cpu", "cuda"])


# Ranks that join in our way, or in torch's, and wait until somebody has looked at them.
JOINS = """
    import pathlib, sys, time, torch, torch.distributed as dist
    from llama_core.train import distributed
    if sys.argv[1] == "ours":
        world = distributed.join("cpu")
        world.ensure_group()
        total = world.sum(world.rank + 1.0)[0]
    else:
        dist.init_process_group("gloo")
        total = torch.tensor(dist.get_rank() + 1.0)
        dist.all_reduce(total)
    sys.stdout.write(f"total {float(total)}\\n")
    while not pathlib.Path("looked").exists():
        time.sleep(0.02)
"""

# What the shell of a person says who works inside an allocation, or under another torchrun.
SURROUNDINGS = {
    "RANK": "5",
    "LOCAL_RANK": "5",
    "WORLD_SIZE": "7",
    "LOCAL_WORLD_SIZE": "7",
    "GROUP_RANK": "2",
    "MASTER_ADDR": "192.0.2.1",
    "MASTER_PORT": "1",
    "PET_NNODES": "7",
    "PET_NODE_RANK": "5",
    "PET_MAX_RESTARTS": "3",
    "PET_RDZV_BACKEND": "c10d",
    "PET_RDZV_ENDPOINT": "192.0.2.1:1",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "another",
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "7",
    "OMPI_COMM_WORLD_RANK": "5",
    "PMI_RANK": "5",
    "NCCL_COMM_ID": "192.0.2.1:1",
    "NCCL_SOCKET_IFNAME": "none0",
    "GLOO_SOCKET_IFNAME": "none0",
}


@pytest.mark.parametrize(
    ("procs", "how", "device"),
    [(1, "ours", "cpu"), (2, "ours", "cpu"), (2, "torch's", "cuda")],
)
def test_a_job_listens_on_loopback_only_and_is_no_part_of_another(
    job, procs: int, how: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    launcher = LocalLauncher()
    handle = launcher.submit(job(JOINS, how, procs=procs, device=device))
    lines = launcher.logs(handle)
    totals = [next(lines) for _ in range(procs)]
    assert totals == [f"total {procs * (procs + 1) / 2}"] * procs
    found = listening(int(handle.id))
    assert found, "gloo listens"
    assert beyond_loopback(found) == []
    Path("looked").touch()
    assert list(lines) == []
    assert launcher.poll(handle).phase == "succeeded"


def test_a_job_knows_nothing_of_other_jobs_but_all_else(job, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SURROUNDINGS | {"CUDA_VISIBLE_DEVICES": "3", "NCCL_DEBUG": "INFO"}).items():
        monkeypatch.setenv(name, value)
    the_job = job("import json, os; print(json.dumps(dict(os.environ)))")
    the_job.env["MASTER_ADDR"] = "a job may say so itself"
    environment = json.loads(next(run(the_job)))
    mine = {name for name in SURROUNDINGS if not name.endswith("_SOCKET_IFNAME")}
    assert mine & set(environment) == {"MASTER_ADDR"}
    assert environment["MASTER_ADDR"] == the_job.env["MASTER_ADDR"]
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["NCCL_DEBUG"]) == ("3", "INFO")


@DEVICES
def test_under_torchrun_the_exit_code_is_that_of_the_rank_that_failed_first(job, device: str) -> None:
    program = """
        import os, sys, time
        if os.environ["RANK"] == "1":
            sys.exit(7)
        time.sleep(600)
    """
    with pytest.raises(
        LaunchError, match=r"\(exit code 7\)(?s:.*)rank 1 failed first: it exited with code 7"
    ):
        list(run(job(program, procs=2, device=device)))


@pytest.mark.parametrize("failures", [2, 9])
def test_ranks_that_fail_start_again_in_their_job_as_often_as_a_job_may(job, failures: int) -> None:
    program = """
        import os, pathlib, signal, sys
        rank = os.environ["RANK"]
        tries = pathlib.Path(f"tries-{rank}")
        n = len(tries.read_text()) if tries.exists() else 0
        tries.write_text("x" * (n + 1))
        if rank == "1" and n < int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(76 if n < int(sys.argv[1]) else 0)
    """
    the_job = job(program, str(failures), procs=2, max_restarts=2)
    if failures == 2:
        lines = list(run(the_job))
        assert lines.count(RESTARTED) == 2 and not any("[launcher]" in line for line in lines)
        assert lines.count("[agent] rank 1 failed first: it was killed by SIGKILL") == 2
    else:
        with pytest.raises(LaunchError, match="3 starts in a row came no further"):
            list(run(the_job))
    assert Path("tries-1").read_text() == "xxx"


@DEVICES
def test_under_torchrun_a_killed_rank_is_told(job, device: str) -> None:
    program = """
        import os, signal, time
        if os.environ["RANK"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
    """
    with pytest.raises(LaunchError, match=r"killed by SIGKILL(?s:.*)rank 0 failed first"):
        list(run(job(program, procs=2, device=device)))


@DEVICES
def test_under_torchrun_the_log_shows_what_a_rank_raised(job, device: str) -> None:
    with pytest.raises(LaunchError, match=r"ValueError: the moon(?s:.*)failed first: it exited with code 1"):
        list(run(job("raise ValueError('the moon')", procs=2, device=device)))


@pytest.mark.parametrize("procs", [1, 2])
def test_a_caller_who_stops_reading_ends_the_job_and_what_it_started(job, procs: int) -> None:
    program = """
        import os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        sys.stdout.write(f"{os.getpid()} {child.pid}\\n")
        time.sleep(600)
    """
    lines = run(job(program, procs=procs))
    pids = [int(pid) for _ in range(procs) for pid in next(lines).split()]
    lines.close()
    _wait_until_gone(pids, seconds=5)


def test_a_job_that_ignores_the_polite_signal_is_killed(job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.launch.local.KILL_AFTER", 1)
    program = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid())
        time.sleep(600)
    """
    lines = run(job(program))
    pid = int(next(lines))
    lines.close()
    _wait_until_gone([pid], seconds=1)


# A flow that starts the job, reads its log, and may have forked a pool of workers.
FLOW = """
    import multiprocessing, sys, time
    from infra.launch.launcher import JobSpec
    from infra.launch.local import LocalLauncher
    from llama_core.recipes.running import Launch

    procs, forked = int(sys.argv[1]), sys.argv[2] == "forked"
    launcher = LocalLauncher()
    device = sys.argv[3]
    job = JobSpec("llama-train-4f2a", "program", [], Launch(procs_per_node=procs, device=device), {})
    handle = launcher.submit(job)
    if forked:
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        child.start()
        print(child.pid, flush=True)
    for line in launcher.logs(handle):
        pass
"""


@pytest.mark.parametrize(
    ("procs", "forked", "device"),
    [(1, "alone", "cpu"), (2, "alone", "cpu"), (2, "alone", "cuda"), (2, "forked", "cpu")],
)
def test_no_rank_outlives_a_launcher_that_was_killed(
    job, tmp_path: Path, procs: int, forked: str, device: str
) -> None:
    job(SLEEPER)
    (tmp_path / "flow.py").write_text(textwrap.dedent(FLOW))
    command = [sys.executable, "flow.py", str(procs), forked, device]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    flow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    worker = int(flow.stdout.readline()) if forked == "forked" else None
    try:
        ranks = [_pid_of(tmp_path / f"rank-{rank}.pid") for rank in range(procs)]
        family = [p.pid for p in psutil.Process(flow.pid).children(recursive=True) if p.pid != worker]
        assert set(ranks) <= set(family)
        flow.kill()
        _wait_until_gone(family, seconds=5)
    finally:
        flow.kill()
        if worker:
            os.kill(worker, signal.SIGKILL)


@DEVICES
def test_a_rank_that_no_longer_answers_is_killed_by_the_agent(job, tmp_path: Path, device: str) -> None:
    """A hang inside a library can hold Python's lock, and then no thread sees that the pipe has closed."""
    job(
        """
        import ctypes, os, signal
        from llama_core import lifeline
        lifeline.watch()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        rank = os.environ["RANK"]
        with open(f"rank-{rank}.tmp", "w") as file:
            file.write(str(os.getpid()))
        os.rename(f"rank-{rank}.tmp", f"rank-{rank}.pid")
        ctypes.PyDLL(None).sleep(600)
        """
    )
    (tmp_path / "flow.py").write_text(textwrap.dedent(FLOW))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "1"}
    flow = subprocess.Popen([sys.executable, "flow.py", "2", "alone", device], env=environment)
    ranks = [_pid_of(tmp_path / f"rank-{rank}.pid") for rank in range(2)]
    flow.kill()
    _wait_until_gone(ranks, seconds=8)


def test_a_recipe_that_does_not_fit_is_refused_before_any_work() -> None:
    here = partial(Capacity, "local", nodes=1, cores=2, node_memory=24 << 30, gpus=0, gpu_memory=None)
    check_capacity(load_recipe("tiny"), here, here)
    with pytest.raises(LaunchError) as error:
        check_capacity(load_recipe("65b"), here, here)
    assert "256 nodes x 8 processes on cuda" in str(error.value)
    assert "no GPU: too little in nodes and GPUs" in str(error.value)
    assert "launch.launcher=slurm" in str(error.value) and "tiny" in str(error.value)


def test_a_launcher_that_does_not_answer_is_said_with_what_the_recipe_needs() -> None:
    def away() -> Capacity:
        raise LaunchError("sinfo is not installed here")

    here = partial(Capacity, "local", nodes=1, cores=2, node_memory=24 << 30, gpus=0, gpu_memory=None)
    with pytest.raises(LaunchError) as error:
        check_capacity(load_recipe("65b", {"launch.launcher": "slurm"}), away, here)
    for said in (
        "256 nodes x 8 processes on cuda",
        "does not answer: sinfo is not installed here",
        "Here is this machine with 2 CPU cores, 24 GiB of memory and no GPU",
        "make pretrain RECIPE=65b SET=launch.launcher=slurm",
        "prefect worker start --pool gpu-65b",
        "a smaller recipe such as tiny",
    ):
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        ({"launch.nodes": 2}, "nodes"),
        ({"launch.procs_per_node": 16}, "CPU cores"),
        ({"launch.device": "cuda"}, "GPUs"),
        ({"model.dim": 8192, "model.n_layers": 80}, "memory"),
    ],
)
def test_the_refusal_names_what_is_missing(overrides: dict, missing: str) -> None:
    here = partial(Capacity, "local", nodes=1, cores=2, node_memory=24 << 30, gpus=0, gpu_memory=None)
    with pytest.raises(LaunchError, match=f"too little in {missing}"):
        check_capacity(load_recipe("micro", overrides | {"layout.micro_batch": 1}), here, here)


def test_a_node_whose_memory_does_not_hold_the_export_is_found_before_the_training() -> None:
    def with_memory(gib: int) -> partial[Capacity]:
        memory = {"node_memory": gib << 30, "gpu_memory": 80 << 30}
        return partial(Capacity, "slurm", nodes=256, cores=64, gpus=8, **memory)

    check_capacity(load_recipe("65b"), with_memory(64), with_memory(64))
    with pytest.raises(LaunchError, match=r"memory of a node, \d\d\.\d GiB of which the export takes"):
        check_capacity(load_recipe("65b"), with_memory(32), with_memory(32))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"nodes": 2}, r"too little in nodes\. .*evaluate\.launch\.launcher=slurm"),
        ({"procs_per_node": 16}, "for its evaluation 1 nodes x 16 processes.*too little in CPU cores"),
        ({"device": "cuda"}, "too little in GPUs"),
    ],
)
def test_an_evaluation_that_has_no_place_is_refused_before_any_work(overrides: dict, says: str) -> None:
    here = partial(Capacity, "local", nodes=1, cores=2, node_memory=24 << 30, gpus=0, gpu_memory=None)
    check_evaluation(load_recipe("micro"), here, here)
    with pytest.raises(LaunchError, match=says):
        check_evaluation(load_recipe("micro", {"evaluate.launch": overrides}), here, here)


def test_a_model_too_large_for_the_gpus_of_its_evaluation_is_found() -> None:
    def with_memory(gib: int) -> partial[Capacity]:
        memory = {"node_memory": 512 << 30, "gpu_memory": gib << 30}
        return partial(Capacity, "slurm", nodes=4, cores=64, gpus=8, **memory)

    one_node = load_recipe("65b", {"launch.launcher": "slurm", "evaluate.launch.nodes": 1})
    check_evaluation(one_node, with_memory(80), with_memory(80))
    with pytest.raises(LaunchError, match=r"about 37\.\d GiB.*too little in memory"):
        check_evaluation(one_node, with_memory(32), with_memory(32))


def test_on_one_machine_a_checkpoint_is_not_evaluated_on_the_gpus_that_train() -> None:
    memory = {"node_memory": 512 << 30, "gpu_memory": 80 << 30}
    here = partial(Capacity, "local", nodes=1, cores=64, gpus=8, **memory)
    recipe = {"launch.nodes": 1, "evaluate.at.every": 10**9}
    check_evaluation(load_recipe("7b", {"launch.nodes": 1}), here, here)
    with pytest.raises(LaunchError, match=r"GPUs beside those of the training.*evaluate\.launch\.device"):
        check_evaluation(load_recipe("7b", recipe), here, here)
    check_evaluation(load_recipe("7b", recipe | {"evaluate.launch.device": "cpu"}), here, here)


def test_the_estimate_of_memory_is_near_what_a_dry_run_of_one_rank_measured() -> None:
    """GiB at the peak under a memory tracker, FSDP over 8 GPUs with blocks recomputed, and with none."""
    one_server = load_recipe("7b", {"launch.nodes": 1})
    assert memory_needed(one_server) / 2**30 == pytest.approx(14.67, rel=0.1)
    kept = load_recipe(
        "7b", {"launch.nodes": 1, "layout.micro_batch": 4, "layout.activation_checkpointing": "none"}
    )
    assert memory_needed(kept) / 2**30 == pytest.approx(58.39, rel=0.1)
    tensor_parallel = load_recipe("65b")
    assert memory_needed(tensor_parallel) / 2**30 == pytest.approx(5.25, rel=0.2)
    alone = load_recipe("65b", {"layout": {"tp": 1, "loss_parallel": False, "micro_batch": 1}})
    assert memory_needed(alone) / 2**30 == pytest.approx(11.38, rel=0.2)


def _pid_of(path: Path) -> int:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"no rank wrote {path.name}"
        time.sleep(0.05)
    return int(path.read_text())


def _wait_until_gone(pids: list[int], seconds: float) -> None:
    _, alive = psutil.wait_procs([psutil.Process(p) for p in pids if psutil.pid_exists(p)], seconds)
    alive = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not alive, alive
