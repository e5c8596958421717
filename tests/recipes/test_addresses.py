"""The addresses of the presets' steps. One that changes has every such training start from step 0.

The inputs are made up, each known by its name, so an address here tells of a stage's settings and revision.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import Field

from llama_core.artifact import Artifact, digest_of
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import Files
from llama_core.corpus.sources.raw import Raw
from llama_core.corpus.training_text import TrainingText
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.recipes.training import Train
from llama_core.section import Default, Identity, Section, in_address, in_full
from llama_core.step import Step
from llama_core.store import Store
from tasks import clean, tracking
from tasks.corpus import corpus
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.export import export
from tasks.ingest import ingest_source
from tasks.run import Run
from tasks.tokenizer import tokenizer
from tasks.tokens import tokens
from tasks.train import train

GOLDEN = {
    "micro": {
        "ingest.code": "e95f4f51495d2b95",
        "ingest.docs": "e0caabb82c03111e",
        "dedup": "331eb1038faee075",
        "corpus": "27cc8ea62659f1ec",
        "decontaminate": "891cda10474e898a",
        "tokenizer": "5d0d5dfa7a19a6ff",
        "tokens": "fef332975d1fc9d1",
        "train": "a44c96f0eec1e661",
        "evaluate": "dcde744fca46dd49",
        "export": "2df33a58957b22cf",
    },
    "tiny": {
        "ingest.code": "786868849763dc92",
        "ingest.docs": "203b8fa96c44e468",
        "dedup": "0c7bc7bde7aea8aa",
        "corpus": "629d06c3c4abbfc8",
        "decontaminate": "891cda10474e898a",
        "tokenizer": "73a90d90fb85fb31",
        "tokens": "fef332975d1fc9d1",
        "train": "283800b184b6f708",
        "evaluate": "4140bbc17f0af730",
        "export": "2df33a58957b22cf",
    },
    "llama-v1": {
        "ingest.commoncrawl": "f125fd73f2a368eb",
        "lines.commoncrawl": "9f184df023a5e902",
        "quality.commoncrawl": "c90c247e6ac5aaa1",
        "language_models.commoncrawl": "3ebbe0109cbe9fd1",
        "perplexity.commoncrawl": "dba31da110c86569",
        "references.commoncrawl": "773e345ee8cf683e",
        "ingest.c4": "7a7362e51ccecd2a",
        "ingest.github": "05760c5b9b109123",
        "ingest.wikipedia": "b7bf3c099d77b750",
        "ingest.books": "f2ecb7aa812c65ee",
        "ingest.arxiv": "92ff9fe1dd154249",
        "ingest.stackexchange": "8f385d7ab45801a0",
        "dedup": "df2f376330fc7bb0",
        "corpus": "9f27915623d71881",
        "decontaminate": "891cda10474e898a",
        "tokenizer": "8fd803933d647ff7",
        "tokens": "fef332975d1fc9d1",
        "train": "3df1d4e1d7602ea4",
        "evaluate": "8dd71f77edfe16cf",
        "export": "2df33a58957b22cf",
    },
}
TRAINED = {
    "7b": "3df1d4e1d7602ea4",
    "13b": "25776dab04cfb3d7",
    "33b": "4a77bc113dd8b900",
    "65b": "a16ab02321093c5b",
}


class Reached(Exception):
    """A stage has made its step."""


@dataclass
class Addresses:
    """The addresses of all steps of a recipe whose address its settings tell."""

    run: Run
    patch: pytest.MonkeyPatch
    found: dict[str, str] = field(default_factory=dict)

    def of(self, title: str, task: Any, *args: Any) -> None:
        def finished(step: Step) -> None:
            self.found[title] = step.id[:16]
            raise Reached

        self.patch.setattr(Step, "finished", finished)
        with pytest.raises(Reached):
            task.fn(self.run, *args)

    def made(self, stage: str) -> Artifact:
        """A finished step without shards."""
        value = {"stage": stage, "id": digest_of([stage]), "digest": digest_of(stage), "counts": {}}
        artifact = Artifact(self.run.store, value)
        artifact.__dict__["shards"] = []
        return artifact

    def all(self) -> dict[str, str]:
        sources = self.run.recipe.corpus.sources
        documents = {name: Documents(name, self.made(f"ingest.{name}")) for name in sources}
        for name, source in sources.items():
            mine = documents[name]
            self.of(f"ingest.{name}", ingest_source, name, [Raw("raw", "memory://raw", "digest")])
            if source.clean.lines:
                self.of(f"lines.{name}", clean.lines, name, mine)
            if source.clean.has_quality:
                self.of(f"quality.{name}", clean.quality, name, mine)
            if cfg := source.clean.perplexity:
                models = self.made("language_models")
                self.of(f"language_models.{name}", clean.language_models, name, documents[cfg.train_on])
                self.of(f"perplexity.{name}", clean.perplexity, name, mine, models)
            if source.clean.references:
                self.of(f"references.{name}", clean.references, name, mine, documents["wikipedia"], None)
        text = TrainingText(self.made("corpus"))
        words, ids, model = (self.made(stage) for stage in ("tokenizer", "tokens", "train"))
        self.of("dedup", dedup, documents)
        self.of("corpus", corpus, documents)
        self.of("decontaminate", decontaminate, text.corpus)
        self.of("tokenizer", tokenizer, text)
        self.of("tokens", tokens, text, words)
        self.of("train", train, text.corpus, words, ids)
        self.of("evaluate", evaluate, text.corpus, words, ids, model)
        self.of("export", export, words, model)
        return self.found


@pytest.fixture
def addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`addresses("tiny")`: the addresses of a recipe's steps, with one evaluation set."""
    (tmp_path / "quiz.jsonl").write_text('{"question": "What is it?"}\n')
    monkeypatch.setattr(tracking, "training_run", lambda *args: "run")

    def of(name: str, /, **overrides: Any) -> dict[str, str]:
        recipe = load_recipe(name, {"evaluate.data": str(tmp_path)} | overrides)
        return Addresses(Run(recipe, Store(str(tmp_path / "store"))), monkeypatch).all()

    return of


