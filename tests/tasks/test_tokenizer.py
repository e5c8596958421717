"""What a person sees of a tokenizer when it is made."""

from typing import Any

import httpx
from pipeline import Pipeline

from tasks.tokenizer import bytes_per_token, summary

FACTS: dict[str, Any] = {
    "bytes_per_token": {"books": 4.0, "wiki": 3.5},
    "bytes_per_token_by_language": {"books": {"en": 4.0}, "wiki": {"de": 3.25, "en": 3.75}},
}
OTHER = {
    "bytes_per_token": {"books": 3.9, "wiki": 3.4},
    "bytes_per_token_by_language": {"books": {"en": 3.9}, "wiki": {"de": 3.0, "en": 3.8}},
}


def test_bytes_per_token_are_a_row_for_each_source_and_language_and_a_line() -> None:
    assert [tuple(row.values()) for row in bytes_per_token(FACTS)] == [
        ("books", "en", "4.00"),
        ("wiki", "all", "3.50"),
        ("wiki", "de", "3.25"),
        ("wiki", "en", "3.75"),
    ]
    assert summary(FACTS) == "bytes per token: books 4.00, wiki 3.50"


def test_another_tokenizer_stands_beside_ours() -> None:
    facts = FACTS | {"compared_with": {"released.model": OTHER}}
    assert bytes_per_token(facts)[2] == {
        "source": "wiki",
        "language": "de",
        "bytes per token": "3.25",
        "released.model": "3.00",
    }
    assert summary(facts).endswith("; released.model: books 3.90, wiki 3.40")


def test_a_run_shows_them_in_the_terminal_and_as_a_table_in_prefect(
    prefect_url: str, micro: Pipeline
) -> None:
    output = micro.ok("--flow", "tokenizer")
    assert "bytes per token: code " in output
    asked = {"artifacts": {"key": {"any_": ["bytes-per-token"]}}}
    table, *_ = httpx.post(f"{prefect_url}/artifacts/filter", json=asked, timeout=30).json()
    assert '"source": "docs"' in table["data"]
