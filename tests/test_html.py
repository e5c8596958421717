"""Web pages: text that stays text, and tables of any rows."""

from llama_core import html


def test_text_stays_text() -> None:
    hostile = "</title><script>alert(1)</script>\0\x1b"
    page = html.page(
        hostile, f"<p>{html.escape(hostile)}</p>{html.code(hostile)}{html.table([{hostile: hostile}])}"
    )
    assert "<script" not in page and page.count("</title>") == 1
    assert "\0" not in page and "\x1b" not in page and "\N{REPLACEMENT CHARACTER}" in page


def test_what_is_html_is_not_escaped_again() -> None:
    assert html.escape(html.escape("a & b")) == "a &amp; b"
    assert "<td><code>&lt;x&gt;</code></td>" in html.table([{"a": html.code("<x>")}])


def test_tables_of_any_rows_are_drawn() -> None:
    assert html.table([]) == "<p>None.</p>"
    assert "<th>a b</th><th>c</th>" in html.table([{"a_b": 1}, {"c": 2}])
    assert "<td></td>" in html.table([{"a": "1", "b": "2"}, {"a": "3"}]), "a row without a column"
    assert html.table([{"a": 1}], head=False, style="x") == "<table class=x><tr><td>1</td></tr></table>"
