"""The picture of the stages: whole whatever the numbers, with the text that was cut."""

import re
from xml.etree import ElementTree

import pytest

from llama_core.corpus.report.balance import StageBalance
from llama_core.corpus.report.picture import picture


def test_a_picture_is_whole_whatever_the_numbers() -> None:
    reasons = {f"reason_{i}_with_a_name_that_is_long": 10**9 + i for i in range(20)}
    empty = StageBalance("ingest", 0, 0, 0)
    most_lost = StageBalance("quality", sum(reasons.values()) + 1, 1, 1, reasons)
    grown = [
        StageBalance("ingest", 9, 9, 9, bytes_out=5),
        StageBalance("quality", 9, 9, 9, bytes_out=8),
    ]  # by masks
    for balances in (
        [],
        [empty],
        [empty] * 9,
        [most_lost, StageBalance("corpus", 1, 0, 0, held_out=1)],
        grown,
    ):
        drawn = picture(balances)
        quoted = re.sub(r"(\w+)=([^\s'\"/>]+)", r"\1='\2'", drawn)
        svg = ElementTree.fromstring(quoted)
        height = float(svg.get("viewBox", "").split()[3])
        assert all(float(text.get("y", "0")) <= height for text in svg.iter("text"))
        assert "nan" not in drawn.lower() and "inf" not in drawn.lower().replace("info", "")
    assert "14 more: " in picture([most_lost]) and "…" in picture([most_lost])


def test_the_picture_shows_text_that_was_cut_out_of_documents_that_all_go_on() -> None:
    read = StageBalance("ingest", 10, 10, 10, bytes_out=1_000_000)
    cut = StageBalance("lines", 10, 10, 10, bytes_out=300_000)
    keys = StageBalance("dedup", 10, 9, 9, {"near": 1})  # counts no text
    held = StageBalance("corpus", 9, 8, 8, held_out=1, bytes_out=200_000)
    drawn = picture([read, cut, keys, held])
    assert "1 MB → 300 kB" in drawn and "left out or cut: 700 kB" in drawn
    assert "300 kB → 200 kB" in drawn and "held out: 100 kB" in drawn
    heights = [float(h) for h in re.findall(r"class=node [^>]*height='([\d.]+)'", drawn)]
    documents, text = heights[:4], heights[4:]
    assert documents[0] == documents[1] and text[1] == pytest.approx(0.3 * text[0], abs=0.1)
    assert "of text" not in picture([StageBalance("ingest", 10, 10, 10, bytes_out=0)]), "no text, no band"
