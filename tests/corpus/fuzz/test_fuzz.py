"""Damaged files end in outcomes, never in a crash: every parser on mutations of its seeds.

`benchmarks/fuzz.py` runs the same parsers under a coverage-guided fuzzer, for as long as one likes.
"""

import random

import pytest
from corpus.fuzz.parsers import PARSERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

INTERESTING = [
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n\r\n",
    b"<",
    b"&",
    b"9" * 20,
    b"-1",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
]


def mutate(seeds: list[bytes], seed: int, edits: int) -> bytes:
    """A file made from the seeds by random edits, of the kinds that happen to files or are done to them."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(seeds))
    for _ in range(edits):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + int(rng.expovariate(1 / 30)))
        edit = rng.randrange(7)
        if edit == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif edit == 1:
            del data[at:end]
        elif edit == 2:
            data[at:at] = data[at:end] * rng.randrange(1, 4)
        elif edit == 3:
            data[at:at] = rng.choice(INTERESTING)
        elif edit == 4:
            data[at:end] = rng.randbytes(end - at)
        elif edit == 5:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=5000, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32), edits=st.integers(0, 12))
def test_a_damaged_file_ends_in_outcomes(name: str, seed: int, edits: int) -> None:
    _, seeds, parse = PARSERS[name]
    parse(mutate(seeds, seed, edits))


@pytest.mark.parametrize("name", PARSERS)
def test_noise_and_nothing_end_in_outcomes(name: str) -> None:
    _, _, parse = PARSERS[name]
    for data in (
        b"",
        b"\0" * 100,
        bytes(range(256)) * 4,
        "\ufeffab\n".encode("utf-16"),
        b"<" * 5000,
        b"\n" * 5000,
    ):
        parse(data)
