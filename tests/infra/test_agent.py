"""Agents of several nodes, as a Slurm job starts them: here they are neighbours on this machine's network."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from listening import listening

from infra.launch.agent import RESTARTED
from llama_core.program import HUNG, STOPPED

PROGRAM = """
    import pathlib, sys, time
    from llama_core.train import distributed
    world = distributed.join("cpu")
    sys.stdout.write(f"total {world.sum(world.rank + 1.0)[0]}\\n")
    sys.stdout.flush()
    while not pathlib.Path("looked").exists():
        time.sleep(0.02)
"""


def address() -> str:
    """One of this machine's on a network; a test is skipped where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        return probe.getsockname()[0]


@pytest.mark.slow
def test_agents_of_several_nodes_and_their_ranks_listen_on_the_network_of_the_first_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for network in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.delenv(network, raising=False)
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    first = address()
    with socket.create_server((first, 0)) as free:
        place = [f"--master-addr={first}", f"--master-port={free.getsockname()[1]}"]
    command = [sys.executable, "-m", "infra.launch.agent", "--start-method=fork", "--nnodes=2", *place]
    agents = [
        subprocess.Popen(
            [*command, f"--node-rank={node}", "--nproc-per-node=1", "-m", "program"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    try:
        for agent in agents:
            assert agent.stdout and agent.stdout.readline() == "total 3.0\n"
        found = [listening(agent.pid) for agent in agents]
        ports = {port for node in found for _, port, _ in node}
        assert len(ports) == 4, "the stores of the agents and of the ranks, and gloo of each"
        assert {where for node in found for where, _, _ in node} == {first}
        (tmp_path / "looked").touch()
        assert [agent.wait(60) for agent in agents] == [0, 0]
    finally:
        for agent in agents:
            agent.terminate()
            agent.wait()
            assert agent.stdout
            agent.stdout.close()


def agent(folder: Path, program: str, start: str, **env: str) -> subprocess.Popen[str]:
    """An agent of two ranks on this machine, once both are ready for signals."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    command = [sys.executable, "-m", "infra.launch.agent", f"--start-method={start}", "--nproc-per-node=2"]
    started = subprocess.Popen(
        [*command, "-m", "program"],
        env=os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    assert [started.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
    return started


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("fork", 75),
        pytest.param("fork", 0, marks=pytest.mark.slow),
        pytest.param("fork", 1, marks=pytest.mark.slow),
        pytest.param("spawn", 75, marks=pytest.mark.slow),
    ],
)
def test_an_agent_that_is_asked_to_end_says_whether_its_ranks_have_ended_as_they_should(
    tmp_path: Path, start: str, code: int
) -> None:
    program = f"""
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: os._exit({code} if os.environ["RANK"] == "1" else 75))
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
        time.sleep(600)
    """
    with agent(tmp_path, program, start) as asked:
        asked.terminate()
        assert asked.wait(60) == (128 + signal.SIGTERM if code == 1 else STOPPED)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_rank_that_hangs_is_named_with_its_node_and_not_those_that_have_waited_for_it(
    tmp_path: Path, start: str
) -> None:
    program = """
        import os, signal, sys
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(77)
    """
    with agent(tmp_path, program, start, SLURMD_NODENAME="n7") as hung:
        _, said = hung.communicate(timeout=60)
        assert hung.returncode == HUNG
    assert "[agent] rank 1 failed first: it hung, and had to be killed (node n7)" in said.splitlines()


# Two ranks of three nodes; on the second one something happens to the rank, or to its agent as well.
LOSES = """
    import os, signal, sys
    from llama_core.train import distributed
    world, node = distributed.join("cpu"), os.environ["SLURMD_NODENAME"]
    sys.stdout.write(f"rank {world.rank} of {world.sum(1.0)[0]:.0f} on {node}\\n")
    sys.stdout.flush()
    if node == "n2" and sys.argv[1] != "nothing":
        if sys.argv[1] == "agent":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        world.sum(1.0)
    except RuntimeError as error:
        sys.exit(76 if distributed.is_left_alone(error) else 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "codes"), [("rank", [0, 0, 0]), ("agent", [0, -9, 0]), ("nothing", [0] * 3)]
)
def test_a_spare_node_takes_the_place_of_one_that_fails(tmp_path: Path, lost: str, codes: list[int]) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(LOSES))
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = ["--master-addr=127.0.0.1", f"--master-port={free.getsockname()[1]}"]
    sooner = "from infra.launch import agent, rendezvous as r; r.LATE = 5; raise SystemExit(agent.main())"
    command = [
        sys.executable,
        "-c",
        sooner,
        "--start-method=fork",
        "--max-restarts=1",
        "--nnodes=2:3",
        *place,
    ]
    agents = [
        subprocess.Popen(
            [*command, f"--node-rank={node}", "--nproc-per-node=1", "-m", "program", lost],
            env=os.environ
            | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "SLURMD_NODENAME": f"n{node + 1}"},
            stdout=(tmp_path / f"{node}.log").open("w"),
            stderr=subprocess.STDOUT,
        )
        for node in range(3)
    ]
    try:
        assert [agent.wait(120) for agent in agents] == codes
    finally:
        for agent in agents:
            agent.kill()
    said = [line for node in range(3) for line in (tmp_path / f"{node}.log").read_text().splitlines()]
    places = [line for line in said if line.startswith("rank ")]
    first = ["rank 0 of 2 on n1"]
    if lost == "nothing":
        assert places == [*first, "rank 1 of 2 on n2"]
    else:
        assert places == [*first * 2, "rank 1 of 2 on n2", "rank 1 of 2 on n3"]
        assert said.count(RESTARTED) == 1
