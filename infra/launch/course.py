"""The course of a job over all of its starts, as its log tells it."""

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from infra.launch.agent import RESTARTED

ERRORS = ("@error ", "@final ")
PROGRESS = re.compile(r"@(?:metrics|progress) (\{.*\})")  # how far a job has come
FAILED_FIRST = re.compile(r"\[agent\] (rank \d+ failed first: .*?)(?: \(node (\S+)\))?$")
SAVING = re.compile(rb'^@metrics .*"save_seconds": ([0-9.]+)', re.MULTILINE)
OFTEN = 2  # failures of a node after which it is left out
TAIL = 1 << 20  # bytes of an old log that are looked through


class Course:
    """What a job has told so far. `note` each line of its log, from its first start on."""

    def __init__(self) -> None:
        self.error = ""
        """The error that the job itself explains, since its last start."""
        self.final = False
        """True if it says that another start would meet the error again."""
        self.saving: float | None = None
        """The seconds that its last save has taken."""
        self.stuck = 0
        """How often in a row it has failed without having come further than ever; 0 once it has."""
        self.cause = ""
        """What its last failure came from, as far as an agent has told."""
        self.bad_node = ""
        """The node on which alone ranks have failed at the last failure, where that happens too often."""
        self._furthest: dict[str, int] = {}
        self._further = False  # than at the failure before
        self._failures: Counter[str] = Counter()  # by node
        self._nodes: set[str] = set()  # those that agents have named since the failure before

    @property
    def begun(self) -> bool:
        """True if the job has ever done anything."""
        return bool(self._furthest)

    def start(self) -> None:
        """Note that the job is started, once more or for the first time."""
        self.error, self.final, self.cause = "", False, ""

    def note(self, line: str) -> None:
        """Note a line of the log."""
        if told := PROGRESS.match(line):
            with contextlib.suppress(ValueError, TypeError):  # a line that a full disk has cut
                self._progress(json.loads(told[1]))
        elif line.startswith(ERRORS):
            kind, _, self.error = line.partition(" ")
            self.final = self.final or kind == "@final"
        elif found := FAILED_FIRST.match(line):
            if found[2] or not self._nodes:
                self.cause = found[1]
            self._nodes |= {found[2]} if found[2] else set()
        elif line == RESTARTED:
            self.fail()

    def fail(self) -> None:
        """Note that the job, or the ranks of a job that goes on, have failed.

        What has met several nodes at once is held against none of them.
        """
        self.stuck = 0 if self._further else self.stuck + 1
        self._further, self.bad_node = False, ""
        if len(self._nodes) == 1:
            [node] = self._nodes
            self._failures[node] += 1
            self.bad_node = node if self._failures[node] >= OFTEN else ""
        self._nodes.clear()

    def _progress(self, values: dict[str, Any]) -> None:
        kind, now = str(values.get("what", "step")), int(values.get("step", values.get("done", 0)))
        before = self._furthest.get(kind, 0)
        self._furthest[kind] = max(before, now)
        if now > before:
            self.stuck, self._further = 0, True
        self.saving = values.get("save_seconds", self.saving)


def last_saving(name: str, logs: Path) -> float | None:
    """Return the seconds that the last save of a job has taken, by the newest of its logs that tells it."""
    found: list[tuple[float, Path]] = []
    for path in logs.iterdir():
        if path.name.startswith(f"{name}-"):
            with contextlib.suppress(OSError):  # somebody has just deleted it
                found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True):
        with contextlib.suppress(OSError), path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL))
            if told := SAVING.findall(log.read()):
                return float(told[-1])
    return None
