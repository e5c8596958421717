"""A node is named where a rank of it alone has failed, and not for what meets all ranks alike."""

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from infra.launch import failures
from infra.launch.course import Course
from llama_core.program import FAILED, HUNG, INTERRUPTED


@pytest.mark.parametrize(
    ("code", "named"), [(-9, True), (-11, True), (1, True), (FAILED, False), (HUNG, False)]
)
def test_only_what_is_of_one_node_is_held_against_it(
    code: int, named: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that is away, or a step that nobody ends, makes ranks of all nodes fail."""
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    monkeypatch.setenv(INTERRUPTED, "")
    monkeypatch.setattr(failures, "_failed", [])
    course = Course()
    for _ in range(2):
        failures.report(ChildFailedError("ranks", {8: ProcessFailure(0, 1, code, "<none>")}))
    for line in capsys.readouterr().err.splitlines():
        course.note(line)
    assert course.cause.startswith("rank 8 failed first: it ")
    assert course.bad_nodes == (("n1",) if named else ())
