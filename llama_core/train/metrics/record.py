"""The record of a training: JSON lines, one for each step, in segments that are written once.

    <attempt>/metrics/00000051-00000100.jsonl     {"before": the segment before this one, or null}
                                                  {"step": 51, "loss": ...}

Rank 0 publishes what is new with each checkpoint, whose state names the newest segment. So a checkpoint has
exactly the segments that its own steps wrote, however many attempts have written others, and neither a save
nor the memory grows with the steps. In the end the shard `metrics` of the train step holds them all.
"""

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, StoreError
from llama_core.objects import Object
from llama_core.parse import damaged, json_as, json_lines
from llama_core.step import Step
from llama_core.store import Store

log = logging.getLogger(__name__)
SHARD = "metrics"
MOST = 10_000  # records of a segment, which rank 0 holds in memory


class Header(BaseModel):
    """The first line of a segment."""

    before: Object | None


HEADER = TypeAdapter(Header)


class Record:
    """Keeps the records of a training's steps. `newest`: the segment that a checkpoint names, if any.

    Steps are added while a thread publishes those before.
    """

    def __init__(self, step: Step, newest: Object | None = None):
        self._step, self._newest = step, newest
        self._lines: list[str] = []
        self._span = (0, 0)  # the first and the last step of the lines
        self._sealed: list[tuple[str, list[str]]] = []  # segments that are not published, by their names
        self._publishing = threading.Lock()

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of the next step. It is published at once where there are MOST of them.

        If the store is away, this is done with the next of them.
        """
        n = record["step"]
        self._span = (self._span[0] if self._lines else n, n)
        self._lines.append(json.dumps(record))
        if len(self._lines) == MOST:
            self.seal()
            try:
                self.publish()
            except StoreError as error:
                log.warning("the record of the steps up to %d is published later (%s)", n, error)

    def seal(self) -> None:
        """Make a segment, which is published next, of the steps that were added since the last one."""
        if self._lines:
            self._sealed.append(("{}/{:08d}-{:08d}.jsonl".format(SHARD, *self._span), self._lines))
            self._lines = []

    def publish(self) -> Object | None:
        """Publish the segments that are sealed, and return the newest, or None where there is none yet.

        Raises StoreError: then those that are not published are published the next time.
        """
        with self._publishing:
            while self._sealed:
                name, lines = self._sealed[0]
                before = self._newest.as_dict() if self._newest else None
                text = "\n".join([json.dumps({"before": before}), *lines, ""])
                self._newest = self._step.folder.publish_bytes(self._step.place_of(name), text.encode())
                del self._sealed[0]
            return self._newest


def segments(folder: Store, newest: Object | None) -> list[Object]:
    """Return a segment and all before it, the oldest first.

    Where one is damaged, the log says so, and the record begins after it: the weights are whole without it.
    """
    found: list[Object] = []
    while newest is not None and newest not in found:
        try:
            first = folder.read(newest.name, expect=newest).partition(b"\n")[0]
            before = json_as(HEADER, first, folder.url_of(newest.name)).before
        except (DamagedError, FileNotFoundError) as error:
            log.warning("the record of the first steps is lost: %s", error)
            break
        found.append(newest)
        newest = before
    return found[::-1]


def records(trained: Artifact) -> Iterator[dict[str, Any]]:
    """Yield the record of each step of a finished training, in order. Raises DamagedError.

    One segment is in memory at a time.
    """
    objects = trained.shard(SHARD).objects
    for entry in sorted(objects, key=lambda o: o.name.rpartition("/")[2]):
        url = trained.store.url_of(entry.name)
        for value in json_lines(trained.read(entry), url):
            if not isinstance(value, dict):
                raise damaged(url, "it has a line that is no mapping")
            if "step" in value:  # the first line names the segment before
                yield value
