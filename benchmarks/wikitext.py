"""What becomes of the templates within the lines of Wikipedia's dumps, and how fast pages are read.

    python -m benchmarks.wikitext DUMP... [--by-name] [--sample 0] [--repeat 3]

Each dump (`.xml`, `.bz2` ...) is read with its templates read by hand alone (`before`) and with those that it
defines (`after`). Of the calls that share their line with words: `expanded` by their definition, `by hand`,
`dropped` (boxes, notices, what says nothing), `unknown` (they take a program in Lua or another
page) and `undefined`. Files of one language are one dump; `--by-name` takes the language from names
such as `dewiki-1.xml`. Speed is in million characters of wikitext per CPU second of one process, without
reading the XML; `collect` is the first phase, in MB of XML. `--sample` prints some expanded calls, drawn by
a seed, to be read by eye. The last line is JSON.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_core.corpus.formats.streams import chunks
from llama_core.corpus.formats.xml_stream import Elements, parse
from llama_core.corpus.markup.wikitext.expand.definitions import (
    NONE,
    Definition,
    Definitions,
    bounded,
    defined,
)
from llama_core.corpus.markup.wikitext.page import read_page
from llama_core.corpus.markup.wikitext.tree import TooDeepError
from llama_core.corpus.sources.wikipedia import language_of

OUTCOMES = ("expanded", "by_hand", "dropped", "unknown", "undefined")


@dataclass
class Wiki:
    """The pages of one language."""

    articles: list[tuple[str, str]] = field(default_factory=list)
    templates: list[Definition] = field(default_factory=list)
    size: int = 0
    """Bytes of XML."""
    seconds: float = 0.0
    """CPU time of the first phase."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dumps", nargs="+", type=Path, metavar="DUMP")
    parser.add_argument(
        "--by-name", action="store_true", help="a dump's language is in its file's name, not in its head"
    )
    parser.add_argument("--sample", type=int, default=0, help="expanded calls to print")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    wikis: dict[str, Wiki] = {}
    for path in args.dumps:
        read_dump(path, wikis, args.by_name)
    results = []
    print(f"{'':8}{'articles':>9}{'templates':>10}{'calls':>8}" + "".join(f"{o:>11}" for o in OUTCOMES))
    for language, wiki in sorted(wikis.items()):
        definitions = Definitions(bounded(wiki.templates))
        speeds = []
        for name, some in (("before", NONE), ("after", definitions)):
            counts, speed = read(wiki, language, some, args.repeat)
            speeds.append(speed)
            calls = sum(counts.values())
            shares = "".join(f"{counts[o] / max(1, calls):>11.1%}" for o in OUTCOMES)
            print(f"{language:3}{name:>6}{len(wiki.articles):>8,}{len(definitions):>10,}{calls:>8,}{shares}")
        print(
            f"   {speeds[0]:.2f} and {speeds[1]:.2f} Mchar/s, {speeds[1] / speeds[0]:.2f}; collect ", end=""
        )
        print(f"{wiki.size / 1e6 / wiki.seconds:.1f} MB/s")
        results.append({
            "what": f"wikitext to text with definitions, {language}", "ours": round(speeds[1], 2),
            "peer": None, "theirs": None, "ratio": None, "unit": "Mchar per CPU s",
            "by_hand_alone": round(speeds[0], 2),
            "calls": {o: counts[o] for o in OUTCOMES},
        })  # fmt: skip
        if args.sample:
            show(wiki, language, definitions, args.sample)
    print(json.dumps({"name": "wikitext", "results": results}))


def read_dump(path: Path, wikis: dict[str, Wiki], by_name: bool = False) -> None:
    """Add the articles and the templates of a dump to those of its language."""
    started = time.process_time()
    with path.open("rb") as file:
        pages = Elements(chunks(file, path.name), "mediawiki", rb"<page>", rb"</page>", 1 << 26)
        wiki: Wiki | None = None
        for _, data in pages:
            if isinstance(data, str) or isinstance(page := parse(data), str):
                continue
            if wiki is None:
                language = language_of(b"" if by_name else pages.head, path.name) or "?"
                wiki = wikis.setdefault(language, Wiki())
            wiki.size += len(data)
            title, text = page.findtext("title") or "", page.findtext("revision/text") or ""
            redirect = page.find("redirect")
            if page.findtext("ns") == "10":
                target = "" if redirect is None else redirect.get("title", "")
                if found := defined(title, target, text):
                    wiki.templates.append(found)
            elif page.findtext("ns") == "0" and redirect is None:
                wiki.articles.append((title, text))
    if wiki:
        wiki.seconds += time.process_time() - started


def read(wiki: Wiki, language: str, definitions: Definitions, repeat: int) -> tuple[Counter[str], float]:
    """Read the articles, and return what became of the calls and the best speed in Mchar per CPU second."""
    best = float("inf")
    counts: Counter[str] = Counter()
    for _ in range(repeat):
        definitions.results.clear()
        counts.clear()
        started = time.process_time()
        for page in pages_of(wiki, language, definitions):
            counts.update(page.outcomes)
        best = min(best, time.process_time() - started)
    return counts, sum(len(text) for _, text in wiki.articles) / 1e6 / best


def pages_of(wiki: Wiki, language: str, definitions: Definitions) -> Iterator[Any]:
    for title, text in wiki.articles:
        try:
            yield read_page(text, title, language=language, definitions=definitions)
        except TooDeepError:
            continue


def show(wiki: Wiki, language: str, definitions: Definitions, n: int) -> None:
    """Print some calls with what they became."""
    definitions.results.clear()
    for _ in pages_of(wiki, language, definitions):
        pass
    known = [(key, value) for key, value in definitions.results.items() if isinstance(value, tuple)]
    for key, (words, outcome) in random.Random(0).sample(known, min(n, len(known))):
        print(f"   {outcome:9}{{{{{'|'.join(map(str, key[2:]))[:120]}}}}} => {words!r:.160}")


if __name__ == "__main__":
    main()
