"""One benchmark, asked in one way, on the trained model: a shard of the evaluation.

<shard>/result.json     the score and figures
<shard>/items.parquet   each item: what it was asked, what the model answered, and the verdict
"""

import contextlib
import hashlib
import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.errors import InputError
from llama_core.evaluate import names
from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Dataset,
    File,
    Generation,
    Request,
    Variant,
    Verdict,
)
from llama_core.evaluate.files import Folder, NotThere, digest
from llama_core.evaluate.model import TrainedModel
from llama_core.recipe import Evaluate
from llama_core.step import Step
from llama_core.store import to_json
from llama_core.train.distributed import World

log = logging.getLogger(__name__)
AT_ONCE = 4096  # answers that are in memory at once
FOR_EACH = 1024  # or, where an item has many samples, as many for each rank
BEAT = 1.0  # seconds
RESULT, ITEMS = "result.json", "items.parquet"
TEXT = pa.string()  # answers and details are JSON
SCHEMA = pa.schema(
    {"id": TEXT, "prompts_sha256": TEXT, "answers": TEXT, "score": pa.float64(), "details": TEXT}
)
Progress = Callable[[int, int], None]
Chunk = list[tuple[Any, list[Request]]]  # items with what is asked about them
Row = tuple[int, float | None, str]  # the number of an item, its score and its details as JSON


def shard_of(key: str) -> str:
    """Return the name of the shard of a benchmark's key."""
    return f"task.{key.replace(':', '.')}"


@dataclass(frozen=True)
class Task:
    """What is asked: the items of a benchmark in one of its ways."""

    key: str
    benchmark: Benchmark[Any]
    variant: Variant
    dataset: Dataset[Any]
    files: str
    """The digest of the files."""
    most: int | None
    """How many tokens a generated text may have at most."""

    def requests(self, item: Any) -> list[Request]:
        """Return what the model is asked about an item."""
        shots = self.benchmark.shots(item, self.dataset.examples, self.variant.shots)
        return [self._capped(r) for r in self.benchmark.requests(item, shots, self.variant)]

    def _capped(self, request: Request) -> Request:
        if self.most is None or not isinstance(request, Generation) or request.max_new_tokens <= self.most:
            return request
        return replace(request, max_new_tokens=self.most)


class Sets:
    """The benchmarks' files, which rank 0 reads, each once while its variants follow one another.

    `promised`: their digests by the benchmarks' names. Raises InputError where some of the files that `keys`
    need are not there.
    """

    def __init__(self, cfg: Evaluate, promised: dict[str, str], keys: Sequence[str], world: World):
        self._cfg, self._promised, self._world = cfg, promised, world
        self._last: tuple[str, Dataset[Any]] | None = None
        world.agree(lambda: self._look(keys))

    def task(self, key: str) -> Task:
        """Return what is asked under a key that was promised. Raises InputError where that cannot be kept."""
        benchmark, variant = names.find(key)
        if self._last is None or self._last[0] != benchmark.name:
            self._last = benchmark.name, self._load(benchmark)
        cfg, most = self._cfg, self._cfg.samples
        if most is not None:
            variant = replace(variant, samples=min(variant.samples, most), k=min(variant.k, most))
        whole = self._last[1]
        dataset = replace(whole, items=spread(whole.items, cfg.limit))
        return Task(key, benchmark, variant, dataset, self._promised[benchmark.name], cfg.max_new_tokens)

    def _look(self, keys: Sequence[str]) -> None:
        """Look for all files: what is missing is said before hours of work."""
        self._folder = Folder(self._cfg.data if keys else None)
        for key in keys:
            benchmark, _ = names.find(key)
            try:
                self._folder.names(benchmark)
            except NotThere as error:
                raise InputError(
                    f"{benchmark.name} was promised and cannot be run here: {error}. Let every node see the "
                    "files that the flow sees (evaluate.data), or leave it out (evaluate.tasks)"
                ) from error

    def _load(self, benchmark: Benchmark[Any]) -> Dataset[Any]:
        def read() -> dict[str, list[tuple[str, bytes]]]:
            found = self._folder.read(benchmark)
            if digest(found) != self._promised[benchmark.name]:
                raise InputError(
                    f"the files of {benchmark.name} have changed since the run began: start it again"
                )
            return {role: [(file.name, file.content) for file in files] for role, files in found.items()}

        told = self._world.agree(read)
        return benchmark.load({role: [File(*file) for file in files] for role, files in told.items()})


