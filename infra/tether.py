"""A tether: a service, and every process that it starts, cannot outlive whoever started it.

`python -m infra.tether COMMAND ...` runs COMMAND for as long as its lifeline holds. Then COMMAND and its
children (a worker's flow runs) are asked to end, and all that still descends from it after GRACE seconds is
killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from infra.home import private
from llama_core import lifeline

GRACE = 5.0  # seconds from the request to end until the kill
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def start(
    command: list[str], log: Path, env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` on a tether; its output is appended to `log`."""
    importable = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), env.get("PYTHONPATH")]))
    tethered = [sys.executable, "-m", "infra.tether", *command]
    with open(log, "ab", opener=private) as output:
        return lifeline.start(tethered, dict(env) | {"PYTHONPATH": importable}, output, cwd)


def stop(tethered: subprocess.Popen[bytes]) -> None:
    """End the command and all that descends from it. Returns when they are gone."""
    assert tethered.stdin
    tethered.stdin.close()
    tethered.wait()


def adopt_orphans() -> None:
    """Make a descendant whose parent dies our child, instead of init's, so that it can be found."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants() -> None:
    """Kill all that descends from this process, however deep (on Linux; elsewhere they are not found)."""
    while found := _descendants():
        _signal(found, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def main() -> int:
    """Run the command until it ends or the lifeline does. Return its exit code."""
    released = threading.Event()
    lifeline.watch(lost=released.set)
    del os.environ[lifeline.VARIABLE]  # ours: the command's standard input is another
    adopt_orphans()
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    while command.poll() is None and not released.wait(0.1):
        pass
    if command.poll() is None:
        _signal([command.pid, *_children().get(command.pid, [])], signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(GRACE)
    command.kill()
    code = command.wait()
    kill_descendants()
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _descendants() -> list[int]:
    """Return the process ids of all that descends from this process, zombies included."""
    children = _children()
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def _children() -> dict[int, list[int]]:
    """Return the children of every process of this machine, by its id; nothing where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]  # the name before it may hold anything
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    return children


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main())
