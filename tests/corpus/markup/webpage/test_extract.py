"""The text of web pages: their encoding, their main content, and pages that are made to cost time."""

import gzip
import json
import re
import time
from collections import Counter

import pytest
from corpus import warcs
from corpus.helpers import SAMPLES, needs_samples

from llama_core.corpus.markup.webpage.extract import extract

LIMIT = 4 << 20  # bytes of a page, as the recipe has it


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head><title> A  title </title>{head}</head><body>{body}</body></html>"


def text(html: str | bytes, charset: str = "") -> str:
    found = extract(html.encode() if isinstance(html, str) else html, charset)
    assert isinstance(found, tuple), found
    return found[1]


def test_the_main_content_is_kept_and_what_surrounds_it_is_not() -> None:
    menu = "<nav><ul><li><a href=/>Home page</a><li><a href=/b>Imprint</a></ul></nav>"
    foot = "<footer>All rights are reserved</footer><script>var x = 'a script';</script>"
    title, found = extract(page(f"{menu}<main><h1>The island</h1>{warcs.ARTICLE}</main>{foot}").encode(), "")
    assert title == "A title"
    assert found.startswith("The island") and found.count("The weather of this island is mild") == 8
    assert not re.search("Home page|Imprint|reserved|script|<", found)


def test_spaces_at_the_ends_of_lines_are_off_and_code_keeps_its_own() -> None:
    code = "def f():\n    return 1"
    found = text(
        page(f"<p>&nbsp;</p>{warcs.ARTICLE}<br>&nbsp;&nbsp;<br><br><br><br><pre>{code}  </pre><p>&nbsp;")
    )
    assert found.startswith("The weather") and found.endswith(code) and "\n\n\n" not in found


@pytest.mark.parametrize(
    ("encoding", "declared", "meta"),
    [
        ("utf-8", "", ""),
        ("utf-8", "iso-8859-1", ""),  # a server that is wrong, as is common
        ("windows-1251", "windows-1251", ""),
        ("windows-1251", "", "<meta charset=windows-1251>"),
        ("koi8-r", "KOI8-R", ""),
        ("utf-16", "", ""),
        ("utf-16-le", "utf-16le", ""),
    ],
)
def test_text_is_decoded_as_its_server_or_itself_says(encoding: str, declared: str, meta: str) -> None:
    words = "Погода на острове мягкая, и зимой часто идут дожди. "
    assert text(page(f"<p>{words * 9}</p>", meta).encode(encoding), declared).startswith(words.strip())


def test_what_cannot_be_decoded_or_is_no_html_ends_without_an_error_of_ours() -> None:
    for data in (b"", b"\xff\xfe\x00", b"\0" * 1000, bytes(range(256)) * 20, b"GIF89a" + b"\x80" * 500):
        for charset in ("", "utf-8", "utf-7", "x-user-defined", "no-such-charset", "utf-16"):
            assert isinstance(extract(data, charset), tuple | str)


def many(kinds: int, times: int) -> str:
    return "<p>" + "".join(f"<font a={i}>" for i in range(kinds)) + "<p>x" * times


@pytest.mark.parametrize(
    ("html", "error"),
    [
        ("<div>" * (LIMIT // 5), "too_many_elements"),
        ("<div>" * 90_000, "too_deep"),
        ("<ul><li>x" * 45_000, "too_deep"),
        ("<svg>" * 90_000, "too_deep"),
        (many(2000, 20_000), "too_many_elements"),
        (many(24, 19_000), ""),
        ("<a " + " ".join(f"a{i}=1" for i in range(400_000)) + ">", "too_many_attributes"),
        ("<a " + "b" * 9 + " =c" * 400_000 + ">", "too_many_attributes"),
        (("<a " + " ".join(f"a{i}=1" for i in range(1900)) + ">") * 100, ""),
        ("<div>" * 500 + "</p>" * 95_000, ""),
        ("<table>" + "x<b>" * 90_000, "too_deep"),
        ("<template>" * 90_000, ""),
        ("<select><option>" * 45_000, ""),
        ("<b><i>" + "</b></i><b><i>" * 20_000, ""),
        ("<!--" * (LIMIT // 4), "too_many_elements"),
        ("<script>" * 90_000, ""),
        ("&amp" * (LIMIT // 4), ""),
        ('<div class="' + "comment " * (LIMIT // 8) + '">x', ""),
        ("x" * LIMIT, ""),
        ("<" * LIMIT, "too_many_elements"),
    ],
    ids=lambda value: value[:24] if len(value) > 24 else None,
)
def test_a_hostile_page_takes_seconds_at_most(html: str, error: str) -> None:
    """The largest pages that a recipe lets through, made of what costs a parser most."""
    assert len(html) <= LIMIT + 100
    start = time.process_time()
    found = extract(html.encode(), "")
    assert time.process_time() - start < 20  # 6 s and less, where nothing else runs
    assert found == error if error else isinstance(found, tuple)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return (
        Counter(zip(*(words[i:] for i in range(4)), strict=False)) if len(words) > 3 else Counter([(*words,)])
    )


@needs_samples
def test_real_articles_are_extracted_with_an_f1_of_nine_tenths() -> None:
    """F1 is that of Scrapinghub's article-extraction-benchmark: shares of 4-grams, averaged over pages."""
    folder = SAMPLES / "html_eval"
    truth = json.loads((folder / "ground-truth.json").read_text())
    pages = {name: folder / "html" / f"{name}.html.gz" for name in truth}
    pages = {name: path for name, path in pages.items() if path.exists()}
    right = missed = wrong = seconds = 0.0
    for name, path in pages.items():
        data = gzip.decompress(path.read_bytes())
        start = time.process_time()
        found = shingles(text(data))
        seconds += time.process_time() - start
        wanted = shingles(truth[name]["articleBody"])
        all_of = (found | wanted).total()
        right += (found & wanted).total() / all_of
        wrong += (found - wanted).total() / all_of
        missed += (wanted - found).total() / all_of
    precision, recall = right / (right + wrong), right / (right + missed)
    f1 = 2 * precision * recall / (precision + recall)
    print(f"{len(pages)} pages: F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}, {seconds:.1f} s")
    assert len(pages) > 100 and f1 >= 0.90
