"""The balance of the stages: sums that hold, and a word where they do not."""

from corpus.report.made import Made

from llama_core.corpus.report.balance import (
    StageBalance,
    balance_rows,
    size,
    source_balances,
    stage_balance,
)


def test_the_way_of_a_source_is_conserved_from_stage_to_stage(made: Made) -> None:
    _, [web, _], text = made
    balances = source_balances(web, text)
    assert [(b.stage, b.into, b.passed_on) for b in balances] == [
        ("ingest", 24, 23),
        ("quality", 23, 17),
        ("dedup", 17, 17),
        ("corpus", 17, 17),
        ("decontaminate", 17, 16),
    ]
    assert all(b.holds for b in balances)
    assert balances[1].lost == {"not_wanted": 6} and balances[4].lost == {"contaminated": 1}
    assert balances[2].bytes_out == balances[3].bytes_out > balances[4].bytes_out


def test_a_sum_that_does_not_hold_is_said() -> None:
    lost = StageBalance("quality", 10, 8, 8, {"a": 1})
    on_the_way = StageBalance("dedup", 7, 7, 7, expected=8)
    fine = StageBalance("corpus", 7, 6, 6, held_out=1, expected=7)
    rows = [row["balance"] for row in balance_rows([lost, on_the_way, fine])]
    assert rows == ["DOES NOT HOLD", "DOES NOT HOLD", "holds"]


def test_a_stage_that_passes_no_documents_on_has_no_balance() -> None:
    assert stage_balance("tokens", {"documents": 3, "tokens": 99}) is None
    assert stage_balance("tokenizer", {}) is None


def test_other_counts_of_a_stage_are_told_with_its_balance() -> None:
    counts = {"documents": 3, "kept.train": 3, "bytes": 9, "language.en": 2, "masks.email": 7}
    stage = stage_balance("quality", counts)
    assert stage is not None and balance_rows([stage])[0]["counted"] == "masks email 7, language en 2"


def test_sizes_are_read_by_people() -> None:
    sizes = [size(n) for n in (0, 999, 1000, 12_345, 999_400, 1_400_000_000, 5 * 10**12)]
    assert sizes == ["0 B", "999 B", "1 kB", "12.3 kB", "999 kB", "1.4 GB", "5 TB"]
