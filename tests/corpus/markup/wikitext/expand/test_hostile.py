"""Definitions and calls that are made to take time or memory: each is read within bounds."""

import time
import tracemalloc

import pytest
from corpus.markup.wikitext.wikis import wiki

LETTERS = "a" * 60_000
CASES = {
    "a replacement of each letter by all": ("{{#replace:{{{1}}}|a|{{{1}}}}}", f"{{{{X|{LETTERS}}}}}"),
    "the same by a module": ("{{#invoke:String|replace|{{{1}}}|a|{{{1}}}}}", f"{{{{X|{LETTERS}}}}}"),
    "doubling replacements": ("{{#replace:" * 12 + "{{{1}}}" + "|a|aa}}" * 12, "{{X|aaaa}} " * 300),
    "repetition": ("{{#invoke:String|rep|{{{1}}}|100}}" * 50, f"{{{{X|{LETTERS}}}}}"),
    "a number of many digits": ("{{formatnum:{{{1}}}}}", f"{{{{X|{'1' * 60_000}}}}}"),
    "a switch of many cases": (
        "{{#switch:{{{1}}}" + "".join(f"|k{i}=v{i}" for i in range(600)) + "|no}}",
        " ".join(f"{{{{X|k{i}}}}}" for i in range(600)),
    ),
    "a switch of many conditions": ("{{#switch:{{{1}}}" + "|{{#if:x|y}}=1" * 400 + "}}", "{{X|z}} " * 3000),
    "conditions in one another": ("{{{" + "1|{{{" * 30 + "x" + "}}}" * 31, "{{X}} " * 2000),
    "escapes of escapes": ("{{urlencode:" * 8 + "{{{1}}}" + "}}" * 8, "{{X|" + "é" * 6000 + "}} " * 20),
    "plural forms": ("{{plural:{{{1}}}" + "|5=x" * 2000 + "}}", "{{X|3}} " * 2000),
    "hidden elements": ('<span class="noprint">' * 500 + "{{{1}}}", "{{X|a}} " * 2000),
    "templates that call one another": ("{{X2|{{{1}}}{{{1}}}}}", "{{X|a}} " * 50),
    "terms": ("x", "\n" + "; a [:" * 20_000 + "\n;" + "a:" * 20_000 + ("\n;a" + "'':" * 50) * 1000),
    "addresses": ("x", "[//a [ b" * 90 + "x " * 20_000 + "[//a (" * 20_000 + "[[%C3" * 90),
    "labels left out": ("x", f"[[{'a -' * 20_000}|]] [[{'(a) ' * 20_000}|]] [[{', ' * 20_000}|]]"),
    "units": (
        "x",
        f"{{{{convert|{'1/' * 20_000}|in}}}} {{{{val|1|u={'km' * 20_000}}}}} {{{{{'1' * 9000}e}}}}",
    ),
    "areas": ("x", f"{{{{pop density|{'1' * 9000}|1|km2}}}} {{{{pop density|nan|1|km2}}}}"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_page_takes_little_time(case: str) -> None:
    definition, page = CASES[case]
    read = wiki("fr", {"X": definition, "X2": "{{X|{{{1}}}}}"})
    started = time.process_time()
    read(page)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("case", [*CASES][:5])
def test_what_functions_write_takes_little_memory(case: str) -> None:
    definition, page = CASES[case]
    tracemalloc.start()
    wiki("en", {"X": definition})(page)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
