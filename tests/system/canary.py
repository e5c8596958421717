"""Secrets that are easily found, and whether something holds one."""

from pathlib import Path

from llama_core.store import Store

PASSWORD = "c4n4ry-p@ss/w#rd"
QUOTED = "c4n4ry-p%40ss%2Fw%23rd"
WORD = b"c4n4ry"  # in any case: a key is AKIAC4N4RY...
ENCODED = (b"YzRuNHJ5", b"Onp6OmM0bjRyeS")  # in base64


def has_secret(data: bytes) -> bool:
    return WORD in data.lower() or any(trace in data for trace in ENCODED)


def holding_a_secret(*folders: Path) -> list[Path]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if has_secret(path.read_bytes())]


def assert_clean(output: str, *folders: Path) -> None:
    assert not has_secret(output.encode()), output
    assert holding_a_secret(*folders) == []


def assert_store_clean(store: Store) -> None:
    """No object holds a secret, but for numbers, of which nothing is known."""
    names = [name for name in store.list() if not name.endswith(".data")]
    assert names
    assert [name for name in names if has_secret(store.read(name))] == []