@pytest.mark.parametrize("name", GOLDEN)
def test_the_addresses_of_a_preset_stay_unless_a_revision_is_raised(addresses: Any, name: str) -> None:
    assert addresses(name) == GOLDEN[name]


@pytest.mark.parametrize("name", TRAINED)
def test_the_sizes_differ_in_their_training_alone(addresses: Any, name: str) -> None:
    assert addresses(name) == GOLDEN["llama-v1"] | {"train": TRAINED[name]}


def test_where_work_is_done_is_part_of_no_address(addresses: Any) -> None:
    elsewhere = {"launch.procs_per_node": 4, "layout.micro_batch": 4, "run.workers": 7, "name": "other"}
    elsewhere |= {"evaluate.launch.nodes": 3, "evaluate.at": "{every: 5000, tasks: [piqa]}"}
    assert addresses("micro", **elsewhere) == GOLDEN["micro"]


class Spiky(Section):
    kind: Identity[str]
    """A field without a default."""
    limit: Identity[float] = 3.0
    """A field with one."""


class Quieter(Section):
    loud: Identity[bool] = False
    """A field whose default is not the one of the section that holds it."""


class LaterTrain(Train):
    """`Train` as a later version may have it."""

    patience: Identity[int] = 3
    """A new field."""
    words: Identity[list[str]] = Field(default_factory=lambda: ["a"])
    """A new field whose default is made anew each time."""
    spikes: Identity[Spiky | None] = None
    """A new section that is not there by default."""
    quieter: Quieter = Quieter(loud=True)
    """A new section."""


@pytest.mark.parametrize("name", ["micro", *TRAINED])
def test_a_new_field_with_a_default_leaves_a_known_address_as_it_was(addresses: Any, name: str) -> None:
    before = load_recipe(name)
    later = LaterTrain(**before.train.model_dump())
    assert later.identity() != before.train.identity()

    def train_step(train: Train) -> Step:
        return Step(Store("memory://addresses"), "train", 1, {"train": train.identity(), "words": 3})

    assert train_step(later).id == train_step(before.train).id
    shown = train_step(later).identity["train"]
    assert shown["patience"] == 3 and shown["words"] == ["a"] and shown["quieter"] == {"loud": True}
    assert shown["lr"] == before.train.lr and shown["beta1"] == 0.9
    others = [
        {"patience": 4},
        {"words": []},
        {"spikes": Spiky(kind="x")},
        {"spikes": Spiky(kind="y")},
        {"spikes": Spiky(kind="x", limit=4)},
        {"quieter": Quieter()},
    ]
    steps = [train_step(later.model_copy(update=other)) for other in others]
    assert len({step.id for step in steps} | {train_step(later).id}) == len(others) + 1
    again = [Step.from_dict(step.as_dict()) for step in steps]
    assert [step.id for step in again] == [step.id for step in steps]
    assert [step.identity for step in again] == [step.identity for step in steps]


def test_a_member_of_a_union_keeps_what_tells_it_from_others() -> None:
    web = load_recipe("micro", {"corpus.sources": {"a": {"kind": "files"}}, "mixture": {"a": 1}}).corpus
    assert in_address(web.identity()) == {"sources": {"a": {"kind": "files"}}}
    assert in_full(web.identity())["sources"]["a"] == in_full(Files(kind="files").identity())
    assert web.identity()["sources"]["a"]["min_chars"] == Default(200)


def sections(annotation: Any) -> list[type[Section]]:
    """The sections that a type names, those inside included."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        below = [s for f in annotation.model_fields.values() for s in sections(f.annotation)]
        return list(dict.fromkeys([annotation, *below]))
    return list(dict.fromkeys(s for inner in get_args(annotation) for s in sections(inner)))


def identity_defaults() -> dict[str, dict[str, Any]]:
    """The default of every identity field that has one, by section."""
    found: dict[str, dict[str, Any]] = {}
    for section in sections(Recipe):
        for name, info in section.model_fields.items():
            if "identity" in info.metadata and not info.is_required():
                value = info.get_default(call_default_factory=True, validated_data={})
                plain = in_full(value.identity()) if isinstance(value, Section) else value
                found.setdefault(section.__name__, {})[name] = plain
    return found


def test_no_default_changes_unnoticed() -> None:
    """An address leaves a default out, so it cannot tell the one of today from that of tomorrow."""
    known = json.loads((Path(__file__).parent / "defaults.json").read_text())
    now = json.loads(json.dumps(identity_defaults()))
    changed = {
        f"{section}.{name}"
        for section, fields in known.items()
        for name, value in fields.items()
        if now.get(section, {}).get(name, "gone") != value
    }
    assert not changed, f"raise the REVISION of each stage that takes {changed}, then write the default down"
    assert now == known, "a new field: write its default down in defaults.json"
