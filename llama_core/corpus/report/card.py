"""The dataset card: what is in a corpus and how it was made, for a person and for `datasets`.

It lies beside the corpus and is no part of it: decontamination and the tokens come later, and say more.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml

from llama_core.corpus.corpus import SPLITS
from llama_core.corpus.decontaminate.plan import DROPPED
from llama_core.corpus.recipe import Corpus
from llama_core.corpus.report.addresses import read_from
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe
from llama_core.section import Section
from llama_core.step import Artifact

CARD = "README.md"
SHOWN = 30  # entries of a list: licences, languages, domains, a setting's values
NAME = 80  # characters of a licence, a language, a domain
# Settings of a source that are told in another place than the table of how it was cleaned.
ELSEWHERE = ("kind", "urls", "packages", "path", "data_files", "clean")

_MARKUP = re.compile(r"[\\`*\[\]<>|&]")


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
        f"# {recipe.name} pretraining corpus",
        f"Made by the recipe `{recipe.name}`; step `{corpus.name}`. Each row is a document: `id, text, "
        "source, url, license, language, date, meta`. The held-out split shares no exact and no "
        "near-duplicate document with the training split.",
        f"Decontamination: {decontamination(recipe, text)}",
        "\n".join(_contents(corpus, recipe, tokens)),
        *(
            f"{title}, by number of documents: {listed(_merged(corpus, fact))}."
            for title, fact in (("Licences", "licenses"), ("Languages", "languages"), ("Domains", "domains"))
            if any(name for name, _ in _merged(corpus, fact))
        ),
        "## Where it was read from",
        "A source's text is what its publisher offers, under the publisher's licence. `list+` stands for the "
        "files that the list at the address names; `*` for any characters of a name.",
        *_list_of(f"{name}: {read_from(cfg)}" for name, cfg in sorted(recipe.corpus.sources.items())),
        "## How it was made",
        "What the paper (Touvron et al. 2023, section 2) leaves open is decided by the recipe, as follows.",
        *_list_of(recipe.corpus.choices),
        "The values, source by source and for all of them:",
        "\n".join(_cleaning(recipe)),
        *_list_of(_values(recipe)),
    ]
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n" + "\n\n".join(parts) + "\n"


def _list_of(items: Iterable[str]) -> list[str]:
    """A list in Markdown; nothing where there are no items."""
    lines = [f"- {' '.join(item.split())}" for item in items]
    return ["\n".join(lines)] if lines else []


def _config(name: str, corpus: Artifact, sources: list[str]) -> dict[str, Any]:
    """By patterns: a large corpus has more shards than a card can name."""
    counts = {source: _counts(corpus, source) for source in sources}
    files = []
    for split in SPLITS:
        having = [source for source in sources if counts[source][f"documents.{split}"]]
        if having:
            files.append({"split": split, "path": [f"*/{source}.*/{split}.parquet" for source in having]})
    return {"config_name": name, "data_files": files}


def _contents(corpus: Artifact, recipe: Recipe, tokens: Artifact | None) -> Iterable[str]:
    """A row for each source: what is in it, and how often training sees it."""
    epochs = " | tokens | epochs" if tokens else ""
    yield f"| source | kind | documents | MB | held out | MB | share of training{epochs} |"
    yield "|---|---|---:|---:|---:|---:|---:" + ("|---:|---:" if tokens else "") + "|"
    for source, cfg in sorted(recipe.corpus.sources.items()):
        counts = _counts(corpus, source)
        cells = [f"{counts[f'documents.{s}']:,} | {counts[f'bytes.{s}'] / 1e6:,.2f}" for s in SPLITS]
        share = recipe.mixture[source]
        row = f"| {source} | {cfg.kind} | {' | '.join(cells)} | {100 * share:.4g} %"
        if tokens:
            held = _counts(tokens, source)["tokens"]
            row += f" | {held:,} | {share * recipe.train.tokens / held:.2f}" if held else " | 0 | "
        yield row + " |"


def _cleaning(recipe: Recipe) -> Iterable[str]:
    yield "| source | reading | cleaning |"
    yield "|---|---|---|"
    for source, cfg in sorted(recipe.corpus.sources.items()):
        reading = {k: v for k, v in cfg.identity().items() if k not in ELSEWHERE}
        cleaning = _settings(_on(cfg.clean)) or "none"
        yield f"| {source} | {_settings(reading)} | {cleaning} |"


def _on(section: Section) -> dict[str, Any]:
    """What a section switches on, with its values."""
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
    """`lines (shards 1600, group_shards 50), language (keep en, ...)`."""
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
    return ", ".join(shown).replace("|", "\\|")


def _values(recipe: Recipe) -> Iterable[str]:
    corpus, tokenizer = recipe.corpus, recipe.tokenizer
    yield f"Duplicates: exact ones are removed; near ones by {_settings(corpus.dedup.identity())}."
    yield f"Held out: {_held_out(corpus)}. Held-out documents that repeat others are dropped."
    flags = {k: v for k, v in tokenizer.identity().items() if k != "compare_with"}  # it may be a path
    yield f"Tokenizer: SentencePiece BPE, {_settings(flags)}, trained on a sample drawn by the mixture."
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


def decontamination(recipe: Recipe, text: TrainingText) -> str:
    """Say in a sentence whether the text was compared with evaluation sets, and what was found."""
    decontaminated = text.decontaminated
    if decontaminated is None:
        why = "switched off" if recipe.corpus.decontaminate is None else "no evaluation sets were given"
        return f"not run ({why})."
    counts, n = decontaminated.counts, decontaminated.manifest["identity"]["ngram"]
    dropped, sets = counts.get(DROPPED, 0), ", ".join(decontaminated.facts["benchmarks"])
    told = (
        f"{dropped or 'none'} of {counts['documents']:,} training documents share {n} words in a row with an"
    )
    told = f"{told} evaluation set ({sets})."
    if not dropped:
        return told
    return (
        f"{told} They are still in the `train` split that `datasets.load_dataset` reads, as decontamination "
        "writes decisions and no text, and are left out when text is read for the tokenizer and the tokens; "
        f"`{decontaminated.name}` lists them."
    )


def _counts(artifact: Artifact, source: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in artifact.shards:
        if shard.facts["source"] == source:
            counts.update(shard.counts)
    return counts


def _merged(corpus: Artifact, fact: str) -> list[tuple[str, int]]:
    merged: Counter[str] = Counter()
    for shard in corpus.shards:
        merged.update(shard.facts[fact])
    return merged.most_common()


def listed(rows: list[tuple[str, int]]) -> str:
    """`en (21); fr (3); and 7 more`. The names come with the documents: in Markdown they are words only."""
    shown = [f"{_plain(name) or 'none'} ({count:,})" for name, count in rows[:SHOWN]]
    return "; ".join(shown + ([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])) or "none"


def _plain(name: str) -> str:
    line = " ".join(name.split())
    return _MARKUP.sub(r"\\\g<0>", line if len(line) <= NAME else f"{line[: NAME - 1]}…")
