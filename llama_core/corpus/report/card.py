"""The dataset card: what is in a corpus and how it was made, for a person and for `datasets`.

It lies beside the corpus and is no part of it: decontamination and the tokens come later, and say more.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from llama_core.artifact import Artifact
from llama_core.corpus.corpus import SPLITS
from llama_core.corpus.decontaminate.plan import DROPPED
from llama_core.corpus.recipe import Corpus
from llama_core.corpus.report.addresses import read_from
from llama_core.corpus.training_text import TrainingText
from llama_core.markdown import bullets, code, escape, table
from llama_core.recipe import Recipe
from llama_core.section import Section, in_full

CARD = "README.md"
SHOWN = 30  # entries of a list: licences, languages, domains, a setting's values
NAME = 80  # characters of a licence, a language, a domain
# Settings of a source that are told in another place than the table of how it was cleaned.
ELSEWHERE = ("kind", "urls", "packages", "path", "data_files", "clean", "limit")


def publish_card(recipe: Recipe, text: TrainingText, tokens: Artifact | None = None) -> None:
    """Write README.md into the corpus's folder, so that `datasets.load_dataset(folder)` reads it."""
    text.corpus.store.publish_bytes(CARD, dataset_card(recipe, text, tokens).encode())


def dataset_card(recipe: Recipe, text: TrainingText, tokens: Artifact | None = None) -> str:
    """Return Markdown with YAML at its top: a configuration with everything, and one for each source."""
    corpus = text.corpus
    sources = sorted(recipe.corpus.sources)
    configs = [_config("default", corpus, sources), *(_config(s, corpus, [s]) for s in sources)]
    head = {
        "pretty_name": f"{recipe.name} pretraining corpus",
        "license": "other",
        "license_name": "stated-for-each-document",
        "task_categories": ["text-generation"],
        "language": [code for code, _ in _merged(corpus, "languages") if 2 <= len(code) <= 3],
        "configs": [c for c in configs if c["data_files"]],
    }
    parts = [
        f"# {escape(recipe.name)} pretraining corpus",
        f"Made by the recipe {code(recipe.name)}; step `{corpus.name}`. Each row is a document: `id, text, "
        "source, url, license, language, date, meta`. The held-out split shares no exact and no "
        "near-duplicate document with the training split.",
        escape(trial(recipe)),
        f"Decontamination: {decontamination(recipe, text, escape, code)}",
        _contents(corpus, recipe, tokens),
        *(
            f"{title}, by number of documents: {listed(_merged(corpus, fact))}."
            for title, fact in (("Licences", "licenses"), ("Languages", "languages"), ("Domains", "domains"))
            if any(name for name, _ in _merged(corpus, fact))
        ),
        "## Where it was read from",
        "A source's text is what its publisher offers, under the publisher's licence. `list+` stands for the "
        "files that the list at the address names; `*` for any characters of a name.",
        bullets(f"{escape(name)}: {read_from(cfg)}" for name, cfg in sorted(recipe.corpus.sources.items())),
        "## How it was made",
        "What the paper (Touvron et al. 2023, section 2) leaves open is decided by the recipe, as follows.",
        bullets(recipe.corpus.choices),  # the recipe's own Markdown
        "The values, source by source and for all of them:",
        _cleaning(recipe),
        bullets(_values(recipe)),
    ]
    body = "\n\n".join(part for part in parts if part)
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n{body}\n"


def trial(recipe: Recipe) -> str:
    """Say in a sentence that the corpus is a trial, and what of each source is in it; empty if it is none."""
    limited = []
    for source, cfg in sorted(recipe.corpus.sources.items()):
        if limit := cfg.limit:
            amounts = {"file": limit.files, "document": limit.documents}
            told = [f"{n:,} {what}{'s' * (n > 1)}" for what, n in amounts.items() if n]
            limited.append(f"{source} ({', '.join(told)})")
    if not limited:
        return ""
    return f"This is a trial, and not the whole corpus: only the first were read of {', '.join(limited)}."


def _config(name: str, corpus: Artifact, sources: list[str]) -> dict[str, Any]:
    """Name a configuration's files by patterns: a large corpus has more shards than a card can list."""
    counts = {source: _counts(corpus, source) for source in sources}
    files = []
    for split in SPLITS:
        having = [source for source in sources if counts[source][f"documents.{split}"]]
        if having:
            files.append({"split": split, "path": [f"*/{source}.*/{split}.parquet" for source in having]})
    return {"config_name": name, "data_files": files}


def _contents(corpus: Artifact, recipe: Recipe, tokens: Artifact | None) -> str:
    """Return a table with a row for each source: what is in it, and how often training sees it."""
    columns = ["source", "kind", "documents", "MB", "held out", "MB", "share of training"]
    if tokens:
        columns += ["tokens", "epochs"]
    rows = []
    for source, cfg in sorted(recipe.corpus.sources.items()):
        counts, share = _counts(corpus, source), recipe.mixture[source]
        row = [source, cfg.kind]
        for split in SPLITS:
            row += [f"{counts[f'documents.{split}']:,}", f"{counts[f'bytes.{split}'] / 1e6:,.2f}"]
        row.append(f"{100 * share:.4g} %")
        if tokens:
            held = _counts(tokens, source)["tokens"]
            row += [f"{held:,}", f"{share * recipe.train.tokens / held:.2f}" if held else ""]
        rows.append(row)
    return table(columns, rows, align="ll" + "r" * (len(columns) - 2))


