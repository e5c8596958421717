"""The corpus page: one HTML file, pictures included."""

from collections.abc import Iterable, Iterator, Sequence

from llama_core import html
from llama_core.corpus.documents import Documents
from llama_core.corpus.report import picture
from llama_core.corpus.report.balance import StageBalance, balance_rows, size, source_balances
from llama_core.corpus.report.card import decontamination, trial
from llama_core.corpus.report.excerpts import (
    Excerpt,
    Pair,
    cut_texts,
    dropped_texts,
    duplicates,
    kept_texts,
    quarantined,
)
from llama_core.corpus.report.measures import (
    NAMES,
    duplicate_clusters,
    evaluation_sets,
    measures,
    merged_facts,
)
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe
from llama_core.step import Step

REVISION = 3
ROWS = 15  # of a table of languages, licences, domains
STYLE = """
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 0 2em }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5em } .pair > div { min-width: 0 }
.pair pre, .cuts pre { margin: 0; max-height: 11em; overflow: auto }
.bars { display: table; width: 100%; margin: 0 }
.bars td { border: 0; padding: 1px 6px 1px 0; overflow-wrap: anywhere }
.bars td:nth-child(2) { width: 40% } .bars i { display: block; height: 10px; margin-top: 5px }
.bars i { background: #80ccff } .bars td:last-child { text-align: right; white-space: nowrap }
.what { color: #57606a; font-size: 12px; margin: .6em 0 .2em }
"""


def page(recipe: Recipe, sources: Iterable[Documents], text: TrainingText) -> str:
    """Return the page as HTML. Reads the manifests, and a few texts of each source."""
    sources = list(sources)
    balances = {d.source: source_balances(d, text) for d in sources}
    parts = [
        f"<h1>{html.escape(recipe.name)} corpus</h1>",
        f"<p>{html.code(text.corpus.url)}</p>",
        *([f"<p><b>{html.escape(told)}</b></p>"] if (told := trial(recipe)) else []),
        f"<p>Decontamination: {decontamination(recipe, text, html.escape, html.code)}</p>",
        html.table([_summary(source, of_it) for source, of_it in balances.items()]),
    ]
    for documents in sources:
        parts += _section(documents, balances[documents.source], text)
    parts += ["<h2>Duplicates</h2>", html.table(duplicate_clusters(sources))]
    parts += map(_pair, duplicates(sources))
    if text.decontaminated:
        parts += [
            "<h2>Passages of evaluation sets that were found</h2>",
            html.table(evaluation_sets(text.decontaminated)),
            html.table(text.decontaminated.facts["examples"]),
        ]
    return html.page(f"{recipe.name} corpus", "".join(parts), STYLE + picture.STYLE)


def publish_page(
    step: Step, recipe: Recipe, documents: dict[str, Documents], text: TrainingText, shard: str
) -> None:
    """Write the page as a shard of its step."""
    with step.shard(shard) as out:
        out.publish_bytes("corpus.html", page(recipe, documents.values(), text).encode())
        out.digest = step.id  # and not that of the page's bytes, which also say where the corpus is


def _summary(source: str, balances: Sequence[StageBalance]) -> dict[str, str]:
    first, last = balances[0], balances[-1]
    return {
        "source": source,
        "raw records": f"{first.into:,}",
        "documents read": f"{first.passed_on:,}",
        "text read": size(first.bytes_out or 0),
        "training documents": f"{last.passed_on:,}",
        "text for training": size(last.bytes_out or 0),
        "balance": "holds" if all(b.holds for b in balances) else "DOES NOT HOLD",
    }


def _section(documents: Documents, balances: Sequence[StageBalance], text: TrainingText) -> Iterator[str]:
    yield f"<h2>{html.escape(documents.source)}</h2>"
    yield picture.picture(balances) + html.table(balance_rows(balances))
    for title, rows in measures(documents).items():
        yield f"<h3>{title}</h3>{html.table(rows)}"
    yield "<div class=facts>"
    for title, fact in NAMES.items():
        names = merged_facts(documents, text.corpus, fact)
        if any(names):
            yield f"<div><h3>{title}</h3>{bars(names.most_common(ROWS), len(names) - ROWS)}</div>"
    if lengths := merged_facts(documents, text.corpus, "lengths"):
        by_length = sorted((int(bound), n) for bound, n in lengths.items())
        yield f"<div><h3>Characters</h3>{bars([(f'under {b:,}', n) for b, n in by_length])}</div>"
    yield "</div>"
    kept = map(_excerpt, kept_texts(documents, text))
    dropped = map(_excerpt, dropped_texts(documents, text))
    lost = any(b.lost for b in balances)
    none = "No text was kept of what was left out." if lost else "Nothing was left out."
    yield _side_by_side("".join(kept) or "None.", "".join(dropped) or none)
    if unread := quarantined(documents):
        yield f"<h3>Could not be read, some of each error</h3>{html.table(unread)}"
    if cuts := cut_texts(documents):
        shown = "".join(map(_excerpt, cuts))
        yield f"<div class=cuts><h3>Cut out of texts that were kept</h3>{shown}</div>"


def bars(rows: Sequence[tuple[str, int]], more: int = 0) -> str:
    """Return names and counts as horizontal bars. `more`: how many rows are not shown."""
    most = max((count for _, count in rows), default=1)
    cells = [
        {
            "name": name or "none",
            "bar": html.Html(f"<i style='width:{100 * count / most:.1f}%'></i>"),
            "count": f"{count:,}",
        }
        for name, count in rows
    ]
    shown = html.table(cells, style="bars", head=False)
    return shown + (f"<p class=what>and {more:,} more</p>" if more > 0 else "")


def _pair(pair: Pair) -> str:
    shown = _side_by_side(_excerpt(pair.kept), _excerpt(pair.dropped))
    return f"<h3>Similarity {pair.similarity:.3g}</h3>{shown}"


def _side_by_side(kept: str, left_out: str) -> str:
    columns = f"<div><h3>Kept</h3>{kept}</div><div><h3>Left out</h3>{left_out}</div>"
    return f"<div class=pair>{columns}</div>"


def _excerpt(excerpt: Excerpt) -> str:
    return f"<p class=what>{html.escape(excerpt.what)}</p><pre>{html.escape(excerpt.text)}</pre>"
