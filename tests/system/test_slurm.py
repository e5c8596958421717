"""The Slurm launcher with a real Slurm of two nodes on this machine."""

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from listening import beyond_loopback, listening
from system.slurm_cluster import SlurmCluster, missing

from infra.launch.agent import RESTARTED
from infra.launch.capacity import Capacity, check_capacity
from infra.launch.course import last_saving
from infra.launch.launcher import JobSpec
from infra.launch.run import run
from infra.launch.slurm import SlurmLauncher, script
from llama_core.errors import LaunchError
from llama_core.recipes.load import load_recipe
from llama_core.recipes.running import Launch

needs_slurm = pytest.mark.skipif(bool(missing()), reason=f"Slurm is not installed: no {', '.join(missing())}")
pytestmark = pytest.mark.timeout(180)  # a job that Slurm never starts again is waited for without end
REDUCE = """
    import os, sys, time, torch, torch.distributed as dist
    dist.init_process_group("gloo")
    total = torch.tensor(dist.get_rank() + 1.0)
    dist.all_reduce(total)
    assert torch.get_num_threads() == 1, "a core for each rank"
    sys.stdout.write(f"rank {dist.get_rank()} on {os.environ['SLURMD_NODENAME']}: {total.item()}\\n")
    dist.destroy_process_group()
"""
SLEEPER = """
    import os, sys, time
    sys.stdout.write(f"rank {os.environ['RANK']} is {os.getpid()}\\n")
    time.sleep(600)
"""

ALONE = {"nodes": 1, "procs_per_node": 1}
LOGS = """logs of "jobs", 'all' 100%j #1 $HOME"""
# What the shell of a person may say who works inside an allocation, or has said what another job needs.
SURROUNDINGS = {
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_PARTITION": "half",
    "SBATCH_OUTPUT": "/dev/null",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_WAIT": "1",
    "SLURM_JOB_ID": "999999",
    "SLURM_NNODES": "7",
    "SLURM_NTASKS": "7",
    "SLURM_NTASKS_PER_NODE": "7",
    "SLURM_MEM_PER_CPU": "64",
    "SLURM_MEM_PER_NODE": "64",
    "SLURM_TIMELIMIT": "1",
    "SLURM_NODEID": "5",
    "SQUEUE_STATES": "SUSPENDED",
    "SQUEUE_FORMAT": "%N",
    "SINFO_PARTITION": "half",
    "SCANCEL_STATE": "SUSPENDED",
    "RANK": "5",
    "WORLD_SIZE": "7",
    "MASTER_ADDR": "192.0.2.1",
    "PET_RDZV_BACKEND": "c10d",
    "PET_NNODES": "7",
    "TORCHELASTIC_USE_AGENT_STORE": "False",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm") / "s") as cluster:
        yield cluster


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SlurmLauncher]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / LOGS))
    monkeypatch.chdir(tmp_path)
    yield SlurmLauncher(every=0.3)
    cluster.end_jobs()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., JobSpec]:
    """job(program, *args): a job that runs the program's text on two nodes with two processes each.

    `**ALONE`: with one process, which starts much sooner.
    """

    def make(program: str, *args: str, name: str = "", max_restarts: int = 0, **launch: object) -> JobSpec:
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        settings = {"nodes": 2, "procs_per_node": 2, "time_limit": "00:10:00", "max_restarts": max_restarts}
        environment = {"PYTHONPATH": str(tmp_path), "GLOO_SOCKET_IFNAME": "lo"}
        where = Launch(launcher="slurm", **(settings | launch))
        return JobSpec(name or f"llama-{tmp_path.name}", "program", list(args), where, environment)

    return make


@needs_slurm
@pytest.mark.slow
def test_two_nodes_reduce_and_rank_0_is_on_the_first(slurm: SlurmLauncher, job) -> None:
    lines = sorted(line for line in run(job(REDUCE), slurm) if line.startswith("rank"))
    assert [line.split(": ")[1] for line in lines] == ["10.0"] * 4
    assert [line.split(":")[0] for line in lines] == [
        "rank 0 on n1",
        "rank 1 on n1",
        "rank 2 on n2",
        "rank 3 on n2",
    ]