def spread(items: Sequence[Any], limit: int | None) -> Sequence[Any]:
    """Return at most `limit` of the items, in their order and evenly spread, so that all groups have some."""
    if limit is None or limit >= len(items):
        return items
    return [items[n * len(items) // limit] for n in range(limit)]


def check(keys: Sequence[str], world: World) -> None:
    """Raise InputError where one of the machines cannot run one of these benchmarks."""

    def mine() -> None:
        for key in keys:
            benchmark, variant = names.find(key)
            if reason := benchmark.missing(variant):
                raise InputError(f"{key} was promised and cannot be run here: {reason}")

    world.all_of(mine)


def run(step: Step, task: Task, model: TrainedModel, progress: Progress) -> None:
    """Ask the model, judge the answers, and commit the shard with the result."""
    started, cut, world = time.monotonic(), model.cut, model.world
    judged: list[tuple[Any, Verdict]] = []
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for first, chunk in _chunks(task, world.size):
                answers = _answers(task, first, chunk, model, progress)
                rows = _judge(task, chunk, answers, world)
                if world.rank == 0:
                    writer.write_table(_table(chunk, answers, rows))
                    judged += [(chunk[n][0], Verdict(score, json.loads(said))) for n, score, said in rows]
        (lost,) = world.sum(model.cut - cut)
        result = world.agree(lambda: _commit(step, task, judged, int(lost), file))
    if world.rank == 0:
        score = "not scored" if result["score"] is None else f"{100 * result['score']:.1f} {result['metric']}"
        said = f"{score}, {result['n']} items"
        log.info("%s: %s, %.1f s", task.key, said, time.monotonic() - started)


def _answers(
    task: Task, first: int, chunk: Chunk, model: TrainedModel, progress: Progress
) -> list[list[Answer]]:
    """Return the answers about each item of a chunk, of which the first is the item `first` of all."""

    def show(done: int, total: int) -> None:
        progress(first + len(chunk) * min(done, total) // max(total, 1), len(task.dataset.items))

    ids = [f"{task.key} {item.id} {n}" for item, requests in chunk for n in range(len(requests))]
    rest = iter(model.answer([r for _, requests in chunk for r in requests], ids, show))
    return [[next(rest) for _ in requests] for _, requests in chunk]


def _judge(task: Task, chunk: Chunk, answers: Sequence[list[Answer]], world: World) -> list[Row]:
    """Return the verdicts about a chunk's items in their order, on rank 0: each rank judges its share."""

    def mine() -> list[Row]:
        found = []
        with _patience(world):
            for n in range(world.rank, len(chunk), world.size):
                verdict = task.benchmark.judge(chunk[n][0], task.variant, answers[n])
                found.append((n, verdict.score, json.dumps(verdict.details, ensure_ascii=False)))
        return found

    rows = [row for found in world.all_of(mine) for row in found]
    return sorted(rows, key=lambda row: row[0])


@contextlib.contextmanager
def _patience(world: World) -> Iterator[None]:
    """Let the ranks take any time in the block, and leave it together: a collective alone would time out."""
    done = threading.Event()

    def beat() -> None:
        while world.sum(not done.wait(BEAT))[0]:
            pass

    beats = threading.Thread(target=beat, daemon=True)
    if world.size > 1:
        beats.start()
    try:
        yield
    finally:
        done.set()
        if world.size > 1:
            beats.join()


def _chunks(task: Task, ranks: int) -> Iterator[tuple[int, Chunk]]:
    """Yield items with their requests, and the number of the first of them.

    They are as many as fit the memory and, where an item has many samples, enough that no rank waits long for
    the others: each takes whole prompts. Likelihoods are asked for alike by any number of ranks, for their
    last digits depend on their batches.
    """
    most = max(AT_ONCE, FOR_EACH * ranks) if task.variant.samples > 1 else AT_ONCE
    first, weight = 0, 0
    chunk: Chunk = []
    for number, item in enumerate(task.dataset.items):
        requests = task.requests(item)
        chunk.append((item, requests))
        weight += sum(r.samples if isinstance(r, Generation) else 1 for r in requests)
        if weight >= most:
            yield first, chunk
            first, chunk, weight = number + 1, [], 0
    if chunk:
        yield first, chunk


def _table(chunk: Chunk, answers: Sequence[list[Answer]], rows: Sequence[Row]) -> pa.Table:
    columns = {
        "id": [item.id for item, _ in chunk],
        "prompts_sha256": [_digest(requests) for _, requests in chunk],
        "answers": [json.dumps(got, ensure_ascii=False) for got in answers],
        "score": [score for _, score, _ in rows],
        "details": [said for _, _, said in rows],
    }
    return pa.table(columns, SCHEMA)


def _digest(requests: Sequence[Request]) -> str:
    """Return the digest of what was asked about an item."""
    return hashlib.sha256(to_json([[type(r).__name__, vars(r)] for r in requests])).hexdigest()


def _commit(
    step: Step, task: Task, judged: Sequence[tuple[Any, Verdict]], cut: int, file: IO[bytes]
) -> dict[str, Any]:
    """Commit the shard, and return its result."""
    found = task.benchmark.figures(task.variant, judged)
    result = {
        "status": "done",
        "files": task.files,
        "cut": cut,
        **vars(found),
        "figures": dict(found.figures),
    }
    with step.shard(shard_of(task.key)) as shard:
        shard.counts["items"] = len(judged)
        shard.publish_bytes(f"{shard.name}/{RESULT}", to_json(result))
        file.seek(0)
        with shard.publish(f"{shard.name}/{ITEMS}") as out:
            while data := file.read(1 << 20):
                out.write(data)
    return result
