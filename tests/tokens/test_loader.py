"""The loader gives each rank its part of batch n: the same data at any world size, after any restart."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, RecipeError
from llama_core.recipes import training
from llama_core.tokens.loader import Loader
from llama_core.tokens.order import n_windows
from llama_core.tokens.shards import BESIDE

SIZES = {"code.a": 60, "code.b": 30, "code.empty": 0, "docs.a": 40}
MIXTURE = {"code": 0.6, "docs": 0.4}
TRAIN = training.Train(tokens=10_000, seq_len=32, global_batch_tokens=12 * 32, lr=1e-3, seed=3)


@pytest.fixture
def tokens(make_tokens: Callable[..., Artifact]) -> Artifact:
    return make_tokens(SIZES)


def ids_of(tokens: Artifact, name: str) -> np.ndarray:
    return np.frombuffer(tokens.read(tokens.shard(name).object(".bin")), np.uint16).astype(np.int64)


def windows_of(tokens: Artifact, source: str) -> list[bytes]:
    """Every window of a source, read directly."""
    names = [n for n in SIZES if n.startswith(source)]
    return [
        ids_of(tokens, name)[i * 32 : i * 32 + 33].tobytes()
        for name in names
        for i in range(n_windows(len(ids_of(tokens, name)), 32))
    ]


@pytest.mark.parametrize("world", [2, 3, 4, 12])
def test_ranks_share_a_batch_at_any_world_size(tokens: Artifact, world: int) -> None:
    whole = Loader(tokens, TRAIN, MIXTURE)
    ranks = [Loader(tokens, TRAIN, MIXTURE) for _ in range(world)]
    for n in (0, 1, 7, 10**9):
        parts = [loader.batch(n, rank, world).tokens for rank, loader in enumerate(ranks)]
        assert parts[0].shape == (12 // world, 33) and parts[0].dtype == np.int64
        rows = [row.tobytes() for row in whole.batch(n).tokens]
        assert sorted(row.tobytes() for part in parts for row in part) == sorted(rows)
        for part in parts:  # each in the order of training
            left = iter(rows)
            assert all(row.tobytes() in left for row in part)


def test_batches_do_not_depend_on_what_was_asked_before(tokens: Artifact) -> None:
    straight = Loader(tokens, TRAIN, MIXTURE)
    batches = [straight.batch(n).tokens for n in range(8)]
    jumping = Loader(tokens, TRAIN, MIXTURE)
    for n in (5, 2, 3, 3, 7, 0):
        assert (jumping.batch(n).tokens == batches[n]).all()


def test_a_ramp_cuts_the_same_sequences_into_other_batches(tokens: Artifact) -> None:
    whole = Loader(tokens, TRAIN, MIXTURE)
    ramp = TRAIN.model_copy(update={"batch_ramp": [[20 * 32, 4 * 32], [40 * 32, 6 * 32]]})
    loader = Loader(tokens, ramp, MIXTURE)
    parts = [[loader.batch(n, rank, 2) for rank in (0, 1)] for n in range(10)]
    assert [sum(len(each.tokens) for each in part) for part in parts] == [4] * 5 + [6] * 4 + [12]
    expected = iter([row.tobytes() for n in range(5) for row in whole.batch(n).tokens])
    for part in parts:
        seen = [row.tobytes() for half in part for row in half.tokens]
        assert sorted(seen) == sorted(itertools.islice(expected, len(seen)))
    assert loader.fingerprint == whole.fingerprint, "where a batch begins is no matter of the data"


def test_another_process_reads_the_same_batch(tokens: Artifact) -> None:
    program = (
        "import hashlib, sys; from llama_core.recipes import training\n"
        "from llama_core.artifact import Artifact\n"
        "from llama_core.store import Store; from llama_core.tokens.loader import Loader\n"
        "train = training.Train.model_validate_json(sys.argv[2])\n"
        f"loader = Loader(Artifact.open(Store(sys.argv[1])), train, {MIXTURE})\n"
        "print(loader.fingerprint, loader.batch(11).tokens.tolist())"
    )
    command = [sys.executable, "-c", program, tokens.url, TRAIN.model_dump_json()]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    loader = Loader(tokens, TRAIN, MIXTURE)
    assert found == f"{loader.fingerprint} {loader.batch(11).tokens.tolist()}"


def test_an_epoch_of_batches_holds_each_window_of_a_source_once(tokens: Artifact) -> None:
    loader = Loader(tokens, TRAIN, {"code": 1.0, "docs": 0.0})
    expected = windows_of(tokens, "code")
    seen = np.concatenate([loader.batch(n).tokens for n in range(2 * len(expected) // 12 + 1)])
    for epoch in range(2):
        found = seen[epoch * len(expected) : (epoch + 1) * len(expected)]
        assert sorted(row.tobytes() for row in found) == sorted(expected)


def test_a_fingerprint_follows_what_changes_the_data(tokens: Artifact) -> None:
    fingerprint = Loader(tokens, TRAIN, MIXTURE).fingerprint
    assert Loader(tokens, TRAIN, dict(reversed(MIXTURE.items()))).fingerprint == fingerprint
    other_lr = TRAIN.model_copy(update={"lr": 1.0, "tokens": 5})
    assert Loader(tokens, other_lr, MIXTURE).fingerprint == fingerprint
    for change in ({"seed": 4}, {"seq_len": 16}):
        assert Loader(tokens, TRAIN.model_copy(update=change), MIXTURE).fingerprint != fingerprint
    assert Loader(tokens, TRAIN, {"code": 0.5, "docs": 0.5}).fingerprint != fingerprint


def test_a_damaged_shard_is_named_and_not_trained_on(tokens: Artifact) -> None:
    path = Path(tokens.store.path(tokens.shard("docs.a").object(".bin").name))
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    loader = Loader(tokens, TRAIN, MIXTURE)
    for _ in range(2):
        with pytest.raises(DamagedError, match=r"docs\.a\.bin is damaged in page 0 \(bytes 0 to [0-9]+\)"):
            loader.batch(0)
    assert Loader(tokens, TRAIN, {"code": 1.0}).batch(0).tokens.shape == (12, 33)


def test_a_source_without_a_window_is_an_error_of_the_recipe(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens({"code.a": 60, "docs.a": 0})
    with pytest.raises(RecipeError, match="mixture.docs"):
        Loader(tokens, TRAIN, MIXTURE)
    assert Loader(tokens, TRAIN, {"code": 1.0, "docs": 0.0}).batch(3).tokens.shape == (12, 33)


RANK = """
import json, sys
from pathlib import Path
from llama_core.artifact import Artifact
from llama_core.recipes import training
from llama_core.store import Store
from llama_core.tokens.loader import Loader
from llama_core.tokens.node_cache import NodeCache
url, train, mixture, rank, node = sys.argv[1], *map(json.loads, sys.argv[2:5]), sys.argv[5]
cache = NodeCache("job", place=Path(node))
ranks = range(rank // 2 * 2, rank // 2 * 2 + 2)
loader = Loader(Artifact.open(Store(url)), training.Train(**train), mixture, node=ranks, cache=cache)
print("ready", flush=True)
sys.stdin.readline()
rows = [row.tobytes().hex() for n in range(12) for row in loader.batch(n, rank, 4).tokens]
print(json.dumps([rows, loader.fetched_pages]), flush=True)
sys.stdin.readline()
loader.close()
"""


def test_the_processes_of_a_node_fetch_a_page_once_in_a_real_run(
    make_tokens: Callable[..., Artifact], tmp_path: Path
) -> None:
    tokens = make_tokens({f"{source}.{i:02}": 4 for source in MIXTURE for i in range(16)})
    command = [sys.executable, "-c", RANK, tokens.url, TRAIN.model_dump_json(), json.dumps(MIXTURE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    for node in "ab":
        (tmp_path / node).mkdir()
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "ab"[rank // 2])], **pipes)  # type: ignore[call-overload]
        for rank in range(4)
    ]
    for rank in ranks:
        assert rank.stdout.readline() == "ready\n"
    for rank in ranks:
        rank.stdin.write("go\n")
        rank.stdin.flush()
    told = [json.loads(rank.stdout.readline()) for rank in ranks]
    for rank in ranks:
        rank.communicate("done\n")
        assert rank.returncode == 0

    whole = Loader(tokens, TRAIN, MIXTURE)
    expected = [row.tobytes().hex() for n in range(12) for row in whole.batch(n).tokens]
    assert sorted(row for rows, _ in told for row in rows) == sorted(expected)
    made = [shard for shard in tokens.shards if shard.name not in BESIDE]
    pages = sum(shard.object(".bin").size > 0 for shard in made)  # each shard is one page here
    for of_node in (told[:2], told[2:]):
        fetched = [count for _, count in of_node]
        assert 0 < sum(fetched) <= pages, "no page was fetched twice on a node"
    assert not list(tmp_path.rglob("*.page"))


def test_the_index_of_shards_is_not_unpacked_whole(make_tokens: Callable[..., Artifact]) -> None:
    sizes = {f"{source}.{i:02}": 4 for source in MIXTURE for i in range(16)}
    made = make_tokens(sizes)
    loader = Loader(made, TRAIN, {"code": 1.0})
    loader.batch(0)
    assert not made._is_unpacked
    assert 0 < len(loader._reader._known) <= 16 < len(sizes)
    loader.close()
