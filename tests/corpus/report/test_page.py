"""The corpus page: pictures, tables and texts, whatever the texts hold."""

import re
from html.parser import HTMLParser

from corpus.report.made import Made

from llama_core.corpus.report.page import bars, page

ELEMENTS = {"html", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "pre", "code", "i"}
ELEMENTS |= {"table", "tr", "th", "td", "svg", "text", "rect", "path", "circle"}


class Checker(HTMLParser):
    """Fails on an element that is not closed, and collects those that there are."""

    VOID = {"meta", "rect", "circle", "path", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag:
            assert (last := self.open.pop()) in self.VOID | {"html"}, (
                f"<{last}> is not closed before </{tag}>"
            )
        assert self.open.pop() == tag


def test_the_page_shows_what_was_kept_and_what_was_left_out(made: Made) -> None:
    text = page(*made)
    assert text.count("<svg") == 2 and "DOES NOT HOLD" not in text
    kept, left = text.split("<h3>Kept</h3>")[1].split("<h3>Left out</h3>")[:2]
    assert "document 1 to be kept" in kept and "to be dropped" not in kept and "quoted q" not in kept
    assert "document 0 to be dropped" in left and "quality: not wanted" in left
    assert "a.org" in text and "1 of 19 training documents share 13 words" in text
    assert "quiz" in text and "question3 question4" in text


def test_texts_and_urls_cannot_leave_their_place_on_the_page(made: Made) -> None:
    text = page(*made)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)
    checker = Checker()
    checker.feed(text)
    assert checker.seen <= ELEMENTS


def test_bars_show_the_share_of_the_longest_and_no_markup_of_a_name() -> None:
    drawn = bars([("<b>", 200), ("", 50)], more=3)
    assert "<td>&lt;b&gt;</td><td><i style='width:100.0%'></i></td><td>200</td>" in drawn
    assert "<td>none</td><td><i style='width:25.0%'></i></td>" in drawn and "and 3 more" in drawn
    assert "more" not in bars([("MIT", 1)])
