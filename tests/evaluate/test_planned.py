"""What a run promises: every file is read before any work, and no score is made up where one is missing."""

import gzip
import json
from pathlib import Path

import pytest
import toy_benchmark

from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.errors import InputError
from llama_core.evaluate import names, planned
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.files import Folder

TASKS = ["hellaswag", "arc_easy"]
CHOICES = ["is red.", "is a long answer, by far the longest.", "runs", "falls over."]
HELLASWAG = {"activity_label": "Roof", "ctx": "A man sits.", "endings": ["a", "b"], "label": 1}


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    hellaswag = [
        {"ind": i, "activity_label": "Roof", "ctx": f"On roof {i}. he", "label": i % 4, "endings": CHOICES}
        for i in range(20)
    ]
    arc = [
        {"id": str(i), "question": f"What is {i}?", "choices": CHOICES[i % 2 :], "gold": i % 3}
        for i in range(20)
    ]
    write(tmp_path / "data/hellaswag/hellaswag_val_preprocessed.jsonl", hellaswag)
    write(tmp_path / "data/arc/ARC-Easy_test.jsonl", arc)
    return tmp_path / "data"


def test_a_damaged_line_is_named_before_any_work(data: Path) -> None:
    planned.check(str(data), TASKS)
    file = data / "arc/ARC-Easy_test.jsonl"
    lines = file.read_text().splitlines()
    lines[3] = lines[3][:20]
    file.write_text("\n".join(lines))
    planned.check(str(data), ["hellaswag"])
    with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl, line 4"):
        planned.check(str(data), TASKS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": "\xff"}', "line 2: it is not UTF-8"),
        (b'{"a": ', "line 2: it is not JSON, or the file is cut here"),
        (b"[" * 100_000, "line 2: its values are nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 2: it is not JSON"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_cannot_be_read_is_named(data: Path, content: bytes, said: str, packed: bool) -> None:
    path = data / "arc" / "ARC-Easy_test.jsonl"
    lines = path.read_bytes().split(b"\n")
    whole = b"\n".join([lines[0], content, *lines[1:]])
    if packed:
        path.unlink()
        path = path.with_suffix(".jsonl.gz")
        whole = gzip.compress(whole)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=rf"ARC-Easy_test\.jsonl.*{said}"):
        planned.check(str(data), TASKS)
    with pytest.raises(InputError, match=rf"{path.name}, .*{said}"):
        evaluation_sets.check(str(data))


def test_a_packed_file_that_is_cut_and_an_empty_one_are_named(data: Path) -> None:
    path = data / "arc" / "ARC-Easy_test.jsonl"
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(b"\n\n")
    with pytest.raises(InputError, match=r"the files of arc_easy have no items"):
        planned.check(str(data), TASKS)
    path.unlink()
    path.with_suffix(".jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl\.gz cannot be unpacked"):
        planned.check(str(data), TASKS)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_separators_in_a_text_bytes_that_mark_the_order_and_white_lines_are_no_faults(
    tmp_path: Path, ending: str
) -> None:
    row = HELLASWAG | {"ctx": "A man\u2028sits\u0085 on\x0b it.\x1c"}
    whole = "\ufeff" + json.dumps(row, ensure_ascii=False) + "\r\n\n" + json.dumps(HELLASWAG) + "\n  \n\n"
    packed = gzip.compress(whole.encode()) if ending.endswith("gz") else whole.encode()
    (tmp_path / f"hellaswag_val{ending}").write_bytes(packed)
    planned.check(str(tmp_path), TASKS)
    found = Folder(str(tmp_path)).load(BENCHMARKS["hellaswag"])
    assert [q.context for q in found.items] == [f"Roof: {row['ctx']}", "Roof: A man sits."]


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_without_its_files_a_benchmark_is_not_promised(tmp_path: Path, folder: str | None) -> None:
    data = folder and str(tmp_path / folder)
    planned.check(data, [names.PAPER])
    assert planned.digests(data, [names.PAPER]) == {}
    said = planned.why_not(BENCHMARKS["hellaswag"], data)
    assert said.endswith(
        "had no file like *hellaswag_val.jsonl" if data else "no folder with the benchmarks' files"
    )


def test_a_link_that_leads_nowhere_is_said(data: Path) -> None:
    link = data / "arc/ARC-Easy_test.jsonl"
    link.unlink()
    link.symlink_to("gone")
    for use in (
        lambda: planned.check(str(data), TASKS),
        lambda: planned.digests(str(data), TASKS),
        lambda: evaluation_sets.check(str(data)),
        lambda: evaluation_sets.digests(str(data)),
    ):
        with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl is gone, or a link that leads nowhere"):
            use()


def test_digests_follow_what_the_files_hold_and_not_where_they_lie(data: Path) -> None:
    before = planned.digests(str(data), TASKS)
    assert before.keys() == {"data/hellaswag", "data/arc_easy"}
    moved = data.rename(data.with_name("moved"))
    assert planned.digests(str(moved), TASKS) == before
    file = moved / "arc/ARC-Easy_test.jsonl"
    file.write_text(file.read_text().replace("What", "That", 1))
    after = planned.digests(str(moved), TASKS)
    assert {k for k in before if before[k] != after[k]} == {"data/arc_easy"}
    file.unlink()
    assert planned.digests(str(moved), TASKS).keys() == {"data/hellaswag"}


def test_what_cannot_be_run_on_this_machine_or_with_these_files_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = toy_benchmark.Toy()
    monkeypatch.setitem(BENCHMARKS, "toy", toy)
    monkeypatch.setattr(
        toy, "missing", lambda v: "say pip install" if v.name == "greedy" else None, raising=False
    )
    toy_benchmark.write(tmp_path)
    planned.check(str(tmp_path), ["toy"])
    planned.check(str(tmp_path), ["toy:whole", "toy:drawn@3"], here=True)
    with pytest.raises(InputError, match="evaluate.tasks: toy:greedy cannot be run: say pip install"):
        planned.check(str(tmp_path), ["toy"], here=True)
    (tmp_path / "toy/examples.jsonl").unlink()
    planned.check(str(tmp_path), ["toy:choices"])
    with pytest.raises(InputError, match="toy wants 2 examples before each item, and its files hold 0"):
        planned.check(str(tmp_path), ["toy"])


def test_a_service_that_scores_makes_another_evaluation_and_its_key_is_wanted_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "realtoxicityprompts/prompts.jsonl", [{"prompt": {"text": "It was"}}])
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    without = planned.digests(str(tmp_path), ["realtoxicityprompts"])
    monkeypatch.setenv("PERSPECTIVE_API_KEY", "a key")
    opened = planned.digests(str(tmp_path), ["realtoxicityprompts"])
    assert opened.keys() - without.keys() == {"service/realtoxicityprompts"}
    assert planned.promised(opened) == planned.promised(without)
    planned.check_services(opened)
    monkeypatch.delenv("PERSPECTIVE_API_KEY")
    planned.check_services(without)
    with pytest.raises(InputError, match="realtoxicityprompts was promised with scores"):
        planned.check_services(opened)
