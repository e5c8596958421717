"""The cache of pages of a node: each page is fetched once, dead processes block nobody, nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llama_core.errors import DamagedError, StoreError
from llama_core.tokens.node_cache import Key, NodeCache, place_for

FETCHER = """
import sys, time
from pathlib import Path
from llama_core.tokens.node_cache import NodeCache
cache = NodeCache("job", place=Path(sys.argv[1]))
def make():
    print("fetching", flush=True)
    time.sleep(float(sys.argv[2]))
    return b"page" * 1000
for page in range(int(sys.argv[3])):
    assert cache.fetch((0, page), make, lambda key: 0.0) == b"page" * 1000
print(cache.fetched, flush=True)
sys.stdin.read()
"""


def process(place: Path, seconds: float, pages: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCHER, str(place), str(seconds), str(pages)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def no_page() -> bytes:
    raise AssertionError("it is there")


def keys(cache: NodeCache) -> set[Key]:
    return {(0, page) for page in range(10) if cache.has((0, page))}


def test_processes_of_a_node_fetch_each_page_once_and_leave_nothing(tmp_path: Path) -> None:
    started = [process(tmp_path, 0.02, 20) for _ in range(3)]
    fetched = 0
    for one in started:
        assert one.stdout is not None
        while (line := one.stdout.readline().strip()) == "fetching":
            pass
        fetched += int(line)
    assert fetched == 20
    (folder,) = [path for path in next(tmp_path.iterdir()).iterdir() if path.is_dir()]
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    for one in started:
        one.communicate("")
        assert one.returncode == 0
    assert not folder.exists()


def test_a_process_that_dies_while_it_fetches_blocks_nobody_and_is_cleaned_up_after(tmp_path: Path) -> None:
    dying = process(tmp_path, 60, 1)
    assert dying.stdout is not None and dying.stdout.readline() == "fetching\n"
    cache = NodeCache("job", place=tmp_path)
    with ThreadPoolExecutor(1) as waiting:
        found = waiting.submit(cache.fetch, (0, 0), lambda: b"mine", lambda key: 0.0)
        time.sleep(0.1)
        assert not found.done()
        dying.send_signal(signal.SIGKILL)
        dying.communicate()
        assert found.result(timeout=10) == b"mine"
    cache.close()

    killed = process(tmp_path, 0, 3)
    assert killed.stdout is not None
    while killed.stdout.readline() == "fetching\n":
        pass
    killed.kill()
    killed.communicate()
    folder = tmp_path / f"llama-pages-{os.getuid()}" / "job"
    assert len(list(folder.glob("*.page"))) == 3
    NodeCache("another", place=tmp_path).close()
    assert not folder.exists()


def test_pages_of_a_killed_run_are_never_read(tmp_path: Path) -> None:
    killed = process(tmp_path, 0, 1)
    assert killed.stdout is not None and killed.stdout.readline() and killed.stdout.readline() == "1\n"
    killed.kill()
    killed.communicate()
    cache = NodeCache("job", place=tmp_path)
    assert not cache.has((0, 0))
    cache.close()


def test_a_full_cache_keeps_what_is_needed_soonest(tmp_path: Path) -> None:
    cache = NodeCache("job", most_bytes=3000, place=tmp_path, page_bytes=1000)
    next_use = {(0, page): page for page in range(10)}

    def worth(key: Key) -> float:
        return -next_use[key]

    for page in (9, 1, 2):
        cache.fetch((0, page), lambda: bytes(1000), worth)
    cache.fetch((0, 8), lambda: bytes(1000), worth)
    assert keys(cache) == {(0, 1), (0, 2), (0, 8)}
    assert cache.fetch((0, 9), no_page, worth, soon=False) is None  # later than all that are there
    assert keys(cache) == {(0, 1), (0, 2), (0, 8)}
    assert cache.fetch((0, 3), lambda: bytes(1000), worth, soon=False) is not None
    assert keys(cache) == {(0, 1), (0, 2), (0, 3)}
    assert cache.fetch((0, 7), lambda: bytes(4000), worth) == bytes(4000)  # larger than the cache: not kept
    assert not cache.has((0, 7)) and cache.fetched == 6
    cache.close()


def test_a_reader_gets_the_bytes_of_a_page_or_nothing(tmp_path: Path) -> None:
    cache = NodeCache("job", place=tmp_path)
    assert cache.read((0, 0), 0, 1) is None
    cache.fetch((0, 0), lambda: b"0123456789", lambda key: 0.0)
    assert cache.read((0, 0), 3, 6) == b"345"
    assert cache.read((0, 0), 8, 12) is None
    cache.close()


def test_a_page_that_cannot_be_fetched_is_not_kept(tmp_path: Path) -> None:
    def damaged() -> bytes:
        raise DamagedError("a page")

    cache = NodeCache("job", place=tmp_path)
    for _ in range(2):
        with pytest.raises(DamagedError):
            cache.fetch((0, 0), damaged, lambda key: 0.0)
    assert cache.fetched == 0 and not cache.has((0, 0))
    cache.close()


def test_threads_of_a_process_fetch_a_page_once(tmp_path: Path) -> None:
    cache, barrier = NodeCache("job", place=tmp_path), threading.Barrier(8)

    def page() -> bytes:
        time.sleep(0.05)
        return b"page"

    def fetch(_: int) -> bytes | None:
        barrier.wait()
        return cache.fetch((0, 0), page, lambda key: 0.0)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(fetch, range(8))) == {b"page"}
    assert cache.fetched == 1
    cache.close()


@pytest.mark.parametrize("how", ["open to others", "a link"])
def test_a_folder_that_another_user_may_have_made_is_refused(tmp_path: Path, how: str) -> None:
    folder = tmp_path / f"llama-pages-{os.getuid()}"
    if how == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(StoreError, match="no folder of this user alone"):
        NodeCache("job", place=tmp_path)


def test_memory_is_chosen_only_where_a_cache_is_a_small_part_of_it() -> None:
    assert place_for(1 << 60) != Path("/dev/shm")
