"""What a person sees of a tokenizer when it is made."""

from typing import Any

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
