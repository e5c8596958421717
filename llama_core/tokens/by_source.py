"""The shards of each source in batches: what is gathered of all of them is read by no single worker."""

from collections.abc import Iterable

from llama_core.artifact import Shard


def batches(
    shards: Iterable[Shard], kind: str, most: int
) -> tuple[dict[str, tuple[str, list[str]]], dict[str, list[str]]]:
    """Return the batches by name, each with its name and those of its shards, and the batches of each source.

    `kind` begins their names, which have no dot: those of a source's shards have one. `most`: shards of a
    batch; another number gives other names.
    """
    names: dict[str, list[str]] = {}
    for shard in shards:
        names.setdefault(str(shard.fact("source")), []).append(shard.name)
    found: dict[str, tuple[str, list[str]]] = {}
    of_source: dict[str, list[str]] = {}
    for source, of in sorted(names.items()):
        for start in range(0, len(of), most):
            batch = f"{kind}-{most}-{len(found):05d}"
            found[batch] = (batch, of[start : start + most])
            of_source.setdefault(source, []).append(batch)
    return found, of_source
