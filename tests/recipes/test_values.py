"""What a later stage would refuse is refused before any work."""

import itertools
from pathlib import Path
from typing import Any, get_args

import annotated_types
import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils import validation

from llama_core.errors import LlamaError, RecipeError
from llama_core.recipe import Recipe, model_alias, model_name
from llama_core.recipes.fields import members, source_kinds
from llama_core.recipes.load import load_recipe
from llama_core.section import Section
from tasks.run import open_run

LONGEST = "x" * 300


def fields(section: type[Section], path: str = "") -> dict[str, tuple[Any, Any]]:
    """The type and the field of every value of a section, by its key."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, field in section.model_fields.items():
        key = f"{path}{field.alias or name}"
        inner = [k for k in members(field.annotation) if isinstance(k, type) and issubclass(k, Section)]
        if inner:
            found |= fields(inner[0], f"{key}.")
        else:
            found[key] = (field.annotation, field)
    return found


def wrong_values(kind: Any, field: Any) -> list[Any]:
    """Values that a field of this type cannot have, whatever it is for."""
    kinds = members(kind)
    bad: list[Any] = [{"a": {"b": 1}}] if "dict" not in str(kind) else [] if str in kinds else [7]
    for limit in field.metadata:
        if isinstance(limit, annotated_types.Ge):
            bad += [limit.ge - 1]
        elif isinstance(limit, annotated_types.Gt):
            bad += [limit.gt, limit.gt - 1]
        elif isinstance(limit, annotated_types.Le):
            bad += [limit.le * 2 + 1]
        elif isinstance(limit, annotated_types.Lt):
            bad += [limit.lt]
    if int in kinds:
        bad += [2**63, -(2**64), 0.5, "x", "1:20", "nan", ".inf", [1], "1e400"]
    if float in kinds:
        bad += [".nan", ".inf", "-.inf", "1e400", "x", "12:00:00", [0.5], float("nan")]
    if bool in kinds:
        bad += ["maybe", 2, [True]]
    if str in kinds:
        bad += ["a\0b", "a\udc80b", *([] if "list" in str(kind) else [["a"]])]
    if any("list" in str(k) for k in kinds):
        bad += [[["a"]], [{"a": 1}], ["a\0"]]
    bad += [f"no such {name}" for k in kinds for name in get_args(k)[:1] if isinstance(name, str)]
    return bad


PLACES = {key: wrong_values(*found) for key, found in fields(Recipe).items() if "time_limit" not in key}
CLEAN: dict[str, Any] = {
    "lines": {},
    "language": {},
    "filters": {"c4": {}},
    "perplexity": {"train_on": "docs"},
    "references": {"wikipedia": "docs"},
}
IN_SOURCES = {
    (kind, key): wrong_values(*found)
    for kind, section in source_kinds().items()
    for key, found in fields(section).items()
    if key != "kind" and (kind == "files" or not key.startswith("clean."))  # which is the same for all
}


def refused(overrides: dict[str, Any], says: str | None = None) -> None:
    with pytest.raises(LlamaError, match=says) as caught:
        open_run("micro", overrides, "/dev/null/no-store")  # which is an error of another kind
    assert isinstance(caught.value, RecipeError), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", PLACES)
def test_a_value_that_its_field_cannot_have_is_refused(key: str) -> None:
    assert len(PLACES) > 60 and PLACES[key]
    for value in PLACES[key]:
        refused({key: value})


@pytest.mark.parametrize(("kind", "key"), IN_SOURCES)
def test_a_value_that_a_field_of_a_source_cannot_have_is_refused(kind: str, key: str) -> None:
    needed = {"packages": {"packages": ["click"]}, "dataset": {"path": "json"}}.get(kind, {})
    source = {"kind": kind, "clean": CLEAN} | needed
    known = {"corpus.sources": {"x": source, "docs": source}, "mixture": {"x": 0.5, "docs": 0.5}}
    load_recipe("micro", known)
    for value in IN_SOURCES[kind, key]:
        refused(known | {f"corpus.sources.x.{key}": value})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("name", "", "name: it is empty"),
        ("name", "a/b", "allows no '/'"),
        ("register.model_name", "a/b", "register.model_name: the registry allows no '/'"),
        ("register.model_name", "a:b", "allows no ':'"),
        ("register.model_name", "a?b", r"allows no '\?'"),
        ("register.model_name", "a\nb", "allows no"),
        ("register.model_name", " ", "is empty"),
        ("register.model_name", "'\"", "both kinds of quotes"),
        ("register.model_name", LONGEST, "256 characters"),
        ("register.alias", "", "letters, digits"),
        ("register.alias", "a b", "letters, digits"),
        ("register.alias", "a@b", "letters, digits"),
        ("register.alias", "latest", "for itself"),
        ("register.alias", "Latest", "for itself"),
        ("register.alias", "v2", "for itself"),
        ("register.alias", LONGEST, "255"),
        ("evaluate.prompts", "[]", "evaluate.prompts: .*at least 1"),
        ("evaluate.prompts", [""], "evaluate.prompts.0: it is empty"),
        ("evaluate.prompts", ["a", " \n"], "evaluate.prompts.1: it is empty"),
        ("evaluate.prompts", ["x" * 2000], "more tokens than train.seq_len 64"),
        ("train.seed", -1, "train.seed"),
        ("tokenizer.seed", 2**63, "tokenizer.seed"),
        ("corpus.dedup.seed", -1, "seed"),
        ("train.beta1", 1, "beta1"),
        ("train.beta2", -0.1, "beta2"),
        ("train.adam_eps", 0, "adam_eps"),
        ("train.weight_decay", -1, "weight_decay"),
        ("model.norm_eps", 0, "norm_eps"),
        ("model.rope_theta", 0, "rope_theta"),
        ("tokenizer.vocab_size", 2**31, "vocab_size"),
        ("tokenizer.character_coverage", 0.9, "character_coverage"),
        ("tokenizer.threads", 2000, "threads"),
        ("tokenizer.sample_bytes", 1, "no byte for mixture"),
        ("launch.partition", "", None),
        ("launch.partition", "-x", "partition"),
        ("launch.partition", "a b", "partition"),
        ("launch.partition", "a\n#SBATCH --exclusive", "partition"),
        ("launch.partition", "$(true)", "partition"),
        ("run.address", "host:1234", "run.engine dask or ray"),
        ("run", {"engine": "dask", "address": "host"}, "no port"),
        ("run", {"engine": "dask", "address": "tcp://host:99999"}, "no port"),
        ("run", {"engine": "dask", "address": "host:8786/x"}, "no port"),
        ("run", {"engine": "ray", "address": "ray://host:0"}, "no port"),
        ("run", {"engine": "ray", "address": ":6379"}, "no port"),
        ("run.workers", 10**9, "run.workers"),
        ("corpus.dedup.bands", 10**6, "bands"),
        ("corpus.dedup.rows", 10**6, "rows"),
        ("corpus.dedup", {"bands": 101, "rows": 100}, "more than 10000 values"),
        ("corpus.dedup.shingle_words", 10**9, "shingle_words"),
        ("train.lr", True, "train.lr"),
        ("train.tokens", "true", "train.tokens"),
        ("evaluate.limit", True, "evaluate.limit"),
        ("mixture", {"code": True, "docs": 0}, "mixture.code"),
        ("corpus.sources.code.clean", "{references: {examples: 500}}", "fewer than references.min_examples"),
        ("corpus.holdout", ["numpy"], "holdout names 'numpy'"),
        ("corpus.sources.code.packages", [], "at least 1"),
        ("corpus.sources.code.clean", "{language: {keep: []}}", "at least 1"),
        ("corpus.sources.code.clean", "{perplexity: {}}", "clean.language"),
        ("corpus.sources.code.clean", "{language: {model: https://h/x.bin}}", "sha256"),
        ("mixture", {"code": 1 - 1e-9, "docs": 1e-9}, "(no byte for|less than one window in)"),
        ("mixture", {"code": 1}, "mixture names"),
        ("mixture", {"code": 1.5, "docs": -0.5}, "add up to 1"),
        ("layout.dp_replicate", 3, "dp_replicate"),
        ("layout.micro_batch", 5, "does not divide"),
    ],
)
def test_what_a_later_stage_would_refuse_is_said_at_the_start(key: str, value: Any, says: str | None) -> None:
    if says is None:
        load_recipe("micro", {key: value})
    else:
        refused({key: value}, says)


def test_a_share_that_is_too_small_for_the_order_is_said_at_the_start() -> None:
    small = {"mixture": {"code": 1 - 1e-7, "docs": 1e-7}, "tokenizer.sample_bytes": 10**9}
    refused(small, "less than one window in")


def test_a_source_has_a_name_that_files_may_have() -> None:
    for name in ("", "a.b", "a/b", "..", "a b", "ä", "x" * 65):
        over = {"corpus.sources": {name: {"kind": "files"}}, "mixture": {name: 1}, "corpus.holdout": []}
        refused(over, "is no name")


NAMES = [
    *(
        "a",
        "A-b_c.d",
        "a b",
        " a",
        "it's",
        'a"b',
        "ä",
        "日本",
        "a%b",
        "%2F",
        "a#b",
        "a@b",
        "a&b",
        "`a`",
        "...",
        "~",
    ),
    *("", " ", "\t", "a/b", "/", "a:b", ":", ".", "..", "../a", "a/", "a//b", "...", "..a"),
]
ALIASES = [
    *("a", "A-b_c", "champion", "ä", "v", "v1a", "latest2", "1", "-", "_", "x" * 255),
    *("", " ", "a b", "a.b", "a/b", "a@b", "a:b", "latest", "LATEST", "v1", "V12", "x" * 256, "'", "é!"),
]


def theirs(*checks: Any) -> Any:
    def check(text: str) -> None:
        for validate in checks:
            validate(text)

    return check


@pytest.mark.parametrize(
    ("ours", "mlflows", "texts"),
    [
        (model_name, theirs(validation._validate_model_name), NAMES),
        (
            model_alias,
            theirs(validation._validate_model_alias_name, validation._validate_model_alias_name_reserved),
            ALIASES,
        ),
    ],
)
def test_the_rules_for_names_are_mlflows(ours: Any, mlflows: Any, texts: list[str]) -> None:
    assert len(texts) > 20
    for text in texts:
        verdicts = []
        for check, error in ((ours, ValueError), (mlflows, MlflowException)):
            try:
                check(text)
                verdicts.append("taken")
            except error:
                verdicts.append("refused")
        assert verdicts[0] == verdicts[1], text


def test_values_that_work_are_taken() -> None:
    for key, value in itertools.chain(
        [("register.model_name", "it's a model: no".replace(":", " -")), ("register.alias", "champion")],
        [("launch.partition", p) for p in ("gpu", "gpu,cpu", "gpu-7b_x.y", "2024")],
        [("train.seed", 2**63 - 1), ("train.seed", 0), ("train.beta1", 0), ("train.weight_decay", 0)],
        [("evaluate.prompts", ["x" * 1000]), ("evaluate.prompts", ["a\tb\n"])],
    ):
        load_recipe("micro", {key: value})
    for engine, addresses in {
        "ray": ("auto", "local", "head:6379", "ray://head:10001", "[::1]:6379"),
        "dask": ("head:8786", "tcp://10.0.0.1:8786", "tls://[::1]:8786", "inproc://10.0.0.1/12/1"),
    }.items():
        for address in addresses:
            run = load_recipe("micro", {"run.engine": engine, "run.address": address}).run
            assert run.address == address


def test_nothing_is_started_for_a_wrong_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_HOME", str(tmp_path / "home"))
    with pytest.raises(RecipeError):
        open_run("micro", {"register.alias": "v2"})
    assert list(tmp_path.iterdir()) == []
