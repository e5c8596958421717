"""The model card: what MLflow shows as the description of a version, and of a registered model."""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_core.artifact import Artifact
from llama_core.corpus.report.card import decontamination
from llama_core.corpus.training_text import TrainingText
from llama_core.evaluate.names import in_order
from llama_core.markdown import code, escape, table
from llama_core.train.metrics.energy import PUE, tonnes
from llama_core.train.metrics.goodput import seconds_of
from llama_core.train.metrics.record import records
from llama_core.url import redact
from tasks.evaluate import table as evaluation_rows
from tasks.lineage import Lineage
from tasks.observe import clock
from tasks.run import Run

LONGEST = 5000  # characters that MLflow's table has for a description
ROOM = 1200  # characters of it that are left for what comes later: the gate's verdict, the report's address
HEADLINE = 8  # benchmarks in the first line of a card at most
SCORES = 16  # lines of the table of scores at most
LICENSES = 4  # that are named of a source at most
SPACE = "&nbsp;&nbsp; "  # what MLflow's page does not take off the end of a cell
NAME = 40  # characters of a licence, which a page may give itself
BASE = (
    "**A base model**: it continues text. It has not been taught to answer, to follow instructions or to "
    "refuse, it states what is false as fluently as what is true, and it repeats what its training text "
    "holds, names and prejudices too. Look at its output before anybody relies on it."
)


@dataclass
class SourceText:
    """What a source has given to the training."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    licenses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Training:
    """What the record of a training tells in short."""

    first_loss: float | None
    """The loss of the first step."""
    seconds: float
    """The time of all steps together, without what saving and validating took."""
    joules: float | None
    """The energy that all devices took, or None where they tell none."""


@dataclass(frozen=True)
class Place:
    """Where something is that a card names: a link or an address."""

    what: str
    address: str

    def shown(self) -> str:
        """Return it as Markdown: a link where a browser can follow it from MLflow's page."""
        if self.address.startswith(("http://", "https://", "#/")):
            return f"[{escape(self.what)}]({redact(self.address)})"
        return f"{escape(self.what)}: {code(redact(self.address))}"


def texts(made: Lineage) -> dict[str, SourceText]:
    """Return what each source has given, as corpus and tokens count it, by name."""
    found: dict[str, SourceText] = defaultdict(SourceText)
    if corpus := made.get("corpus"):
        for _, counts, facts in corpus.rows():
            text = found[str(facts.get("source"))]
            text.documents += counts.get("documents.train", 0)
            text.bytes += counts.get("bytes.train", 0)
            text.licenses.update(facts.get("licenses", {}))
    if tokens := made.get("tokens"):
        for _, counts, facts in tokens.rows():
            if "source" in facts:  # the sums of the histograms have none
                found[facts["source"]].tokens += counts.get("tokens", 0)
    return dict(found)


def training(trained: Artifact) -> Training:
    """Return what the record of a training tells in short."""
    first: float | None = None
    seconds = joules = 0.0
    knows = False
    for record in records(trained):
        first = record["loss"] if first is None else first
        seconds += seconds_of(record)
        if record.get("joules") is not None:
            joules, knows = joules + record["joules"], True
    return Training(first, seconds, joules if knows else None)


def headline(run: Run, made: Lineage) -> str:
    """Return the first line of a card, in plain text: a table of versions shows no more."""
    parts = [f"{_size(run) / 1e6:,.1f} M parameters, {_tokens(made['train'], run):,} tokens"]
    held_out = made["evaluate"].facts["heldout"]
    if held_out:
        bits = ", ".join(f"{source} {result['bits_per_byte']:.3f}" for source, result in held_out.items())
        parts.append(f"held-out bits per byte: {bits}")
    tasks = made["evaluate"].facts["tasks"]
    done = [key for key in in_order(tasks) if tasks[key].get("score") is not None]
    parts += [f"{key} {100 * tasks[key]['score']:.1f}" for key in done[:HEADLINE]]
    parts += [f"and {len(done) - HEADLINE} more benchmarks"] if len(done) > HEADLINE else []
    return "; ".join(parts)


def version_card(
    run: Run, made: Lineage, found: dict[str, SourceText], uri: str, places: Sequence[Place]
) -> str:
    """Return the card of a version in Markdown, in at most LONGEST characters.

    `made`: the artifacts that went into it, by name, with `evaluate` and `export`. `found`: what `texts`
    returns of them. `uri`: the version's name in the registry. `places`: what it links to.
    """
    if run.recipe.train.imported:
        found = {}  # the run's own text is not what the model was trained on
    head = [f"{escape(headline(run, made))}.", BASE, "## Model", _model(run, made["train"])]
    rest = [
        "## Evaluation",
        _evaluation(made["evaluate"]),
        "## How to load it",
        how_to_load(uri),
        "## Where it came from",
        f"{trace_it(uri)} walks back to checkpoint, tokens, corpus and raw files, and with "
        "`--snippet TEXT` to the documents that hold a text.",
        " · ".join(place.shown() for place in places),
    ]
    for most in (LICENSES, 1, 0):  # as many as there is room for
        data = ["## Data", _data(run, found), _decontamination(run, made), _licenses(found, most)]
        whole = "\n\n".join(filter(None, [*head, *(data if found else []), *rest]))
        if len(whole) <= LONGEST - ROOM:
            return whole
    return f"{whole[: LONGEST - ROOM - 2]} …"


def model_card(name: str, recipe: str, alias: str) -> str:
    """Return the card of a registered model in Markdown."""
    uri = f"models:/{name}@{alias}"
    return "\n\n".join(
        [
            f"LLaMA (Touvron et al. 2023), pretrained from raw text by the recipe {code(recipe)}. Each "
            "version is one training with its scores: its page tells data, evaluation, energy and origin.",
            BASE,
            f"`@{alias}` is the version that was registered last; `@champion` the best one so far, as it "
            "says there.",
            how_to_load(uri),
            f"{trace_it(uri)} leads back to the documents it was made from.",
        ]
    )