@needs_slurm
@pytest.mark.slow
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


@needs_slurm
@pytest.mark.slow
def test_a_log_whose_path_has_a_backslash_is_found_by_the_next_flow(
    slurm: SlurmLauncher, job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In such a path Slurm takes a `%` as it is, in others it does not."""
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / "a\\b 100%j"))
    the_job = job(SLEEPER, time_limit="UNLIMITED", **ALONE)
    _ranks(slurm.logs(slurm.submit(the_job)), 1)
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path / "another"))
    adopted = slurm.adopt(the_job.name)
    assert adopted and adopted.log.parent.name == "a\\b 100%j"
    _ranks(slurm.logs(adopted), 1)
    slurm.cancel(adopted)


@needs_slurm
@pytest.mark.slow
def test_a_failed_job_shows_its_own_error_and_is_not_tried_again(slurm: SlurmLauncher, job) -> None:
    program = 'import os, sys\nif os.environ["RANK"] == "0": print("@error no such store"); sys.exit(2)'
    with pytest.raises(LaunchError, match="^no such store$"):
        list(run(job(program, max_restarts=3), slurm))


@needs_slurm
@pytest.mark.slow
def test_an_unexplained_failure_shows_in_the_log_which_rank_failed_first(slurm: SlurmLauncher, job) -> None:
    with pytest.raises(
        LaunchError, match=r"(?s)failed \(exit code.*rank 3 failed first: it exited with code 7"
    ):
        list(run(job("import os, sys; sys.exit(7 * (os.environ['RANK'] == '3'))"), slurm))


@needs_slurm
@pytest.mark.slow
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


@needs_slurm
@pytest.mark.slow
def test_a_node_on_which_ranks_fail_twice_is_named_and_left_out(slurm: SlurmLauncher, job) -> None:
    program = """
        import os, pathlib, signal, sys, time
        tries = pathlib.Path("tries")
        with tries.open("a") as file:
            file.write("x")
        sys.stdout.write('@metrics {"step": %d}\\n' % len(tries.read_text()))
        sys.stdout.flush()
        if os.environ["SLURMD_NODENAME"] == "n1":
            os.kill(os.getpid(), signal.SIGKILL)
    """
    lines = list(run(job(program, max_restarts=2, **ALONE), slurm))
    assert Path("tries").read_text() == "xxx"
    assert lines.count("[agent] rank 0 failed first: it was killed by SIGKILL (node n1)") == 2
    [told] = [line for line in lines if line.startswith("[launcher] llama")]
    assert "ranks failed 2 times on node n1" in told and "checkpoint, without node n1" in told


@needs_slurm
@pytest.mark.slow
def test_a_caller_who_stops_reading_leaves_the_job_unless_its_end_is_asked_for(
    slurm: SlurmLauncher, job
) -> None:
    lines = run(job(SLEEPER), slurm)
    pids = _ranks(lines)
    lines.close()
    time.sleep(1)
    assert all(psutil.pid_exists(pid) for pid in pids)

    reasons: list[BaseException] = []
    lines = run(job(SLEEPER), slurm, cancel_asked=lambda reason: not reasons.append(reason))
    assert _ranks(lines) == pids, "not the same job"
    agents = {psutil.Process(pid).ppid() for pid in pids}
    found = [one for agent in agents for one in listening(agent)]
    assert len({port for _, port, _ in found}) == 2, "the stores of the agents and of the ranks"
    assert beyond_loopback(found) == []
    lines.close()
    _wait_until_gone(pids)
    assert slurm.adopt(job(SLEEPER).name) is None
    assert [type(reason) for reason in reasons] == [GeneratorExit]


@needs_slurm
@pytest.mark.slow
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


@needs_slurm
@pytest.mark.slow
def test_a_job_that_a_person_cancels_is_not_started_again(
    slurm: SlurmLauncher, job, cluster: SlurmCluster
) -> None:
    the_job = job(SLEEPER, max_restarts=3, **ALONE)
    lines = run(the_job, slurm)
    _ranks(lines, 1)
    cluster.command("scancel", "--name", the_job.name)
    with pytest.raises(LaunchError, match="cancelled") as error:
        list(lines)
    assert error.value.cancelled, "MLflow shows it as killed"


@needs_slurm
@pytest.mark.slow
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
    pids = _ranks(iter(first.stdout), 1)
    first.kill()
    first.wait()
    time.sleep(1)
    assert all(psutil.pid_exists(p) for p in pids)

    second = run(job(program, **ALONE), slurm)
    assert _ranks(second, 1) == pids, "not the same job"
    (tmp_path / "finish").touch()
    list(second)


@needs_slurm
@pytest.mark.slow
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
    first = _ranks(lines, 1)
    handle = slurm.adopt(the_job.name)
    cluster.command("scontrol", "requeue", handle.id)
    rest = list(lines)
    second = [int(pid) for line in rest for pid in re.findall(r"rank \d is (\d+)", line)]
    assert len(second) == 1 and not set(first) & set(second)
    assert any(line.startswith("[launcher] pending") for line in rest)


@needs_slurm
@pytest.mark.slow
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


@needs_slurm
@pytest.mark.slow
def test_two_jobs_of_one_name_never_run_beside_each_other(slurm: SlurmLauncher, job) -> None:
    the_job = job(SLEEPER, nodes=1, procs_per_node=1)
    first, second = slurm.submit(the_job), slurm.submit(the_job)
    _wait_for(lambda: slurm.poll(first).phase == "running")
    _wait_for(lambda: "Dependency" in slurm.poll(second).reason)
    assert slurm.adopt(the_job.name).id == first.id
    for handle in (second, first):
        slurm.cancel(handle)
        assert slurm.poll(handle).phase == "cancelled"


@needs_slurm
@pytest.mark.slow
def test_a_job_on_gpus_gets_all_of_its_nodes_gpus(slurm: SlurmLauncher, job) -> None:
    program = 'import os; print(os.environ["CUDA_VISIBLE_DEVICES"])'
    assert "0,1" in list(run(job(program, nodes=1, device="cuda"), slurm))


@needs_slurm
@pytest.mark.slow
def test_capacity_is_that_of_the_partition(slurm: SlurmLauncher) -> None:
    whole = Capacity("slurm", nodes=2, cores=2, node_memory=2000 << 20, gpus=2, gpu_memory=None)
    assert slurm.capacity() == whole
    assert str(whole) == "2 nodes with 2 CPU cores, 2 GiB of memory and 2 GPUs each"
    assert SlurmLauncher("half").capacity().nodes == 1
    assert SlurmLauncher("half,main").capacity() == whole, "the larger of the two"
    with pytest.raises(LaunchError, match="no partition 'gpus': launch.partition can be half, main"):
        SlurmLauncher("main,gpus").capacity()
    with pytest.raises(LaunchError, match="too little in nodes and GPUs.*choose another partition"):
        check_capacity(load_recipe("7b", {"launch.launcher": "slurm"}), slurm.capacity, slurm.capacity)


@needs_slurm
@pytest.mark.slow
def test_what_sbatch_refuses_is_told_in_its_words(slurm: SlurmLauncher, job) -> None:
    with pytest.raises(LaunchError, match="sbatch.*invalid partition"):
        SlurmLauncher("gpus").submit(job(SLEEPER))


@needs_slurm
@pytest.mark.slow
def test_what_a_queued_job_waits_for_is_a_line_of_its_log(slurm: SlurmLauncher, job) -> None:
    lines = run(job(SLEEPER, nodes=5), slurm)
    assert next(line for line in lines if "(" in line) == "[launcher] pending (PartitionConfig)"
    lines.close()


def test_without_slurm_the_message_says_where_to_start_the_flow(job, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LLAMA_LOGS", str(tmp_path))
    for verb in (lambda: SlurmLauncher().capacity(), lambda: SlurmLauncher().submit(job(SLEEPER))):
        with pytest.raises(LaunchError, match="is not installed here, as it is on a login node"):
            verb()


@pytest.mark.parametrize(
    ("limit", "saving", "warning"),
    [("24:00:00", 1.5, 60), ("24:00:00", 400.2, 831), ("20:00", 400.2, 600)],
)
def test_a_job_is_warned_in_time_for_the_save_that_it_has_told_of(
    job, tmp_path: Path, limit, saving, warning
) -> None:
    the_job = job(SLEEPER, time_limit=limit)
    for n, seconds in enumerate((7, saving)):  # the last of the newest log counts
        log = tmp_path / f"{the_job.name}-{n}.log"
        log.write_text(f"""@metrics {{"step": 1, "save_seconds": 900}}
@metrics {{"step": 2, "save_seconds": {seconds}, "time": 1}}
@metrics {{"step": 3}}""")
        os.utime(log, (n, n))
    told = last_saving(the_job.name, tmp_path)
    assert told == saving
    text = script(replace(the_job, saving=told), Path("/logs/x-%j.log"), None)
    assert f"#SBATCH --signal=B:USR1@{warning}\n" in text
    assert f"TORCH_ELASTIC_SHUTDOWN_TIMEOUT={warning}\n" in text


@pytest.mark.parametrize(
    ("limit", "warning"), [("24:00:00", 300), ("2-0", 300), ("1-00:00:10", 300), ("10", 150), ("4:20", 65)]
)
def test_a_job_is_warned_five_minutes_before_its_limit_or_less_where_it_is_short(job, limit, warning) -> None:
    text = script(job(SLEEPER, time_limit=limit), Path("/logs/x-%j.log"), None)
    assert f"#SBATCH --signal=B:USR1@{warning}\n" in text


def test_a_job_without_a_time_limit_is_not_warned(job) -> None:
    text = script(job(SLEEPER, time_limit="UNLIMITED"), Path("/logs/x.log"), None)
    assert "#SBATCH --time=UNLIMITED\n" in text
    assert "--signal=B:" not in text


def test_a_value_that_would_end_its_line_in_the_script_is_refused(job) -> None:
    with pytest.raises(LaunchError, match="no line break in 'main.n#SBATCH --wrap=id'"):
        script(job(SLEEPER), Path("/logs/x.log"), "main\n#SBATCH --wrap=id")


RECORDING_SBATCH = """#!/bin/sh
env > "$RECORD/environment"
cat > "$RECORD/script"
echo 12
"""


def test_sbatch_is_told_of_no_other_job(job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(RECORDING_SBATCH)
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    needed = {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "physics", "RECORD": str(tmp_path)}
    for name, value in (
        SURROUNDINGS
        | needed
        | {"LLAMA_LOGS": str(tmp_path), "OMPI_COMM_WORLD_RANK": "3", "LLAMA_LIFELINE": "0"}
    ).items():
        monkeypatch.setenv(name, value)
    the_job = job(SLEEPER)
    the_job.env["AWS_SECRET_ACCESS_KEY"] = "do-not-tell"
    assert SlurmLauncher("main").submit(the_job).id == "12"
    lines = (tmp_path / "environment").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert not set(SURROUNDINGS) & set(environment)
    assert not {"OMPI_COMM_WORLD_RANK", "LLAMA_LIFELINE"} & set(environment)
    assert (needed | the_job.env).items() <= environment.items()
    assert "do-not-tell" not in (tmp_path / "script").read_text()


def _ranks(lines: Iterator[str], count: int = 4) -> list[int]:
    """The process ids that the ranks print, read until all have."""
    pids: dict[str, int] = {}
    for line in lines:
        if found := re.match(r"rank (\d) is (\d+)", line):
            pids[found[1]] = int(found[2])
        if len(pids) == count:
            break
    return [pids[rank] for rank in sorted(pids)]


def _wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _wait_until_gone(pids: list[int]) -> None:
    assert len(pids) == 4
    _wait_for(lambda: not any(psutil.pid_exists(p) for p in pids), seconds=10)
