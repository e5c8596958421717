"""The run report: one page that says what went in, what came out, and where everything is."""

import shlex
from dataclasses import replace
from typing import Any

from markdown_it import MarkdownIt

from llama_core import html
from llama_core.artifact import Artifact, digest_of
from llama_core.corpus.report.balance import StageBalance, in_words, named, stage_balance
from llama_core.evaluate import SAMPLING
from llama_core.evaluate.tables.figures import loss, scores
from llama_core.evaluate.tables.formats import STYLE
from llama_core.evaluate.tables.ours import Ours, merged, ours
from llama_core.evaluate.tables.report import with_ours, without_ours
from llama_core.markdown import code, code_block, escape, table
from llama_core.phases import one_phase
from llama_core.recipes.training import StartFrom
from llama_core.step import Step
from llama_core.tokens.order import n_windows
from llama_core.tokens.shards import BESIDE
from llama_core.train.metrics.goodput import Goodput, goodput
from llama_core.train.metrics.names import LOSS, NO_UPDATE, VALIDATION
from llama_core.train.metrics.record import records
from llama_core.train.profile import folder_of
from tasks.decontaminate import not_run, summary
from tasks.evaluate import table as evaluation_rows
from tasks.evaluation.during import rows
from tasks.observe import clock, say, show_link, show_markdown
from tasks.register import Version
from tasks.registry.details import link_report
from tasks.run import Run
from tasks.step import make, stage
from tasks.tokenizer import bytes_per_token

REVISION = 5
POINTS = 1000  # of the training's curves
MOST_ROWS = 20  # rows of a table of the training
INTERRUPTED = ("before step", "cost", "cause")
ADDRESSES = ("dropped", "kept", "document")  # columns of examples that hold the URL or id of a document


@stage("report")
def report(run: Run, made: dict[str, Artifact], version: Version) -> str:
    """Publish the report, show the end of the run, and return the URL of the page."""
    identity = {"model": version.model, "version": version.version}
    step = Step(run.store, "report", REVISION, identity, made)
    model = ours(version.model, made["evaluate"], made["train"], run.recipe.launch.device_watts)
    model = merged([model, *(ours(version.model, earlier, None) for earlier in checkpoints(made))])
    text = markdown(run, made, version, metrics(made["train"]), model)

    def write(name: str) -> None:
        with step.shard(name) as shard:
            shard.digest = digest_of(step.digests)  # the page also tells how fast it was, and where it is
            shard.publish_bytes("report.md", text.encode())
            shard.publish_bytes("report.html", page(version, text, model).encode())

    artifact = make(run, step, one_phase({"report": "report"}, write))
    url = artifact.store.url_of(artifact.shard("report").object(".html").name)
    show_markdown("report", text, f"report of {version.model}, version {version.version}")
    show_link("report-page", url, "the report as a page")
    link_report(version.model, version.version, version.run_id, url)
    say(closing(run, made, version, url))
    return url


