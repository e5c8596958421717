"""The report shows the paper's tables that have a value of ours, and folds up the others."""

from evaluated import done, evaluated, trained

from llama_core.evaluate.tables.ours import ours
from llama_core.evaluate.tables.report import with_ours, without_ours
from llama_core.store import Store


def test_tables_with_a_value_are_shown_and_the_others_folded_up(store: Store) -> None:
    train = trained(store)
    model = ours("llama-mine", evaluated(train, {"race_high": done(0.2, 3498)}), train, watts=250.0)
    shown, folded = with_ours([model]), without_ours([model])
    assert [line.partition(":")[0] for line in shown.splitlines() if line.startswith("#")] == [
        "### Table 6",
        "### Table 15",
    ]
    assert "| llama-mine | 6.74B | - | 20.0 |" in shown and "| llama-mine | CPU | 250 \\[1\\] |" in shown
    assert shown.endswith(
        "Without a value: " + ", ".join(f"Table {n}" for n in (3, 4, 5, *range(7, 15))) + "."
    )
    assert folded.startswith("<details><summary>") and folded.count("<table") == 11
    assert "Table 6:" not in folded and "Table 15:" not in folded


def test_a_model_that_was_imported_has_no_table_15(store: Store) -> None:
    train = trained(store)
    model = ours("mine", evaluated(train, {}), None)
    assert with_ours([model]).startswith("None.") and "Table 15:" in without_ours([model])
