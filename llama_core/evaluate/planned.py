"""What an evaluation promises before it begins: the benchmarks whose files are there, with their digests."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llama_core.errors import InputError
from llama_core.evaluate import names
from llama_core.evaluate.benchmark import Benchmark
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.files import Folder, NotThere, digest
from llama_core.store import Store

EXAMPLES = "examples"  # the role of files that hold the examples before items
ROLE = "data/"  # how the roles of a step's inputs begin that are benchmarks' files
SERVICE = "service/"  # and those that are services which score answers
BARE = "bare/"  # and those that tell of benchmarks whose files have no examples


def check(data: str | None, tasks: Iterable[str], *, here: bool = False) -> None:
    """Read the files of these benchmarks in the folder `data` as if they were run; one without files is none.

    So is a way of asking with examples where there is no file of them. `here`: whether they are run on this
    machine. Raises InputError, which names the file, the line and the
    key, or what this machine lacks, and StoreError.
    """
    folder = Folder(data)
    for benchmark, keys in _by_benchmark(tasks):
        with contextlib.suppress(NotThere):
            dataset, bare = folder.load(benchmark), _is_bare(folder.names(benchmark))
            for key in keys:
                variant = names.find(key)[1]
                if bare and variant.shots:
                    continue
                benchmark.shots(dataset.items[0], dataset.examples, variant.shots)
                if here and (reason := benchmark.missing(variant)):
                    raise InputError(f"evaluate.tasks: {key} cannot be run: {reason}")


def digests(data: str | None, tasks: Iterable[str]) -> dict[str, str]:
    """Return the digest of the files of each of these benchmarks, by the role that a step has them in.

    So have services that score answers, and what tells that a benchmark's files have no examples. A benchmark
    without its files is left out, so that it is scored once they are there. Raises InputError and StoreError.
    """
    folder, found = Folder(data), {}
    for benchmark, _ in _by_benchmark(tasks):
        with contextlib.suppress(NotThere):
            files = folder.read(benchmark)
            found[ROLE + benchmark.name] = digest(files)
            if _is_bare(files):
                found[BARE + benchmark.name] = hashlib.sha256(b"").hexdigest()
            if service := benchmark.service():
                found[SERVICE + benchmark.name] = hashlib.sha256(service.encode()).hexdigest()
    return found


def promised(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of benchmarks' files among the inputs of a step, by the benchmarks' names."""
    return {role.removeprefix(ROLE): value for role, value in inputs.items() if role.startswith(ROLE)}


def is_promised(key: str, inputs: Mapping[str, str]) -> bool:
    """Tell whether the inputs of a step have all that is asked under a benchmark's key."""
    benchmark, variant = names.find(key)
    has_examples = not variant.shots or BARE + benchmark.name not in inputs
    return has_examples and ROLE + benchmark.name in inputs


def check_services(inputs: Mapping[str, str]) -> None:
    """Raise InputError where this machine lacks the key of a service that is among the inputs of a step."""
    for role in inputs:
        name = role.removeprefix(SERVICE)
        if name != role and BENCHMARKS[name].service() is None:
            raise InputError(
                f"{name} was promised with scores, and the environment of this machine holds no key of the "
                "service that gives them: let it reach every node, or start the run without it"
            )


def why_not(key: str, data: str | None, inputs: Mapping[str, str]) -> str:
    """Return why a benchmark's key is not among what was promised."""
    if data is None:
        return "evaluate.data names no folder with the benchmarks' files"
    benchmark, variant = names.find(key)
    if ROLE + benchmark.name in inputs:
        like = benchmark.files[EXAMPLES].patterns[0]
        return f"{Store(data).url} had no file with examples like {like}, and {variant.name} needs them"
    wanted = [role.patterns[0] for role in benchmark.files.values() if role.needed]
    return f"{Store(data).url} had no file like {' or none like '.join(wanted)}"


def _is_bare(files: Mapping[str, Sequence[Any]]) -> bool:
    """Tell whether a benchmark that reads examples from files of their own has none of these."""
    return EXAMPLES in files and not files[EXAMPLES]


def _by_benchmark(tasks: Iterable[str]) -> Iterator[tuple[Benchmark[Any], list[str]]]:
    keys = names.keys(tasks)
    for name in dict.fromkeys(map(names.name_of, keys)):
        yield BENCHMARKS[name], [key for key in keys if names.name_of(key) == name]
