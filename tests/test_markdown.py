"""What is written as Markdown is read as it was, whatever it holds: in text, lists, tables and code."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from llama_core.html import visible
from llama_core.markdown import bullets, code, code_block, escape, table

NAMES = [
    "pypi:pip==1.0/pip/__init__.py",
    "_private and __dunder__ and a_b_c",
    "*bold* [link](https://a.org/__x__) <b>&amp; `code` a|b \\ back ~~gone~~",
    "https://www.a.org/_x_?a=1&b=*2*",
    "# title #",
    "- item",
    "1. item",
    "---",
    "a\\|b",
    "| --- |",
    "![x](y)",
    "",
]
TEXT = st.text(st.sampled_from("ab1 _*[]<>&\\|`#~-+=.!():/\n\t\0é_`")) | st.sampled_from(NAMES)
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(text: str) -> str:
    return visible(" ".join(text.split()))


def words(token: Token) -> str:
    """The text of a paragraph or a cell, which has no other mark than code."""
    found = token.children or []
    assert {t.type for t in found} <= {"text", "text_special", "code_inline"}, token.content
    return "".join(t.content for t in found)


def inline(document: str) -> list[str]:
    return [words(t) for t in READER.parse(document) if t.type == "inline"]


@given(TEXT)
def test_text_in_a_paragraph_and_in_a_list_is_shown_as_it_is(text: str) -> None:
    expected = [shown(text)] if shown(text) else []
    for document in (escape(text), bullets([escape(text)])):
        tokens = [t.type for t in READER.parse(document) if t.type != "inline"]
        assert {t.removesuffix("_open").removesuffix("_close") for t in tokens} <= {
            "paragraph",
            "bullet_list",
            "list_item",
        }, document
        assert inline(document) == expected
    assert inline(f"# {escape(text)}") == [shown(text)]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), TEXT)
def test_the_cells_of_a_table_are_shown_as_they_are(rows: list[tuple[str, str]], name: str) -> None:
    document = table((name, "code"), [(text, code(source)) for text, source in rows], align="lr")
    tokens = READER.parse(document)
    assert tokens[0].type == "table_open" and [t.type for t in tokens].count("tr_open") == len(rows) + 1
    cells = [name, "code", *(text for row in rows for text in row)]
    assert [words(t) for t in tokens if t.type == "inline"] == list(map(shown, cells))
    [*_, last] = (t for t in tokens if t.type == "td_open")
    assert last.attrs == {"style": "text-align:right"}


@given(TEXT)
def test_a_block_of_code_ends_where_its_text_ends(text: str) -> None:
    document = f"before\n\n{code_block(text)}\n\nafter"
    _, _, _, block, *_ = READER.parse(document)
    assert block.type == "fence" and block.content == f"{visible(text)}\n"
    assert inline(document) == ["before", "after"]


@pytest.mark.parametrize("name", ["a_b", "few_letters", "packaging==26.4", "C#", "1.5 MB", "-0.5", "en (2)"])
def test_an_ordinary_name_is_not_escaped(name: str) -> None:
    assert escape(name) == name


def test_a_url_is_no_link_in_which_a_backslash_would_be_shown() -> None:
    for url in ("https://a.org/__x__", "HTTP://a.org", "www.a.org/__x__"):
        assert not re.search(r"(?<!\\)://|www\.", escape(url), re.IGNORECASE), url
