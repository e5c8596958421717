"""The run report: one page that says what went in, what came out, and where everything lies."""

import html
import json
from dataclasses import replace
from typing import Any

from markdown_it import MarkdownIt

from llama_core.corpus.report.passages import StageBalance, named, passage
from llama_core.phases import one_phase
from llama_core.step import Artifact, Step, digest_of
from llama_core.tokens.order import n_windows
from tasks.decontaminate import not_run, summary
from tasks.evaluate import table as evaluation_rows
from tasks.observe import say, show_link, show_markdown
from tasks.register import Version
from tasks.run import Run
from tasks.step import make, stage
from tasks.tokenizer import bytes_per_token

REVISION = 2
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px }
th, td { border-bottom: 1px solid #d8dee4; padding: .3rem .8rem; text-align: left; vertical-align: top }
th { background: #f6f8fa } code, pre { background: #f6f8fa; font-size: 13px }
pre { padding: .8rem; overflow-x: auto; white-space: pre-wrap }
"""


@stage("report")
def report(run: Run, made: dict[str, Artifact], version: Version) -> str:
    """Publish the report and show the end of the run; the URL of the page."""
    identity = {"model": version.model, "version": version.version}
    step = Step(run.store, "report", REVISION, identity, made)
    records = metrics(made["train"])
    text = markdown(run, made, version, records)

    def write(name: str) -> None:
        with step.shard(name) as shard:
            shard.digest = digest_of(step.digests)  # the page also tells how fast it was, and where it lies
            shard.publish_bytes("report.md", text.encode())
            shard.publish_bytes("report.html", page(text, records).encode())

    artifact = make(run, step, one_phase({"report": "report"}, write))
    url = artifact.store.url_of(artifact.shard("report").object(".html").name)
    show_markdown("report", text, f"report of {version.model}, version {version.version}")
    show_link("report-page", url, "the report as a page")
    say(closing(run, made, version, url))
    return url


def metrics(trained: Artifact) -> list[dict[str, Any]]:
    """The training's own record, one entry a step."""
    data = trained.read(trained.shard("metrics").object("metrics.jsonl"))
    return [json.loads(line) for line in data.splitlines()]


def conservation(made: dict[str, Artifact], seq_len: int) -> list[dict[str, Any]]:
    """For every stage: what went in, that it is what the stage before has handed on, and that it is the sum
    of what came out."""
    rows = []
    handed: dict[str, int] = {}  # documents, by source while each goes its own way
    for name, artifact in made.items():
        stage, _, source = name.partition(".")
        if stage == "tokens":
            rows.append(_tokens_row(artifact, seq_len, sum(handed.values())))
        elif passed := passage(stage, artifact.counts):
            came = handed.get(source) if source else sum(handed.values())
            passed = replace(passed, came=came)
            handed = handed | {source: passed.handed} if source else {"": passed.handed}
            rows.append(_passage_row(name, passed))
    return rows


def _beside(page: Artifact) -> str:
    """The corpus page as the report, three folders below the store, links to it, wherever the store lies."""
    return f"../../../{page.name}/{page.shard('page').object('.html').name}"


def _passage_row(name: str, p: StageBalance) -> dict[str, Any]:
    kept = {p.unit: p.out, "held out": p.aside} if p.aside else {p.unit: p.out}
    return _row(name, p.unit, p.into, kept | p.lost, p.holds)


def _tokens_row(artifact: Artifact, seq_len: int, handed: int) -> dict[str, Any]:
    counts = artifact.counts
    sizes = [shard.counts["tokens"] for shard in artifact.shards]
    windows = sum(n_windows(size, seq_len) for size in sizes)
    tails = sum(sizes) - windows * seq_len
    holds = counts["documents"] == handed and counts["tokens"] == windows * seq_len + tails
    parts = {f"in {windows:,} windows of {seq_len}": windows * seq_len, "tails": tails}
    return _row("tokens", "tokens", counts["tokens"], parts, holds)


def markdown(run: Run, made: dict[str, Artifact], version: Version, records: list[dict[str, Any]]) -> str:
    """The report as Markdown."""
    recipe, trained = run.recipe, made["train"]
    size = recipe.model.n_params(recipe.tokenizer.vocab_size)
    parts = [
        f"# {version.model}, version {version.version}",
        f"Recipe `{recipe.name}`: {size / 1e6:,.1f} M parameters, {recipe.train.tokens:,} tokens. "
        f"Registered as `models:/{version.model}@{version.alias}`.",
        "## What went in",
        _table(
            _sources(made),
            ("source", "records", "documents", "megabytes", "no content", "dropped", "quarantined"),
        ),
        f"[The corpus page]({_beside(made['corpus_page'])}) shows each source through each filter.",
        "## Nothing is lost",
        "What goes into a stage is what the one before has handed on, and the sum of what comes out of it.",
        _table(conservation(made, recipe.train.seq_len), ("stage", "unit", "in", "out", "holds")),
        "## Duplicates",
        _found(made["dedup"]),
        "## Decontamination",
        _decontamination(run, made.get("decontaminate")),
        "## Tokenizer",
        _tokenizer(made["tokenizer"].shard("tokenizer").facts),
        "## Training",
        f"{len(records):,} steps, loss {records[0]['loss']:.3f} to {records[-1]['loss']:.3f}, "
        f"{_median_rate(records):,.0f} tokens/s (median).",
        "## Evaluation",
        _table(evaluation_rows(made["evaluate"]), ("what", "value", "note")),
        "## Samples",
        *(f"`{s['prompt']}`\n\n```text\n{s['text']}\n```" for s in made["evaluate"].facts.get("samples", [])),
        "## Where everything lies",
        _table([{"stage": n, "address": f"`{a.url}`"} for n, a in made.items()], ("stage", "address")),
        f"Weights: `{version.source}`. MLflow run: `{version.run_id}`.",
        f"Checkpoint digest: `{trained.digest}`.",
        "## What it was made from",
        *(f"**{n}**: {', '.join(_contents(a))}" for n, a in made.items() if a.stage == "ingest"),
    ]
    return "\n\n".join(parts) + "\n"


def page(text: str, records: list[dict[str, Any]]) -> str:
    """The report as one HTML file, with the loss curve drawn in it."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = body.replace("<h2>Evaluation</h2>", f"{curve(records)}<h2>Evaluation</h2>")
    title = html.escape(text.splitlines()[0].removeprefix("# "))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>{STYLE}</style><body>{body}</body></html>\n"
    )


def curve(records: list[dict[str, Any]], width: int = 800, height: int = 260) -> str:
    """The loss over tokens as an SVG picture."""
    losses = [r["loss"] for r in records]
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0
    left, bottom = 50, height - 30
    last = max(1, len(records) - 1)
    points = " ".join(
        f"{left + (width - left - 10) * i / last:.1f},{10 + (bottom - 10) * (high - loss) / span:.1f}"
        for i, loss in enumerate(losses)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="training loss" width="100%">'
        f'<line x1="{left}" y1="10" x2="{left}" y2="{bottom}" stroke="#888"/>'
        f'<line x1="{left}" y1="{bottom}" x2="{width - 10}" y2="{bottom}" stroke="#888"/>'
        f'<text x="4" y="18" font-size="12">{high:.2f}</text>'
        f'<text x="4" y="{bottom}" font-size="12">{low:.2f}</text>'
        f'<text x="{left}" y="{height - 10}" font-size="12">0</text>'
        f'<text x="{width - 10}" y="{height - 10}" font-size="12" text-anchor="end">'
        f"{records[-1]['tokens']:,} tokens</text>"
        f'<polyline fill="none" stroke="#0969da" stroke-width="1.5" points="{points}"/></svg>'
    )


def closing(run: Run, made: dict[str, Artifact], version: Version, url: str) -> str:
    """The last screenful: what was made, where it lies, a sample, and what to type next."""
    corpus, trained = made["corpus"].counts, made["train"]
    lines = [
        "",
        f"{version.model} version {version.version} is registered: models:/{version.model}@{version.alias}",
        "",
        f"  corpus     {corpus.get('documents.train', 0):,} documents, "
        f"{corpus.get('bytes.train', 0) / 1e6:.1f} MB, and {corpus.get('documents.heldout', 0):,} held out",
        f"  model      {trained.facts['parameters'] / 1e6:.1f} M parameters, "
        f"{trained.facts['tokens']:,} tokens, loss {trained.facts['loss']:.3f}",
    ]
    for row in evaluation_rows(made["evaluate"]):
        lines.append(f"  {row['what']:<22} {row['value']}  {row['note']}")
    lines += [f"  weights    {version.source}", f"  report     {url}"]
    for sample in made["evaluate"].facts.get("samples", [])[:1]:
        shown = [x for x in (sample["prompt"] + sample["text"]).splitlines() if x.strip()][:6]
        lines += ["", "  a sample:", *(f"    {x[:100]}" for x in shown)]
    lines += [
        "",
        "Next:",
        f"  talk to it        .venv/bin/python -m llama_core.generate {version.source}",
        "  open the UIs      make stack",
        "  run it on S3      make pretrain STORE=s3://bucket/prefix   (with AWS_ENDPOINT_URL and keys set)",
    ]
    return "\n".join(lines)


def _sources(made: dict[str, Artifact]) -> list[dict[str, Any]]:
    rows = []
    for name, artifact in made.items():
        if artifact.stage == "ingest":
            c = artifact.counts
            rows.append(
                {
                    "source": name.removeprefix("ingest."),
                    "records": f"{c['raw']:,}",
                    "documents": f"{c['documents']:,}",
                    "megabytes": f"{c['bytes'] / 1e6:.2f}",
                    "no content": _list(_parts(c, ("non_content.",))),
                    "dropped": _list(_parts(c, ("dropped.",))),
                    "quarantined": _list(_parts(c, ("quarantined.",))),
                }
            )
    return rows


def _contents(artifact: Artifact) -> list[str]:
    """The packages with their versions, or the files, that a source was read from."""
    facts = [s.facts for s in artifact.shards]
    return [f"{f['group']} {f['version']} ({f['license']})" if "version" in f else f["url"] for f in facts]


def _found(artifact: Artifact) -> str:
    """What a stage has dropped, with examples."""
    dropped = _list(_parts(artifact.counts, ("dropped.",))) or "none"
    examples = artifact.facts["examples"]
    columns = tuple(examples[0]) if examples else ()
    return f"Dropped: {dropped}." + (f"\n\n{_table(examples, columns)}" if examples else "")


def _decontamination(run: Run, decontaminated: Artifact | None) -> str:
    if decontaminated is None:
        return f"Not run: {not_run(run)}."
    return f"{summary(decontaminated)}.\n\n{_found(decontaminated)}"


def _tokenizer(facts: dict[str, Any]) -> str:
    """Bytes per token by source and language, of another tokenizer beside, and what the segmentation says."""
    others = facts.get("compared_with", {})
    found = facts["segmentation"]
    parts = [
        _table(bytes_per_token(facts), ("source", "language", "bytes per token", *others)),
        f"Of {found['tokens']:,} tokens, {found['spaces_taken']:,} take a space from the word behind it and "
        f"{found['digits_joined']:,} join digits: the released tokenizer does neither.",
    ]
    for name, other in others.items():
        probes = "; ".join(f"`{text!r}` {' '.join(pieces)}" for text, pieces in other["probes"].items())
        common = f"{name} has {other['pieces_in_common']:.0%} of the pieces"
        parts.append(f"{common}; it splits otherwise: {probes or 'none'}.")
    return "\n\n".join(parts)


def _parts(counts: dict[str, int], starts: tuple[str, ...]) -> dict[str, int]:
    return {k: v for k, v in counts.items() if k.startswith(starts)}


def _list(parts: dict[str, int]) -> str:
    return ", ".join(f"{named(k.split('.', 1)[-1])} {v:,}" for k, v in parts.items())


def _row(stage: str, unit: str, into: int, parts: dict[str, int], holds: bool) -> dict[str, Any]:
    out = " + ".join(f"{v:,} {named(k)}" for k, v in parts.items())
    return {"stage": stage, "unit": unit, "in": f"{into:,}", "out": out, "holds": "yes" if holds else "NO"}


def _median_rate(records: list[dict[str, Any]]) -> float:
    rates = sorted(r["tokens_per_s"] for r in records)
    return rates[len(rates) // 2]


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    if not rows:
        return "None."
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(c, "")) for c in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
