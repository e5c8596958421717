"""A chain as a person reads it: a tree from the version down to the raw files; and as JSON."""

import json
from collections.abc import Iterator
from typing import Any

from llama_core.artifact import Artifact
from llama_core.corpus.trace import Hit, Trace, record_number
from llama_core.corpus.trace import told as document_told
from llama_core.errors import LlamaError
from llama_core.parse import shown
from llama_core.url import redact
from tasks.evaluate import table as evaluation_rows
from tasks.registry.names import Registered
from tasks.step import headline
from tasks.trace.chain import CHANGED, GONE, IMPLIED, Chain, Node, root_of, straight

WIDTH = 96  # characters of a line of settings
STATES = {
    IMPLIED: "",
    CHANGED: "  NOT WHAT IT WAS MADE FROM: its digest is another by now",
    GONE: "  GONE: no step is finished there any more",
}


def tree(found: Chain, registered: Registered | None, files: int) -> Iterator[str]:
    """Yield the lines of a chain. `files`: how many raw files of a source are listed."""
    top = next(iter(found))
    if registered:
        yield from _version(registered)
        yield "│"
        yield from _step(found, top, top, "", "└─ ", "   ", files, set())
    else:
        yield from _step(found, top, top, "", "", "", files, set())


def _version(registered: Registered) -> Iterator[str]:
    version = registered.version
    aliases = f"  ({', '.join(f'@{alias}' for alias in sorted(version.aliases))})" if version.aliases else ""
    yield f"models:/{version.name}/{version.version}{aliases}"
    for label, value in version_facts(registered).items():
        yield f"│  {label:<10} {value}"


def version_facts(registered: Registered) -> dict[str, str]:
    """Return what the registry says of a version, by label."""
    tags = registered.version.tags
    named = {"starts from": "llama.start_from", "report": "llama.report", "gate": "llama.gate"}
    facts = {"run": str(registered.version.run_id), "source": str(registered.version.source)}
    facts |= {"evaluated": _evaluated(registered)}
    return facts | {label: redact(tags[tag]) for label, tag in named.items() if tag in tags}


def _evaluated(registered: Registered) -> str:
    """Return the scores of a version, and the step that has them, if that is still there."""
    name = registered.version.tags.get("step.evaluate", "")
    try:
        evaluation = Artifact.load(root_of(registered.export), name)
    except (FileNotFoundError, LlamaError):
        return f"{name or 'by no step'}, which is gone"
    return f"{name}: {summary(evaluation)}"


def _step(
    found: Chain, name: str, role: str, state: str, first: str, rest: str, files: int, seen: set[str]
) -> Iterator[str]:
    """Yield the lines of a step and of what it was made from. `first`, `rest`: what its lines begin with."""
    label = name if role in (name, name.split("/")[0]) else f"{role}: {name}"
    if name not in found:
        yield f"{first}{label}{STATES[GONE]}"
        return
    node = found[name]
    mark = STATES.get(state, "")
    if name in seen:
        yield f"{first}{label}  (above){mark}"
        return
    seen.add(name)
    yield f"{first}{label}  {summary(node.artifact)}".rstrip() + mark
    inputs = straight(found, node)
    inside = f"{rest}{'│  ' if inputs else '   '}"
    yield f"{inside}{node.artifact.url}"
    yield f"{inside}digest {node.artifact.digest}, finished {node.artifact.manifest['finished']}"
    for line in _wrapped(node.settings):
        yield f"{inside}{line}"
    for line in _files(node, files):
        yield f"{inside}{line}"
    for number, link in enumerate(inputs, 1):
        last = number == len(inputs)
        start, further = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _step(found, link.name, link.role, link.state, rest + start, rest + further, files, seen)


