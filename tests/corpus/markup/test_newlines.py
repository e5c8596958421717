"""Lines end in `\\n` alone, whatever they ended in before."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus import warcs
from corpus.helpers import documents_of
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.markup.newlines import code_with_newlines, with_newlines
from llama_core.corpus.recipe import CommonCrawl, Files, StackExchange

LINES = [
    f"Line {number} of a text that is long enough to be kept by the source that reads it."
    for number in range(9)
]
ENDS = ["\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"]


@given(st.text(st.sampled_from("ab\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029 ")))
def test_lines_are_those_of_splitlines(text: str) -> None:
    assert f"{with_newlines(text)}|".split("\n") == f"{text}|".splitlines()


def test_code_keeps_its_form_feeds_and_the_characters_of_its_strings() -> None:
    assert code_with_newlines('a = "\u2028"\r\n\f\rb\n') == 'a = "\u2028"\n\f\nb\n'


@pytest.mark.parametrize("end", ENDS)
def test_every_source_of_prose_gives_lines_of_one_kind(
    end: str, tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    text = end.join(LINES)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.warc.wet.gz").write_bytes(warcs.members(warcs.page(1, f"Title\n{text}")))
    body = "".join(c if c.isascii() and c.isprintable() else f"&#{ord(c)};" for c in text)
    row = f'<row Id="1" PostTypeId="1" Title="T" Body="&lt;pre>{body}&lt;/pre>" />'
    (tmp_path / "Posts.xml").write_text(f"<posts>{row}</posts>")
    assert with_newlines(text).split("\n") == LINES
    read = {
        "jsonl": ingested(Files(kind="files", urls=[str(tmp_path / "a.jsonl")]), "jsonl"),
        "txt": ingested(Files(kind="files", urls=[str(tmp_path / "a.txt")]), "txt"),
        "wet": ingested(CommonCrawl(kind="commoncrawl", urls=[str(tmp_path / "*.wet.gz")]), "wet"),
        "posts": ingested(StackExchange(kind="stackexchange", urls=[str(tmp_path / "Posts.xml")]), "posts"),
    }
    if end in "\v\f":
        del read["posts"]  # XML allows no reference to these
    for name, artifact in read.items():
        (document,) = documents_of(artifact)
        assert document.text.removeprefix("Q: T").strip("\n").split("\n") == LINES, name
