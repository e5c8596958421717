"""What an agent does when one of its ranks has failed, besides what torch's own agent does.

The others mostly end by themselves, because they talk to the one that is gone, and what they write on their
way is worth having (see `llama_core.train.stability.watchdog`). So they have some seconds for it. Then they
are killed: asked politely, they would try to save, and wait for the one that is gone.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import api
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from llama_core.file_system import back_off
from llama_core.program import AWAY, FAILED, HUNG, INTERRUPTED, LEFT_ALONE, STOPPED

PATIENCE = 5.0  # seconds that the others have
# Where a rank came no further, all that still can write their stacks, which may take half a minute.
PATIENCE_HUNG = 40.0
SOON = 60.0  # seconds: ranks that fail sooner may never come further
REST, LONGEST_REST = 1.0, 60.0  # seconds before another start of ranks that have failed soon, twice and often
OF_ALL = (FAILED, STOPPED, HUNG, AWAY)  # what ranks of all nodes end with alike: no node is the cause
FINAL = (FAILED, STOPPED)  # another start is for the launcher to decide on

# The exit codes of this node's ranks that have failed, by local rank: the first ones, and then the others.
_failed: list[dict[int, int]] = []
_hung: list[int] = []  # those of them that did not even end when the others had given up
_newest: list[api.PContext] = []  # the ranks that were started last


def use() -> None:
    """Let torch's agent, in this process, treat its ranks as is said above."""

    def stop_workers(self: LocalElasticAgent, worker_group: object) -> None:
        if self._pcontext:
            _end(self._pcontext)
            self._pcontext.close()

    LocalElasticAgent._stop_workers = stop_workers  # type: ignore[method-assign]
    for context in (api.MultiprocessContext, api.SubprocessContext):
        context._start = _noted(context._start)  # type: ignore[method-assign, type-abstract, assignment]
        context._poll = _ending_others(context._poll)  # type: ignore[method-assign, type-abstract, assignment]


def _noted(start: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a method of torch's that starts ranks, after which `ended_by` knows of them."""

    def begin(self: api.PContext) -> None:
        _newest[:] = [self]
        start(self)

    return begin


def _ending_others(poll: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of torch's that looks after ranks, which ends all of them if one has failed."""

    def look(self: api.PContext) -> Any:
        if failed := _failed_of(self):
            later, killed = _end(self)
            _failed[:], _hung[:] = [failed, later], killed if HUNG in later.values() else []
        return poll(self)

    return look


def _end(context: api.PContext) -> tuple[dict[int, int], list[int]]:
    """Wait until the ranks have ended, and kill those that have not.

    Returns the codes of those that have failed by themselves, and those that were killed.
    """
    began = time.monotonic()
    while _waited_for(context, time.monotonic() - began):
        time.sleep(0.02)
    failed, pids = _failed_of(context), context.pids()
    left = [rank for rank, code in _codes_of(context).items() if code is None]
    for rank in left:
        os.kill(pids[rank], signal.SIGKILL)
    return failed, left


def _waited_for(context: api.PContext, seconds: float) -> list[int]:
    """Return the ranks that may still end by themselves, so many seconds after one has failed."""
    left = [rank for rank, code in _codes_of(context).items() if code is None]
    if seconds < PATIENCE:
        return left
    if seconds > PATIENCE_HUNG or HUNG not in _failed_of(context).values():
        return []
    pids = context.pids()
    return [rank for rank in left if not _is_stopped(pids[rank])]


def _is_stopped(pid: int) -> bool:
    """Tell whether a signal has stopped a process, which then does nothing, however long one waits."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def ended_by(number: int) -> int:
    """Return the exit code of an agent that was asked to end by a signal, and whose ranks have ended."""
    codes = {code for context in _newest for code in _codes_of(context).values()}
    return STOPPED if codes <= {0, STOPPED, -number} else 128 + number


def report(error: ChildFailedError, nodes: int) -> tuple[int, bool]:
    """Say in one line which rank failed first, also to the next ranks.

    Returns its exit code, and whether that is held against the node.

    Ranks that have ended only because others are gone are not named: those are on another node. The node is
    named where the rank has failed for itself. That a program has failed by itself is no fault of the one
    node that it ran on. `nodes`: their number.
    """
    rank, failure = error.get_first_failure()
    first = rank - failure.local_rank
    found = _first([*_failed, {failure.local_rank: failure.exitcode}])
    if found is None:
        os.environ[INTERRUPTED] = "ranks of another node were gone"
        print("[agent] the ranks of this node have ended because others are gone", file=sys.stderr)
        return LEFT_ALONE, False
    local, code = found
    held_against = code not in OF_ALL and (code < 0 or nodes > 1)
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    elif code == HUNG and _hung:
        local, how, held_against = _hung[0], "hung, and had to be killed", True
    else:
        how = "came no further" if code == HUNG else f"exited with code {code}"
    os.environ[INTERRUPTED] = f"rank {first + local} {how}"
    node = os.environ.get("SLURMD_NODENAME")
    where = f" (node {node})" if node and held_against else ""
    print(f"[agent] rank {first + local} failed first: it {how}{where}", file=sys.stderr)
    return code if code > 0 else 128 - code, held_against


def _first(failed: list[dict[int, int]]) -> tuple[int, int] | None:
    """Return the local rank and exit code of the cause, or None where it is not on this node.

    One that was killed is the cause, and not what others make of it.
    """
    for codes in failed:
        causes = sorted((code >= 0, local) for local, code in codes.items() if code != LEFT_ALONE)
        if causes:
            return causes[0][1], codes[causes[0][1]]
    return None


class Restarts:
    """Decides whether ranks that have failed are started again where they are, and waits before that.

    `most`: how often in a row they may fail soon after their start; at 0 they are never started again. More
    failures are for the launcher, who knows whether the job comes further.
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic):
        self._most, self._now = most, now
        self._soon = 0
        self._began = now()

    def again(self, code: int) -> bool:
        """Tell whether the ranks are started again, the first of which has ended with this code."""
        self._soon = self._soon + 1 if self._now() - self._began < SOON else 1
        if code in FINAL or self._soon > self._most:
            return False
        if self._soon > 1:
            time.sleep(back_off(self._soon - 1, REST, LONGEST_REST))
        self._began = self._now()
        return True


def _failed_of(context: api.PContext) -> dict[int, int]:
    return {rank: code for rank, code in _codes_of(context).items() if code}


def _codes_of(context: api.PContext) -> dict[int, int | None]:
    """Return the exit codes of the ranks of this node, None for those that still run."""
    if isinstance(context, api.MultiprocessContext):
        return {n: p.exitcode for n, p in enumerate(context._pc.processes)} if context._pc else {}
    assert isinstance(context, api.SubprocessContext)
    return {n: handler.proc.poll() for n, handler in context.subprocess_handlers.items()}
