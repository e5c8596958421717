"""Decisions: groups are held out as a whole, no text is on both sides, and the order changes nothing."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import documents_of, recipe_of, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus.decisions import Decision, read_decisions
from llama_core.errors import InputError, RecipeError
from llama_core.recipe import Recipe

Run = Callable[[Recipe], tuple[Artifact, Artifact]]


def sentences(seed: int, words: int = 120) -> list[str]:
    rng = random.Random(seed)
    return [f"term{rng.randrange(4000)}" for _ in range(words)]


def variant(words: list[str], at: int, longer: bool = False) -> str:
    changed = [*words]
    changed[at] = "changed"
    return " ".join(changed + (["tail"] if longer else []))


def decisions_of(decided: Artifact) -> dict[str, Decision]:
    return {d.id: d for shard in decided.shards for d in read_decisions(decided, shard.name)}


def package_files(name: str, texts: list[str]) -> dict[str, str]:
    return {f"{name}/m{i}.py": "\n".join(t.split()) + "\n" for i, t in enumerate(texts)}


def test_of_a_cluster_the_longest_stays_and_exact_copies_point_at_it(tmp_path: Path, corpus: Run) -> None:
    a, b = sentences(1, words=400), sentences(2)
    texts = [variant(a, 5), " ".join(a), variant(a, 60, longer=True), " ".join(b), " ".join(b)]
    write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in texts])
    decided, whole = corpus(recipe_of({"web": {"kind": "files", "urls": [str(tmp_path / "a.jsonl")]}}))
    kept = [d.text for d in documents_of(whole, "train.parquet")]
    assert kept[0] == texts[2] and kept[1:] == [texts[3]]
    assert decided.counts == {"documents": 5, "dropped.exact": 1, "dropped.near": 2, "kept.train": 2}
    assert decided.facts["clusters"] == 2
    example = decided.facts["examples"][0]
    assert example["kept"].endswith("a.jsonl#2") and 0.8 <= example["similarity"] < 1


def test_a_held_out_group_is_held_out_whole_and_shares_no_text_with_training(
    site: Callable[..., Path], corpus: Run
) -> None:
    shared, near, own = sentences(3), sentences(4), sentences(5)
    train = [" ".join(shared), " ".join(near), " ".join(sentences(6))]
    held = [" ".join(shared), variant(near, 7, longer=True), " ".join(own), variant(own, 9)]
    site("seen", package_files("seen", train))
    site("unseen", package_files("unseen", held))
    source = {"kind": "packages", "packages": ["seen", "unseen"], "min_chars": 50}
    decided, whole = corpus(recipe_of({"code": source}, holdout=["unseen"]))
    assert decided.counts == {
        "documents": 7,
        "kept.train": 3,
        "kept.heldout": 1,
        "dropped.heldout_near": 2,
        "dropped.near": 1,
    }
    assert {json.loads(d.meta)["package"] for d in documents_of(whole, "train.parquet")} == {"seen"}
    assert {json.loads(d.meta)["package"] for d in documents_of(whole, "heldout.parquet")} == {"unseen"}


def test_who_survives_depends_on_neither_order_nor_partitioning(tmp_path: Path, corpus: Run) -> None:
    rng = random.Random(7)
    texts = []
    for seed in range(12):
        words = sentences(100 + seed)
        texts += [variant(words, rng.randrange(120), longer=rng.random() < 0.5) for _ in range(4)]
    survivors = []
    for arrangement in range(3):
        folder = tmp_path / str(arrangement)
        folder.mkdir()
        rng.shuffle(texts)
        parts = arrangement + 1
        for part in range(parts):
            write_jsonl(folder / f"{part}.jsonl", [{"text": t} for t in texts[part::parts]])
        recipe = recipe_of({"web": {"kind": "files", "urls": [f"{folder}/*.jsonl"]}})
        _, whole = corpus(recipe)
        survivors.append(sorted(len(d.text) for d in documents_of(whole, "train.parquet")))
    assert survivors[0] == survivors[1] == survivors[2] and len(survivors[0]) < 48


def test_a_fraction_holds_out_the_same_documents_whatever_else_there_is(tmp_path: Path, corpus: Run) -> None:
    def held(count: int) -> set[str]:
        path = write_jsonl(tmp_path / "a.jsonl", [{"text": " ".join(sentences(i))} for i in range(count)])
        source = {"kind": "files", "urls": [str(path)]}
        _, whole = corpus(recipe_of({"web": source}, holdout_fraction=0.2))
        return {d.id for d in documents_of(whole, "heldout.parquet")}

    few, many = held(100), held(300)
    assert few and few <= many and 30 < len(many) < 90


def test_holding_out_an_unknown_group_names_the_groups_that_there_are(
    site: Callable[..., Path], corpus: Run, tmp_path: Path
) -> None:
    site("seen", package_files("seen", [" ".join(sentences(1))]))
    source = {"kind": "packages", "packages": ["seen"], "min_chars": 50}
    with pytest.raises(RecipeError, match=r"holdout names 'sene', .*: seen"):
        recipe_of({"code": source}, holdout=["sene"])
    (tmp_path / "a.jsonl").write_text("no json\n")
    own = {"kind": "files", "urls": [str(tmp_path / "a.jsonl")]}  # whose groups are known when it is read
    with pytest.raises(InputError, match=r"corpus\.holdout names sene, which is no group; there are: seen"):
        corpus(recipe_of({"code": source, "web": own}, holdout=["sene"]))


def test_a_corpus_without_documents_is_decided_too(tmp_path: Path, corpus: Run) -> None:
    (tmp_path / "a.jsonl").write_text("no json\n")
    decided, whole = corpus(recipe_of({"web": {"kind": "files", "urls": [str(tmp_path / "a.jsonl")]}}))
    assert decided.counts == {"documents": 0} and whole.counts == {}


def test_every_drop_names_a_document_that_its_reader_can_look_up(tmp_path: Path, corpus: Run) -> None:
    words = sentences(9)
    texts = [variant(words, i) for i in range(0, 120, 8)] + [" ".join(words)] * 3
    write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in texts])
    decided, _ = corpus(recipe_of({"web": {"kind": "files", "urls": [str(tmp_path / "a.jsonl")]}}))
    decisions = decisions_of(decided)
    assert sum(d.keep for d in decisions.values()) == 1
    for decision in decisions.values():
        assert decision.keep == (not decision.evidence)
        assert decision.keep or (
            decision.evidence["kept"] in decisions and decision.evidence["similarity"] > 0.7
        )
