"""Whatever a person or a model writes is text on the page, in its hover boxes as well."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.generate.engine import Piece
from llama_core.generate.page import show
from llama_core.generate.page.templates import Turn
from llama_core.html import Html

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</div></span><iframe src='https://example.org'>",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "javascript:alert(1)",
    "${alert(1)} {{7*7}}",
    "\x00\x1b[31m\r\x85",
)
OURS = {"span", "div", "p", "b", "header", "button", "small", "details", "summary", "pre"}
HARMLESS = {"class", "data-hover", "tabindex", "role", "aria-label", "type"}


class Page(HTMLParser):
    """What a browser makes of HTML: its text, and that there is nothing in it but what is ours."""

    def __init__(self, html: str):
        super().__init__()
        self.text, self.hovers = "", []  # type: ignore[var-annotated]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS and {name for name, _ in attrs} <= HARMLESS, (tag, attrs)
        self.hovers += [json.loads(value or "") for name, value in attrs if name == "data-hover"]

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def pieces(text: str) -> list[Piece]:
    return [Piece(0, 5, text, -0.5, ((text, -0.5), ("b", -3.0)), None)]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_wherever_it_stands(text: str) -> None:
    body = show.text_before(text) + show.tokens(pieces(text)) + show.said([Turn(text, text)])
    html = show.panel(text, text, Html(body + show.answering(text, pieces(text))))
    html += show.prompt_read(text, text, 3, 2) + show.notice(text) + show.error(text)
    page = Page(html)
    seen = "".join(c if c in "\t\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    assert page.text.count(seen[1:]) >= 9
    assert [hover["likely"][0][0] for hover in page.hovers] == [text, text]


@given(st.text())
def test_a_token_says_its_text_and_its_probabilities(text: str) -> None:
    text = text.encode(errors="replace").decode()
    page = Page(show.tokens(pieces(text)))
    assert page.hovers == ([{"p": 0.607, "likely": [[text, 0.607], ["b", 0.0498]]}] if text else [])


def test_a_long_prompt_is_shown_by_its_ends() -> None:
    text = "a" * 50_000 + "z"
    assert len(show.prompt_read("a model", text, 50_001, 60)) < 5000
    assert "the last 60 of 50,001 tokens" in Page(show.prompt_read("a model", text, 50_001, 60)).text
    assert Page(show.text_before(text)).text.endswith("az") and len(show.text_before(text)) < 2100
