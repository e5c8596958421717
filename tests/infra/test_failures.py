"""A node is named where a rank of it alone has failed, and not for what meets all ranks alike."""

import subprocess
import sys

import programs
import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from infra.launch import failures
from infra.launch.agent import RESTARTED
from infra.launch.course import Course
from llama_core.program import AWAY, FAILED, HUNG, INTERRUPTED


@pytest.mark.parametrize(
    ("code", "nodes", "named"),
    [
        (-9, 1, True),
        (-11, 4, True),
        (1, 4, True),
        (1, 1, False),
        (FAILED, 4, False),
        (HUNG, 4, False),
        (AWAY, 4, False),
    ],
)
def test_only_what_is_of_one_node_is_held_against_it(
    code: int, nodes: int, named: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that is away, or a step that nobody ends, makes ranks of all nodes fail.

    A program may fail by itself on the only node that it runs on.
    """
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    monkeypatch.setenv(INTERRUPTED, "")
    monkeypatch.setattr(failures, "_failed", [])
    course = Course()
    for _ in range(2):
        failures.report(ChildFailedError("ranks", {8: ProcessFailure(0, 1, code, "<none>")}), nodes)
        for line in capsys.readouterr().err.splitlines():
            course.note(line)
        course.note(RESTARTED)
    assert course.cause.startswith("rank 8 failed first: it ")
    assert course.bad_node == ("n1" if named else "")


def test_what_fails_on_several_nodes_at_once_is_held_against_none() -> None:
    """An error of the program does: each of their agents names its own node."""
    course = Course()
    for nodes in (["n1", "n2"], ["n2", "n1"], ["n2"], ["n1"]):
        for node in nodes:
            course.note(f"[agent] rank 1 failed first: it exited with code 1 (node {node})")
        course.note("[agent] rank 0 failed first: it came no further")
        course.note(RESTARTED)
        assert course.bad_node == ""
        assert course.cause.endswith("exited with code 1"), "and not what others make of it"
    course.note("[agent] rank 1 failed first: it was killed by SIGKILL (node n2)")
    course.fail()
    assert course.bad_node == "n2"


NO_STORE = """
from llama_core import file_system, program
from llama_core.store import Store
file_system.S3_RETRIES = 1
program.load = lambda package: lambda: Store("s3://bucket/store").read("page")
program.run("any")
"""


def test_ranks_whose_store_is_away_start_again_where_they_are_and_wait_for_it() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    env = programs.environment() | keys | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", NO_STORE], env=env, capture_output=True, text=True)
    assert done.returncode == AWAY and "@error cannot read page on s3://bucket/store" in done.stdout
    assert failures.Restarts(1).again(AWAY) and not failures.Restarts(1).again(FAILED)
