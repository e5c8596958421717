"""The part of a template's page that is transcluded, and the bounds of a table of templates."""

import random

import pytest

from llama_core.corpus.markup.wikitext.expand import definitions
from llama_core.corpus.markup.wikitext.expand.definitions import (
    A_BOX,
    MAX_CHARS,
    Definition,
    Definitions,
    bounded,
    defined,
    transcluded,
)


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a<noinclude>b</noinclude>c", "ac"),
        ("a<noinclude>b", "a"),
        ("a<noinclude/>b<includeonly>c</includeonly>", "abc"),
        ("a<onlyinclude>b<noinclude>c</noinclude></onlyinclude>d<ONLYINCLUDE>e</ONLYINCLUDE>", "be"),
        ("{{{1<noinclude>|x</noinclude>}}}", "{{{1}}}"),
        ("a<!-- b -->c\n <!-- d --> \ne <!-- f -->\n<!-- never closed", "ac\ne \n"),
    ],
)
def test_the_part_of_a_page_that_is_transcluded(wikitext: str, expected: str) -> None:
    assert transcluded(wikitext) == expected


def test_pages_that_define_no_words_are_no_definitions() -> None:
    assert defined("Template:A/doc", "", "b") is None
    assert defined("Template:A", "", "<noinclude>b</noinclude> ") is None
    assert defined("Template:A", "", "b" * (MAX_CHARS + 1)) is None
    assert defined("Vorlage:a_ b", "", "c") == Definition("A b", "", "c")
    assert defined("Template:A", "Template:b#c", "#REDIRECT [[Template:b#c]]") == Definition("A", "B", "")
    for box in ("{| class=x", "{{Navbox|a=b}}", "{{#invoke:Sidebar|sidebar}}", "\n<table>"):
        assert defined("Template:A", "", box) == Definition("A", "", A_BOX)


def test_a_table_keeps_the_shortest_in_whatever_order_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "MAX_TABLE_CHARS", 5000)
    found = [Definition(f"T{i}", "", "x" * (i * 7 % 100)) for i in range(300)]
    kept = bounded(found)
    assert 0 < len(kept) < 80
    assert max(len(d.text) for d in kept) <= min(len(d.text) for d in found if d not in kept)
    for seed in range(5):
        assert bounded(random.Random(seed).sample(found, len(found))) == kept


def test_redirects_are_followed_but_not_for_ever() -> None:
    table = Definitions(
        [
            Definition("A", "B", ""),
            Definition("B", "C", ""),
            Definition("C", "", "c"),
            Definition("X", "X", ""),
        ]
    )
    assert table.title_of("a") == "C" and table.find("C") == ["c"]
    assert table.find(table.title_of("x")) is None
    assert table.bare(" Template:subst:a ") == "subst:a" and table.bare("safesubst: Vorlage:A") == "A"