def _cleaning(recipe: Recipe) -> str:
    """Return a table with a row for each source: how it is read and cleaned."""
    rows = []
    for source, cfg in sorted(recipe.corpus.sources.items()):
        reading = {k: v for k, v in in_full(cfg.identity()).items() if k not in ELSEWHERE}
        rows.append((source, _settings(reading), _settings(_on(cfg.clean)) or "none"))
    return table(("source", "reading", "cleaning"), rows)


def _on(section: Section) -> dict[str, Any]:
    """Return what a section switches on, with its values."""
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if value is None or value is False:
            continue
        if isinstance(value, Section):
            inner = _on(value)
            if inner or name not in ("filters", "pii"):  # a section that is there by itself
                found[name] = inner
        else:
            found[name] = value
    return found


def _settings(values: dict[str, Any]) -> str:
    """Return settings as plain text, such as `lines (shards 1600, group_shards 50), language (keep en)`."""
    shown = []
    for name, value in values.items():
        if isinstance(value, dict):
            shown.append(f"{name} ({_settings(value)})" if value else name)
        elif value is True:
            shown.append(name)
        elif value == "":
            continue
        elif isinstance(value, list):
            more = f" and {len(value) - SHOWN} more" if len(value) > SHOWN else ""
            shown.append(f"{name} {' '.join(map(str, value[:SHOWN])) or 'none'}{more}")
        else:
            shown.append(f"{name} {value}")
    return ", ".join(shown)


def _values(recipe: Recipe) -> Iterable[str]:
    """Yield sentences, in Markdown, on the settings that hold for all sources."""
    corpus, tokenizer = recipe.corpus, recipe.tokenizer
    near = escape(_settings(in_full(corpus.dedup.identity())))
    yield f"Duplicates: exact ones are removed; near ones by {near}."
    yield f"Held out: {escape(_held_out(corpus))}. Held-out documents that repeat others are dropped."
    flags = in_full(tokenizer.identity())
    del flags["compare_with"]  # it may be a path
    trained = f"SentencePiece BPE, {escape(_settings(flags))}, trained on a sample drawn by the mixture"
    yield f"Tokenizer: {trained}."
    masked = "does not cross" if recipe.train.document_mask else "crosses"
    yield (
        f"Training: {recipe.train.tokens:,} tokens in windows of {recipe.train.seq_len:,}; documents are "
        f"joined as `<s> text </s>`, and attention {masked} from one into the next. The order is computed, "
        "not stored."
    )


def _held_out(corpus: Corpus) -> str:
    parts = [f"the groups {', '.join(corpus.holdout)}"] if corpus.holdout else []
    if corpus.holdout_fraction:
        share = f"{100 * corpus.holdout_fraction:g} % of all groups, by keyed hash"
        parts.append(f"{share} (a group is a package; of other sources, a document)")
    return " and ".join(parts) or "nothing"


def decontamination(
    recipe: Recipe, text: TrainingText, as_text: Callable[[str], str], as_code: Callable[[str], str]
) -> str:
    """Say in a sentence whether the text was compared with evaluation sets, and what was found.

    `as_text` and `as_code`: `escape` and `code` of `llama_core.markdown` or of `llama_core.html`.
    """
    decontaminated = text.decontaminated
    if decontaminated is None:
        why = "switched off" if recipe.corpus.decontaminate is None else "no evaluation sets were given"
        return f"not run ({why})."
    counts, n = decontaminated.counts, decontaminated.manifest["identity"]["ngram"]
    dropped, sets = counts.get(DROPPED, 0), ", ".join(decontaminated.facts["benchmarks"])
    told = (
        f"{dropped or 'none'} of {counts['documents']:,} training documents share {n} words in a row with an "
        f"evaluation set ({as_text(sets)})."
    )
    if not dropped:
        return told
    return (
        f"{told} They are still in the {as_code('train')} split that {as_code('datasets.load_dataset')} "
        "reads, as decontamination writes decisions and no text, and are left out when text is read for the "
        f"tokenizer and the tokens; {as_code(decontaminated.name)} lists them."
    )


def _counts(artifact: Artifact, source: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in artifact.shards:
        if shard.facts.get("source") == source:  # the sums of the tokens' histograms have none
            counts.update(shard.counts)
    return counts


def _merged(corpus: Artifact, fact: str) -> list[tuple[str, int]]:
    merged: Counter[str] = Counter()
    for shard in corpus.shards:
        merged.update(shard.facts[fact])
    return merged.most_common()


def listed(rows: list[tuple[str, int]]) -> str:
    """Return names and counts as Markdown, such as `en (21); fr (3); and 7 more`."""
    shown = [f"{escape(_short(name)) or 'none'} ({count:,})" for name, count in rows[:SHOWN]]
    return "; ".join(shown + ([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])) or "none"


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= NAME else f"{line[: NAME - 1]}…"
