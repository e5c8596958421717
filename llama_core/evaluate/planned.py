"""What an evaluation promises before it begins: the benchmarks whose files are there, with their digests."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llama_core.errors import InputError
from llama_core.evaluate import names
from llama_core.evaluate.benchmark import Benchmark
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.files import Folder, NotThere, digest
from llama_core.store import Store

ROLE = "data/"  # how the roles of a step's inputs begin that are benchmarks' files
SERVICE = "service/"  # and those that are services which score answers


def check(data: str | None, tasks: Iterable[str], *, here: bool = False) -> None:
    """Read the files of these benchmarks in the folder `data` as if they were run; one without files is none.

    `here`: whether they are run on this machine. Raises InputError, which names the file, the line and the
    key, or what this machine lacks, and StoreError.
    """
    folder = Folder(data)
    for benchmark, keys in _by_benchmark(tasks):
        with contextlib.suppress(NotThere):
            dataset = folder.load(benchmark)
            for key in keys:
                variant = names.find(key)[1]
                benchmark.shots(dataset.items[0], dataset.examples, variant.shots)
                if here and (reason := benchmark.missing(variant)):
                    raise InputError(f"evaluate.tasks: {key} cannot be run: {reason}")


def digests(data: str | None, tasks: Iterable[str]) -> dict[str, str]:
    """Return the digest of the files of each of these benchmarks, by the role that a step has them in.

    So have services that score answers. A benchmark without its files is left out, so that it is scored once
    they are there. Raises InputError and StoreError.
    """
    folder, found = Folder(data), {}
    for benchmark, _ in _by_benchmark(tasks):
        with contextlib.suppress(NotThere):
            found[ROLE + benchmark.name] = digest(folder.read(benchmark))
            if service := benchmark.service():
                found[SERVICE + benchmark.name] = hashlib.sha256(service.encode()).hexdigest()
    return found


def promised(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of benchmarks' files among the inputs of a step, by the benchmarks' names."""
    return {role.removeprefix(ROLE): value for role, value in inputs.items() if role.startswith(ROLE)}


def check_services(inputs: Mapping[str, str]) -> None:
    """Raise InputError where this machine lacks the key of a service that is among the inputs of a step."""
    for role in inputs:
        name = role.removeprefix(SERVICE)
        if name != role and BENCHMARKS[name].service() is None:
            raise InputError(
                f"{name} was promised with scores, and the environment of this machine holds no key of the "
                "service that gives them: let it reach every node, or start the run without it"
            )


def why_not(benchmark: Benchmark[Any], data: str | None) -> str:
    """Return why a benchmark was not promised."""
    if data is None:
        return "evaluate.data names no folder with the benchmarks' files"
    wanted = [role.patterns[0] for role in benchmark.files.values() if role.needed]
    return f"{Store(data).url} had no file like {' or none like '.join(wanted)}"


def _by_benchmark(tasks: Iterable[str]) -> Iterator[tuple[Benchmark[Any], list[str]]]:
    keys = names.keys(tasks)
    for name in dict.fromkeys(map(names.name_of, keys)):
        yield BENCHMARKS[name], [key for key in keys if names.name_of(key) == name]
