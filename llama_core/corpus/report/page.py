"""The corpus page: one HTML file, pictures included."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llama_core.corpus.documents import Documents
from llama_core.corpus.report import passages
from llama_core.corpus.report.card import decontamination
from llama_core.corpus.report.passages import Excerpt, Pair, StageBalance, named
from llama_core.corpus.report.picture import escaped, picture
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe

REVISION = 2
ROWS = 15  # of a table of languages, licences, domains


def page(recipe: Recipe, sources: Iterable[Documents], text: TrainingText) -> str:
    """Return the page as HTML. Reads the manifests, and a few texts of each source."""
    sources = list(sources)
    ways = {d.source: passages.passages(d, text) for d in sources}
    parts = [
        f"<h1>{escaped(recipe.name)} corpus</h1>",
        f"<p><code>{escaped(text.corpus.url)}</code></p>",
        f"<p>Decontamination: {escaped(decontamination(recipe, text)).replace('`', '')}</p>",
        table([_summary(source, way) for source, way in ways.items()]),
    ]
    for documents in sources:
        parts += _section(documents, ways[documents.source], text)
    parts += ["<h2>Duplicates</h2>", table(passages.clusters(sources))]
    parts += map(_pair, passages.duplicates(sources))
    if text.decontaminated:
        parts += [
            "<h2>Passages of evaluation sets that were found</h2>",
            table(passages.evaluation_sets(text.decontaminated)),
        ]
        parts += [table(text.decontaminated.facts["examples"])]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escaped(recipe.name)} corpus</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _summary(source: str, way: Sequence[StageBalance]) -> dict[str, str]:
    first, last = way[0], way[-1]
    return {
        "source": source,
        "raw records": f"{first.into:,}",
        "documents read": f"{first.handed:,}",
        "text read": passages.size(first.bytes_out or 0),
        "training documents": f"{last.handed:,}",
        "text for training": passages.size(last.bytes_out or 0),
        "balance": "holds" if all(p.holds for p in way) else "DOES NOT HOLD",
    }


def _section(documents: Documents, way: Sequence[StageBalance], text: TrainingText) -> Iterator[str]:
    yield f"<h2>{escaped(documents.source)}</h2>{picture(way)}{table(passages.balance(way))}"
    for title, rows in passages.measures(documents).items():
        yield f"<h3>{title}</h3>{table(rows)}"
    yield "<div class=facts>"
    for title, fact in passages.NAMES.items():
        names = passages.merged_facts(documents, text.corpus, fact)
        if any(names):
            yield f"<div><h3>{title}</h3>{bars(names.most_common(ROWS), len(names) - ROWS)}</div>"
    if lengths := passages.merged_facts(documents, text.corpus, "lengths"):
        by_length = sorted(((int(bound), n) for bound, n in lengths.items()))
        yield f"<div><h3>Characters</h3>{bars([(f'under {b:,}', n) for b, n in by_length])}</div>"
    yield "</div>"
    kept = passages.kept_texts(documents, text)
    dropped = passages.dropped_texts(documents, text)
    lost = any(p.lost for p in way)
    none = "No text was kept of what was left out." if lost else "Nothing was left out."
    yield f"<div class=pair><div><h3>Kept</h3>{''.join(map(_excerpt, kept)) or 'None.'}</div>"
    yield f"<div><h3>Left out</h3>{''.join(map(_excerpt, dropped)) or none}</div></div>"
    if unread := passages.quarantined(documents):
        yield f"<h3>Could not be read, some of each error</h3>{table(unread)}"
    if cuts := passages.cut_texts(documents):
        yield f"<h3>Cut out of texts that were kept</h3>{''.join(map(_excerpt, cuts))}"


def bars(rows: Sequence[tuple[str, int]], more: int = 0) -> str:
    """Names and counts as horizontal bars. `more`: rows that are not shown."""
    most = max((count for _, count in rows), default=1)
    cells = "".join(
        f"<tr><td>{escaped(name or 'none')}</td>"
        f"<td class=bar><i style='width:{100 * count / most:.1f}%'></i></td>"
        f"<td class=number>{count:,}</td></tr>"
        for name, count in rows
    )
    return f"<table class=bars>{cells}</table>" + (f"<p class=what>and {more:,} more</p>" if more > 0 else "")


def table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escaped(named(name))}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escaped(row.get(n, str()))}</td>' for n in names)}</tr>" for row in rows
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _pair(pair: Pair) -> str:
    return (
        f"<h3>Similarity {pair.similarity:.3g}</h3>"
        f"<div class=pair><div><h3>Kept</h3>{_excerpt(pair.kept)}</div>"
        f"<div><h3>Left out</h3>{_excerpt(pair.dropped)}</div></div>"
    )


def _excerpt(excerpt: Excerpt) -> str:
    return f"<p class=what>{escaped(excerpt.what)}</p><pre>{escaped(excerpt.text)}</pre>"


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 1080px; margin: 2em auto }
body { padding: 0 1em }
h2 { margin-top: 2.2em; border-bottom: 1px solid #d8dee4 } h3 { margin: 1em 0 .3em; font-size: 15px }
table { border-collapse: collapse; font-size: 13px } .wide { overflow-x: auto; margin: 1em 0 }
td, th { border-bottom: 1px solid #d8dee4; padding: 3px 10px 3px 0; text-align: left; vertical-align: top }
pre { background: #f6f8fa; font-size: 12px; padding: 8px; margin: 0; white-space: pre-wrap }
pre { max-height: 11em; overflow: auto; overflow-wrap: anywhere }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 0 2em }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5em } .pair > div { min-width: 0 }
.bars { width: 100% } .bars td { border: 0; padding: 1px 6px 1px 0; overflow-wrap: anywhere }
.bar { width: 40% } .bar i { display: block; height: 10px; margin-top: 5px; background: #80ccff }
.number { text-align: right; white-space: nowrap }
.what { color: #57606a; font-size: 12px; margin: .6em 0 .2em; overflow-wrap: anywhere }
svg text { font-size: 13px; fill: #1b1f24 } svg .small { font-size: 11px; fill: #57606a }
.on { fill: #b6e3ff } .node { fill: #54aeff } .off { fill: #ff8182 } .aside { fill: #94c973 }
.tail { opacity: .45 }
"""