def summary(artifact: Artifact) -> str:
    """Return what a step holds, in a few words."""
    if artifact.stage == "evaluate":
        return "; ".join(f"{row['what']} {row['value']}" for row in evaluation_rows(artifact))
    facts = artifact.facts
    parts = [headline(artifact)]
    if "parameters" in facts:
        parts.append(f"{facts['parameters']:,} parameters")
    if artifact.stage == "train" and isinstance(facts.get("loss"), float):
        parts.append(f"loss {facts['loss']:.3f}")
    dropped = sum(count for name, count in artifact.counts.items() if name.startswith("dropped."))
    if dropped:
        parts.append(f"{dropped:,} dropped")
    return ", ".join(filter(None, parts))


def _wrapped(settings: dict[str, Any]) -> Iterator[str]:
    """Yield settings as lines of at most WIDTH characters, if each is short enough."""
    line = ""
    for key, value in settings.items():
        part = f"{key}={json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value}"
        part = redact(part if len(part) <= WIDTH else f"{part[: WIDTH - 1]}…")
        if line and len(line) + len(part) + 2 > WIDTH:
            yield line
            line = ""
        line = f"{line}, {part}" if line else part
    if line:
        yield line


def _files(node: Node, most: int) -> Iterator[str]:
    """Yield lines on the raw files of an ingest step, and on other data from outside."""
    listed = node.files(most)
    for file in listed:
        counts = file["counts"]
        about = f"{counts.get('raw', 0):,} raw, {counts.get('documents', 0):,} documents"
        about += f", {file['license']}" if file.get("license") else ""
        digest = f"  {file['digest'][:16]}" if file["digest"] else ""
        yield f"· {shown(redact(file['file']))}  {about}{digest}"
    outside = node.outside
    if listed:
        if (more := len(outside) - len(listed)) > 0:
            yield f"· and {more:,} more files"
    elif node.artifact.stage != "ingest":
        for name, digest in outside.items():
            yield f"· {shown(name)}  {digest[:16]}"


def snippet(hits: list[tuple[Hit, list[str], Trace]]) -> Iterator[str]:
    """Yield lines on the documents that hold a snippet, and on what each filter decided about them."""
    for hit, left_out, found in hits:
        yield f"{hit.split}: {hit.around!r}"
        yield from (f"  {line}" for line in left_out)
        yield from document_told(found)
        yield ""


def as_json(
    found: Chain, registered: Registered | None, files: int, hits: list[tuple[Hit, list[str], Trace]] | None
) -> str:
    """Return a chain, and the documents that hold a snippet if one was looked for, as JSON."""
    value: dict[str, Any] = {}
    if registered:
        version = registered.version
        value["version"] = {
            "name": version.name,
            "version": int(version.version),
            "aliases": sorted(version.aliases),
            **version_facts(registered),
            "tags": {key: redact(text) for key, text in sorted(version.tags.items())},
        }
    value["steps"] = [_step_value(name, node, files) for name, node in found.items()]
    if hits is not None:
        value["documents"] = [_hit_value(*hit) for hit in hits]
    return json.dumps(value, ensure_ascii=False, indent=2)


def _step_value(name: str, node: Node, files: int) -> dict[str, Any]:
    manifest = node.artifact.manifest
    return {
        "name": name,
        "url": node.artifact.url,
        **{
            key: manifest[key]
            for key in ("stage", "revision", "digest", "finished", "counts")
            if key in manifest
        },
        "settings": node.settings,
        "inputs": [vars(link) for link in node.inputs],
        "outside": node.outside,
        "files": node.files(files),
    }


def _hit_value(hit: Hit, left_out: list[str], found: Trace) -> dict[str, Any]:
    place = found.place
    judged = [*found.judged, *found.contaminated]
    return {
        **{key: getattr(hit, key) for key in ("id", "source", "split", "url", "around")},
        "left_out": left_out,
        "raw_file": place.shard.fact("url"),
        "record": record_number(found),
        **{key: getattr(found.document, key) for key in ("license", "language", "date", "meta")},
        "decisions": [
            {
                "step": one.artifact.name,
                "keep": one.decision.keep,
                "reason": one.decision.reason,
                "evidence": one.decision.evidence,
                "cuts": len(one.decision.cuts),
            }
            for one in judged
        ],
    }
