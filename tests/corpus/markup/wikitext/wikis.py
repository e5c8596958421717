"""Wikis of a few templates, defined in the ways in which the Wikipedias define theirs."""

import datetime
from collections.abc import Callable

from llama_core.corpus.markup.wikitext.expand.definitions import Definitions, defined
from llama_core.corpus.markup.wikitext.page import Page, read_page


def wiki(language: str, templates: dict[str, str]) -> Callable[[str], Page]:
    """Return what reads a page of a wiki with these templates; one that begins with `->` is a redirect."""
    found = []
    for title, text in templates.items():
        target = text.removeprefix("->") if text.startswith("->") else ""
        found.append(defined(f"Template:{title}", target and f"Template:{target}", text))
    definitions = Definitions(definition for definition in found if definition)
    today = datetime.datetime(2001, 3, 4, 5, 6)
    return lambda wikitext: read_page(
        wikitext, "The page", language=language, definitions=definitions, today=today
    )