def metrics(trained: Artifact) -> list[dict[str, Any]]:
    """Return the training's own record: of its first and last step, validations, steps without an update,
    and POINTS others.
    """
    steps = trained.counts["steps"]
    every = max(1, steps // POINTS)
    chosen: list[dict[str, Any]] = []
    for record in records(trained):
        at_an_end = not chosen or record["step"] == steps
        told = record.get("skipped") or any(map(_is_validation, record))
        if at_an_end or told or record["step"] % every == 0:
            chosen.append(record)
    return chosen


def conservation(made: dict[str, Artifact], seq_len: int) -> list[dict[str, Any]]:
    """Return a row for each stage: what went in and what came out.

    It holds if what went in is what the stage before passed on, and the sum of what came out.
    """
    rows = []
    passed_on: dict[str, int] = {}  # documents, by source as long as every source has stages of its own
    for name, artifact in made.items():
        stage, _, source = name.partition(".")
        if stage == "tokens":
            rows.append(_tokens_row(artifact, seq_len, sum(passed_on.values())))
        elif balance := stage_balance(stage, artifact.counts):
            expected = passed_on.get(source) if source else sum(passed_on.values())
            rows.append(_balance_row(name, replace(balance, expected=expected)))
            passed_on = (passed_on if source else {}) | {source: balance.passed_on}
    return rows


def _balance_row(name: str, b: StageBalance) -> dict[str, Any]:
    kept = {b.unit: b.out, "held out": b.held_out} if b.held_out else {b.unit: b.out}
    return _row(name, b.unit, b.into, kept | b.lost, b.holds)


def _tokens_row(artifact: Artifact, seq_len: int, passed_on: int) -> dict[str, Any]:
    counts = artifact.counts
    # As many ids as the files hold, not as the shards say that they wrote.
    shards = [s for s in artifact.shards if s.name not in BESIDE]
    sizes = [s.object(".bin").size // (2 if s.facts["dtype"] == "uint16" else 4) for s in shards]
    windows = sum(n_windows(size, seq_len) for size in sizes)
    tails = sum(sizes) - windows * seq_len
    holds = counts["documents"] == passed_on and counts["tokens"] == sum(sizes)
    parts = {f"in {windows:,} windows of {seq_len}": windows * seq_len, "tails": tails}
    return _row("tokens", "tokens", counts["tokens"], parts, holds)


def markdown(
    run: Run, made: dict[str, Artifact], version: Version, curve: list[dict[str, Any]], model: Ours
) -> str:
    """Return the report as Markdown. `curve`: what `metrics` returns; `model`: what the tables show of it."""
    recipe, trained = run.recipe, made["train"]
    size = recipe.model.n_params(recipe.tokenizer.vocab_size)
    parts = [
        f"# {escape(title(version))}",
        f"Recipe {code(recipe.name)}: {size / 1e6:,.1f} M parameters, {recipe.train.tokens:,} tokens. "
        f"Registered as {code(f'models:/{version.model}@{version.alias}')}.",
        "## What went in",
        _table(_sources(made)),
        f"[The corpus page]({_link(made['corpus_page'])}) shows each source through each filter.",
        "## Nothing is lost",
        "What goes into a stage is what the stage before it passed on, and the sum of what comes out.",
        _table(conservation(made, recipe.train.seq_len)),
        "## Duplicates",
        _found(made["dedup"]),
        "## Decontamination",
        _decontamination(run, made.get("decontaminate")),
        "## Tokenizer",
        _tokenizer(made["tokenizer"].shard("tokenizer").facts),
        "## Training",
        *_training(curve, goodput(records(trained))),
        *_validations(validations(curve)),
        *_profiles(run, trained),
        *_start(recipe.train.start_from),
        "## Evaluation",
        _table(evaluation_rows(made["evaluate"])),
        *_on_the_way(checkpoints(made)),
        "The paper's tables (Touvron et al. 2023) with this model in them, where it has a value:",
        with_ours([model]),
        *_samples(made["evaluate"].facts.get("samples", [])),
        "## Where everything is",
        _table([{"stage": n, "address": code(a.url)} for n, a in made.items()]),
        f"Weights, as transformers and MLflow load them: {code(version.source)}. "
        f"MLflow run: {code(version.run_id)}.",
        f"Checkpoint digest: {code(trained.digest)}.",
        "## What it was made from",
        *(
            f"**{escape(n)}**: {escape(', '.join(_contents(a)))}"
            for n, a in made.items()
            if a.stage == "ingest"
        ),
    ]
    return "\n\n".join(parts) + "\n"


def checkpoints(made: dict[str, Artifact]) -> list[Artifact]:
    """Return the evaluations of earlier checkpoints of the training, in their order."""
    return [artifact for name, artifact in made.items() if name.startswith("evaluate.")]


def _on_the_way(evaluations: list[Artifact]) -> list[str]:
    return ["Checkpoints on the way:", _table(rows(evaluations))] if evaluations else []


def title(version: Version) -> str:
    """Return the report's title as plain text."""
    return f"{version.model}, version {version.version}"


def page(version: Version, text: str, model: Ours) -> str:
    """Return the report, of which `text` is the Markdown, as one HTML file.

    It also has the loss curve, that of the scores if checkpoints were evaluated on the way, and the paper's
    tables in which there is no value of ours.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    folded = without_ours([model])
    drawn = (loss([model]) or "") + ((len(model.results) > 1 and scores([model])) or "")
    body = body.replace("<h2>Evaluation</h2>", f"{drawn}<h2>Evaluation</h2>")
    body = body.replace("<h2>Samples</h2>", f"{folded}<h2>Samples</h2>")
    return html.page(title(version), body, STYLE)


def validations(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each validation: the bits per byte of held-out text, by source.

    Of many, MOST_ROWS are shown, from the first to the last.
    """
    found = [record for record in curve if any(map(_is_validation, record))]
    if len(found) > MOST_ROWS:
        found = [found[i * (len(found) - 1) // (MOST_ROWS - 1)] for i in range(MOST_ROWS)]
    return [
        {"step": f"{record['step']:,}", "tokens": f"{record['tokens']:,}"}
        | {
            f"held-out {k.removeprefix(VALIDATION)}": f"{v:.3f}"
            for k, v in record.items()
            if _is_validation(k)
        }
        for record in found
    ]


def _validations(rows: list[dict[str, Any]]) -> list[str]:
    return ["Bits per byte of held-out text on the way:", _table(rows)] if rows else []


def _is_validation(name: str) -> bool:
    return name.startswith(VALIDATION)


def _training(curve: list[dict[str, Any]], time: Goodput) -> list[str]:
    """Return how the training went: its figures, its interruptions, and its steps without an update."""
    if not curve:
        return ["The model was not trained here: it was imported."]
    skipped = [record for record in curve if record.get("skipped")]
    updates = [record for record in curve if not record.get("skipped")]
    first, last = updates[0], updates[-1]
    said = f"{last['step']:,} steps, loss {first['loss']:.3f} to {last['loss']:.3f}"
    by_source = [f"{k.removeprefix(LOSS)} {v:.3f}" for k, v in last.items() if k.startswith(LOSS)]
    if by_source:
        said += f" ({escape(', '.join(by_source))} in the last batch)"
    said += f", {_median(curve, 'tokens_per_s'):,.0f} tokens/s"
    if last.get("mfu") is not None:
        said += f", MFU {_median(curve, 'mfu'):.1%} (PaLM), {_median(curve, 'mfu_causal'):.1%} (causal once)"
    spent = f"Goodput {time.share:.1%}: the steps that count took so much of {clock(time.wall)}"
    if pause := max(time.pauses, key=lambda pause: pause.seconds, default=None):
        spent += f"; the longest pause was before step {pause.step:,}, {clock(pause.seconds)}"
    parts = [f"{said} (median).", f"{spent}."]
    if lost := time.interruptions:
        cost = f"{clock(time.lost)}, the steps that were lost included"
        parts.append(f"Interruptions: {len(lost):,}, which cost {cost}.")
        parts.append(_some([(f"{p.step:,}", clock(p.seconds), p.cause) for p in lost], *INTERRUPTED))
    if skipped:
        why = "see `train.spike_norm` and `train.spike_loss`"
        parts.append(f"Steps without an update: {len(skipped):,} ({why}).")
        parts.append(_some([(f"{r['step']:,}", str(r.get(NO_UPDATE))) for r in skipped], "step", "why"))
    return parts


def _some(rows: list[tuple[str, ...]], *columns: str) -> str:
    """Return a table, of many rows the last MOST_ROWS."""
    earlier = f"\n\nThese are the last {MOST_ROWS}." if len(rows) > MOST_ROWS else ""
    return table(columns, rows[-MOST_ROWS:]) + earlier


def _profiles(run: Run, trained: Artifact) -> list[str]:
    folder = folder_of(run.store, trained.name)
    return [f"Profiles of some steps: {code(folder.url)}."] if folder.list() else []


def closing(run: Run, made: dict[str, Artifact], version: Version, url: str) -> str:
    """Return the last screenful: what was made, where it is, a sample, and what to type next."""
    corpus, trained = made["corpus"].counts, made["train"]
    loss = trained.facts.get("loss")
    lines = [
        "",
        f"{version.model} version {version.version} is registered: models:/{version.model}@{version.alias}",
        "",
        f"  corpus     {corpus.get('documents.train', 0):,} documents, "
        f"{corpus.get('bytes.train', 0) / 1e6:.1f} MB, and {corpus.get('documents.heldout', 0):,} held out",
        f"  model      {trained.facts['parameters'] / 1e6:.1f} M parameters, "
        + (f"{trained.facts['tokens']:,} tokens, loss {loss:.3f}" if loss is not None else "imported"),
    ]
    for row in evaluation_rows(made["evaluate"]):
        lines.append(f"  {row['what']:<22} {row['value']}  {row['note']}")
    lines += [f"  weights    {made['export'].url}", f"  report     {url}"]
    for sample in made["evaluate"].facts.get("samples", [])[:1]:
        shown = [x for x in (sample["prompt"] + sample["text"]).splitlines() if x.strip()][:6]
        lines += ["", "  a sample:", *(f"    {x[:100]}" for x in shown)]
    uri = shlex.quote(f"models:/{version.model}@{version.alias}")
    lines += [
        "",
        "Next:",
        f"  talk to it        .venv/bin/python -m llama_core.generate {uri}",
        "  in the browser    make chat",
        f"  what it is from   .venv/bin/python -m tasks.trace {uri}   (--snippet TEXT: its documents)",
        "  browse it         make stack   (both UIs)",
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
                    "no content": in_words(_reasons(c, "non_content")),
                    "dropped": in_words(_reasons(c, "dropped")),
                    "quarantined": in_words(_reasons(c, "quarantined")),
                }
            )
    return rows


def _contents(artifact: Artifact) -> list[str]:
    """Return the packages with their versions, or the files, that a source was read from."""
    facts = [s.facts for s in artifact.shards]
    return [f"{f['group']} {f['version']} ({f['license']})" if "version" in f else f["url"] for f in facts]


def _found(artifact: Artifact) -> str:
    """Return what a stage has dropped, with examples."""
    dropped = in_words(_reasons(artifact.counts, "dropped")) or "none"
    examples = [
        {name: code(value) if name in ADDRESSES else value for name, value in example.items()}
        for example in artifact.facts["examples"]
    ]
    return f"Dropped: {escape(dropped)}." + (f"\n\n{_table(examples)}" if examples else "")


def _decontamination(run: Run, decontaminated: Artifact | None) -> str:
    if decontaminated is None:
        return f"Not run: {escape(not_run(run))}."
    return f"{escape(summary(decontaminated))}.\n\n{_found(decontaminated)}"


def _samples(samples: list[dict[str, str]]) -> list[str]:
    how = "temperature {temperature}, top-p {top_p} and seed {seed}".format(**SAMPLING)
    shown = [f"{code(sample['prompt'])}\n\n{code_block(sample['text'])}" for sample in samples]
    return ["## Samples", f"Each continues its prompt, drawn with {how}.", *shown]


def _start(start: StartFrom | None) -> list[str]:
    """Return a sentence on the checkpoint that the training starts from, if it does."""
    if start is None:
        return []
    moments = "with" if start.optimizer else "without"
    count = "begin anew" if start.anew else "go on from there"
    return [
        f"It starts from {code(start.checkpoint)}, {moments} the moments of its optimizer; the steps and the "
        f"order of the data {count}."
    ]


def _tokenizer(facts: dict[str, Any]) -> str:
    """Return bytes per token by source and language, how text is split, and the same of other tokenizers."""
    others = facts.get("compared_with", {})
    found = facts["segmentation"]
    parts = [
        _table(bytes_per_token(facts)),
        f"Of {found['tokens']:,} tokens, {found['spaces_taken']:,} take a space from the word behind it and "
        f"{found['digits_joined']:,} join digits: the released tokenizer does neither.",
    ]
    for name, other in others.items():
        probes = "; ".join(
            f"{code(repr(text))} {code(' '.join(pieces))}" for text, pieces in other["probes"].items()
        )
        common = f"{escape(name)} has {other['pieces_in_common']:.0%} of the pieces"
        parts.append(f"{common}; it splits otherwise: {probes or 'none'}.")
    return "\n\n".join(parts)


def _link(page: Artifact) -> str:
    """Return the link to the corpus page from the report, which is three folders below the same store."""
    return f"../../../{page.name}/{page.shard('page').object('.html').name}"


def _reasons(counts: dict[str, int], kind: str) -> dict[str, int]:
    """Return the counts of a kind, such as `dropped`, by reason."""
    start = f"{kind}."
    return {k.removeprefix(start): v for k, v in counts.items() if k.startswith(start)}


def _row(stage: str, unit: str, into: int, parts: dict[str, int], holds: bool) -> dict[str, Any]:
    out = " + ".join(f"{v:,} {named(k)}" for k, v in parts.items())
    return {"stage": stage, "unit": unit, "in": f"{into:,}", "out": out, "holds": "yes" if holds else "NO"}


def _median(curve: list[dict[str, Any]], name: str) -> float:
    values = sorted(record[name] for record in curve)
    return values[len(values) // 2]


def _table(rows: list[dict[str, Any]]) -> str:
    return table(list(rows[0]), [row.values() for row in rows]) if rows else "None."
