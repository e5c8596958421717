"""The chain behind a step: every step that went into it, down to the raw files, each compared with the next.

A step's manifest names its inputs twice, by folder and by digest. A folder may hold another output by now, or
none, so what is found in it is compared with the digest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from llama_core.artifact import MANIFEST, Artifact
from llama_core.errors import InputError
from llama_core.store import Store

ATTEMPT = re.compile("/a-[0-9a-f]+$")

SAME, IMPLIED, CHANGED, GONE = "same", "implied", "changed", "gone"


@dataclass
class Link:
    """What a step was made from: one of its inputs."""

    role: str
    """What the step calls it, such as `tokens`, or the source whose documents it holds."""
    name: str
    """Its folder on the store, `<stage>/<id>`."""
    state: str
    """SAME: it has the digest that the step was made from. IMPLIED: the step names no digest, as another of
    its inputs was made from it. CHANGED: it has another digest. GONE: no step is finished there."""


@dataclass
class Node:
    """A step of the chain."""

    artifact: Artifact
    inputs: list[Link] = field(default_factory=list)
    """What it was made from, in the order of its manifest."""

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's fields that its address is made from, by dotted key."""
        return dict(_flat(self.artifact.manifest.get("address", {})))

    @property
    def outside(self) -> dict[str, str]:
        """The digests of what it was made from that is no step: raw files, benchmarks' files."""
        ours = {key for link in self.inputs for key in _keys(link.role, link.name)}
        return {k: v for k, v in self.artifact.manifest["inputs"].items() if k not in ours}

    def files(self, most: int) -> list[dict[str, Any]]:
        """Return the first raw files of an ingest step, with their counts, or nothing for other steps."""
        if self.artifact.stage != "ingest" or not most:
            return []
        known = self.artifact.manifest["inputs"]
        return [
            {"file": facts.get("url", shard), "digest": known.get(shard)}
            | {k: facts[k] for k in ("version", "license") if k in facts}
            | {"counts": counts}
            for shard, counts, facts in islice(self.artifact.rows(), most)
        ]


Chain = dict[str, Node]
"""The steps by name, `<stage>/<id>`: the one that was asked for first, each before what it was made from."""


def step_at(url: str) -> Artifact:
    """Return the step at a URL, or the one whose attempt is there. Raises InputError and DamagedError."""
    store = Store(url)
    places = [store]
    if ATTEMPT.search(store.url):
        places.append(Store(store.url.rpartition("/")[0]))
    for place in places:
        if place.exists(MANIFEST):
            return Artifact.open(place)
    raise InputError(f"no step is finished at {store.url}: give models:/NAME@ALIAS or the URL of a step")


def root_of(artifact: Artifact) -> Store:
    """Return the store that a step lies on. Raises InputError where its folder is not its own."""
    root, found, rest = artifact.url.rpartition(f"/{artifact.name}")
    if not found or rest:
        raise InputError(f"{artifact.url} is a copy of {artifact.name} elsewhere: its inputs cannot be found")
    return Store(root)


def chain(artifact: Artifact) -> Chain:
    """Return a step and all that went into it."""
    root = root_of(artifact)
    found: Chain = {}
    _walk(root, artifact, found)
    return found


def _walk(root: Store, artifact: Artifact, found: Chain) -> None:
    node = found[artifact.name] = Node(artifact)
    for role, folders in artifact.parents.items():
        for name in folders:
            other = found[name].artifact if name in found else _open(root, name)
            node.inputs.append(Link(role, name, _state(artifact, role, name, other)))
            if other and name not in found:
                _walk(root, other, found)


def _open(root: Store, name: str) -> Artifact | None:
    try:
        return Artifact.load(root, name)
    except FileNotFoundError:
        return None


def _state(child: Artifact, role: str, name: str, parent: Artifact | None) -> str:
    if parent is None:
        return GONE
    digests = child.manifest["inputs"]
    told = next((digests[key] for key in _keys(role, name) if key in digests), None)
    if told is None:
        return IMPLIED
    return SAME if parent.digest == told else CHANGED


def _keys(role: str, name: str) -> tuple[str, str]:
    """Return by which keys a manifest may give the digest of a step, the likely one first.

    Of several steps in one role, as after `Documents.digests`, all but the first have their stage in the key.
    """
    return f"{role}.{name.split('/')[0]}", role


def first(found: Chain, stage: str) -> Artifact | None:
    """Return the first step of a stage in a chain."""
    return next((node.artifact for node in found.values() if node.artifact.stage == stage), None)


def straight(found: Chain, node: Node) -> list[Link]:
    """Return the inputs of a step, less those that went into another of them too, the longest way first.

    An input that is no longer what the step was made from is always there.
    """
    ways = {link.name: reached(found, link.name) for link in node.inputs}
    links: dict[str, Link] = {}
    for link in sorted(node.inputs, key=lambda link: -len(ways[link.name])):
        around = any(link.name in ways[other] for other in ways if other != link.name)
        if link.name in links:  # it has decided about several sources
            links[link.name] = replace(links[link.name], role=link.name.split("/")[0])
        elif not around or link.state in (CHANGED, GONE):
            links[link.name] = link
    return list(links.values())


def reached(found: Chain, name: str) -> set[str]:
    """Return the names of all steps that went into one."""
    names: set[str] = set()
    ahead = [name]
    while ahead:
        node = found.get(ahead.pop())
        new = {link.name for link in node.inputs} - names if node else set()
        names |= new
        ahead += new
    return names


def unsound(found: Chain) -> list[str]:
    """Return a sentence on each input that is no longer what a step was made from."""
    said = {CHANGED: "is not what {} was made from any more", GONE: "is gone: {} was made from it"}
    return [
        f"{link.name} {said[link.state].format(name)}"
        for name, node in found.items()
        for link in node.inputs
        if link.state in said
    ]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        if path and value != {}:
            yield path, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{path}.{key}" if path else key)