def trace_it(uri: str) -> str:
    """Return the command that shows where a model came from."""
    return code(f"python -m tasks.trace {shlex.quote(uri)}")


def how_to_load(uri: str) -> str:
    """Return three ways to load a model, as blocks of code."""
    text = json.dumps(uri, ensure_ascii=False)  # as Python reads it too
    return "\n\n".join(
        [
            "With MLflow:",
            "```python\nimport mlflow\n"
            f"model = mlflow.pyfunc.load_model({text})\n"
            'print(model.predict(["def main():"], {"max_new_tokens": 32}))\n```',
            "With transformers:",
            "```python\nimport mlflow\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
            f"folder = mlflow.artifacts.download_artifacts({text})\n"
            "model = AutoModelForCausalLM.from_pretrained(folder)\n"
            "tokenizer = AutoTokenizer.from_pretrained(folder)\n```",
            "In a terminal, with this project:",
            f"```sh\npython -m llama_core.generate {shlex.quote(uri)} --prompt 'def main():'\n```",
        ]
    )


def _model(run: Run, trained: Artifact) -> str:
    recipe, told = run.recipe, training(trained)
    model, train = recipe.model, recipe.train
    rows = [
        ("recipe", recipe.name),
        ("parameters", f"{_size(run):,}"),
        (
            "shape",
            f"{model.n_layers} layers, dim {model.dim:,}, {model.n_heads} heads, "
            f"feed-forward {model.ffn_dim:,}, vocabulary {recipe.tokenizer.vocab_size:,}, "
            f"context {train.seq_len:,}",
        ),
        (
            "training",
            f"{_tokens(trained, run):,} tokens in {trained.counts.get('steps', train.steps):,} steps, "
            f"peak rate {train.lr:g}" + (f", {clock(told.seconds)} in steps" if told.seconds else ""),
        ),
        ("loss", _loss(told, trained)),
        ("energy", _energy(told)),
    ]
    imported = trained.manifest["identity"].get("imported")
    if isinstance(imported, dict):
        rows = [row for row in rows if row[0] != "training"]
        rows.append(("imported from", redact(str(imported.get("url")))))
    if train.start_from:
        rows.append(("starts from", redact(train.start_from.checkpoint)))
    return cells(("", ""), [row for row in rows if row[1]])


def _loss(told: Training, trained: Artifact) -> str:
    last = trained.facts.get("loss")
    if not isinstance(last, float):
        return ""
    return f"{last:.3f}" if told.first_loss is None else f"{told.first_loss:.3f} to {last:.3f}"


def _energy(told: Training) -> str:
    """Return the energy of a training, and what the paper would make of it."""
    if told.joules is None:
        return "not measured: the devices tell none" if told.first_loss is not None else ""
    kwh = told.joules / 3.6e6
    carbon = 1000 * tonnes(kwh * PUE / 1000)
    return f"{kwh:,.4g} kWh by the devices' own counters, {carbon:,.4g} kg CO2 eq. by the paper's factors"


def _data(run: Run, found: dict[str, SourceText]) -> str:
    rows = []
    for source, share in sorted(run.recipe.mixture.items(), key=lambda item: -item[1]):
        text = found.get(source, SourceText())
        seen = share * run.recipe.train.tokens
        kind = run.recipe.corpus.sources[source].kind if source in run.recipe.corpus.sources else ""
        epochs = f"{seen / text.tokens:.2f}" if text.tokens else ""
        row = (
            source,
            kind,
            f"{100 * share:.4g} %",
            f"{text.documents:,}",
            f"{text.bytes / 1e6:,.1f}",
            epochs,
        )
        rows.append(row)
    return cells(("source", "kind", "share", "documents", "MB", "epochs"), rows)


def _decontamination(run: Run, made: Lineage) -> str:
    if "corpus" not in made:
        return ""
    text = TrainingText(made["corpus"], made.get("decontaminate"))
    return f"Decontamination: {decontamination(run.recipe, text, escape, code)}"


def _evaluation(evaluation: Artifact) -> str:
    rows: list[dict[str, Any]] = evaluation_rows(evaluation)
    if not rows:
        return "Not evaluated."
    shown = cells(("what", "value", ""), [row.values() for row in rows[:SCORES]])
    return f"{shown}\n\nThe report has {len(rows) - SCORES} more." if len(rows) > SCORES else shown


def cells(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table that MLflow shows readably: it leaves no room between cells, nor below a table."""
    return f"{table(columns, rows).replace(' |', f' {SPACE}|')}\n\n&nbsp;"


def _licenses(found: dict[str, SourceText], most: int) -> str:
    """Return by source which licences its documents state, by number of documents, and `most` of them."""
    told = []
    for source, text in sorted(found.items()):
        named = text.licenses.most_common()
        parts = [
            f"{escape(' '.join(name.split())[:NAME]) or 'none stated'} ({n:,})" for name, n in named[:most]
        ]
        more = [f"{len(named) - most} more"] if len(named) > most else []
        told.append(f"**{escape(source)}**: {', '.join(parts + more) or 'none stated'}")
    if not most:
        return "Licences: as the documents of the corpus state."
    return f"Licences, as the documents state them, by number: {'; '.join(told)}."


def _size(run: Run) -> int:
    return run.recipe.model.n_params(run.recipe.tokenizer.vocab_size)


def _tokens(trained: Artifact, run: Run) -> int:
    return int(trained.facts.get("tokens", run.recipe.train.tokens))
