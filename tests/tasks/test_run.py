"""What a recipe lacks is said when the run opens, before any work."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llama_core.errors import InputError, LaunchError, RecipeError, StoreError
from tasks.run import open_run

PERPLEXITY = "{clean: {perplexity: {train_on: docs}, language: {}}, kind: packages, packages: [click]}"
DOCS = "{kind: packages, packages: [click], part: docs}"


@pytest.mark.parametrize(
    ("module", "overrides", "says"),
    [
        (
            "kenlm",
            {"corpus.sources": f"{{code: {PERPLEXITY}, docs: {DOCS}}}"},
            r"corpus\.sources\.code\.clean\.perplexity needs kenlm.* EXTRAS=perplexity",
        ),
        ("distributed", {"run.engine": "dask"}, r"run\.engine dask needs distributed.* EXTRAS=dask"),
        ("ray", {"run.engine": "ray"}, r"run\.engine ray needs ray.* EXTRAS=ray"),
    ],
)
def test_an_extra_that_the_recipe_needs_and_that_is_not_installed_is_said_with_how_to_install_it(
    module: str, overrides: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_run("micro", overrides, str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)  # importing it raises ImportError
    open_run("micro", None, str(tmp_path))
    with pytest.raises(RecipeError, match=says):
        open_run("micro", overrides, str(tmp_path))


def test_a_corpus_is_made_on_a_machine_that_could_not_train_on_it(tmp_path: Path) -> None:
    cluster = {"launch.nodes": 8, "layout.micro_batch": 1}
    open_run("micro", cluster, str(tmp_path), trains=False)
    with pytest.raises(LaunchError, match="8 nodes"):
        open_run("micro", cluster, str(tmp_path))


def test_a_benchmark_that_cannot_be_used_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "hellaswag_val.jsonl").write_text('{"activity_label": "Roof", "ctx": "A man", "label": 0}\n')
    overrides = {"evaluate.data": str(tmp_path)}
    open_run("micro", overrides, str(tmp_path / "store"), trains=False)
    with pytest.raises(InputError, match=r"hellaswag_val\.jsonl, line 1: .*`endings` is missing"):
        open_run("micro", overrides, str(tmp_path / "store"))
    (tmp_path / "other.jsonl").write_text('{"text": "whole"}\n{"text": "cu')
    with pytest.raises(InputError, match=r"other\.jsonl, row 2: cannot be read for decontamination"):
        open_run("micro", overrides, str(tmp_path / "store"), trains=False)


@pytest.mark.parametrize("trains", [True, False])
def test_a_folder_of_benchmarks_that_holds_none_is_refused_before_any_work(
    trains: bool, tmp_path: Path
) -> None:
    for folder in (tmp_path / "mistyped", tmp_path):
        with pytest.raises(InputError, match=rf"evaluate\.data: {folder} holds no file of a benchmark"):
            open_run("micro", {"evaluate.data": str(folder)}, str(tmp_path / "store"), trains=trains)


def test_a_tokenizer_to_compare_with_is_read_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "other.model").write_bytes(b"no model")
    for name, says in (("other.model", "no SentencePiece model"), ("gone.model", "gone.model")):
        with pytest.raises(InputError, match=f"tokenizer.compare_with.*{says}"):
            open_run("micro", {"tokenizer.compare_with": str(tmp_path / name)}, str(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_a_language_model_is_looked_at_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where models are kept, by their digests
    (tmp_path / "other.bin").write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    for language, says in (
        ({"keep": ["en", "english"]}, r"code\.clean\.language\.keep names 'english': .* knows .*, en, "),
        ({"model": str(tmp_path / "gone.bin"), "sha256": "1" * 64}, "no language model at .*gone.bin"),
        ({"model": str(tmp_path / "other.bin"), "sha256": "0" * 64}, "has sha256"),
        ({"model": str(tmp_path / "other.bin"), "sha256": digest}, "no fastText model"),
    ):
        with pytest.raises(InputError, match=says):
            open_run("micro", {"corpus.sources.code.clean.language": language}, str(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
    open_run("micro", {"corpus.sources.code.clean.language": {"keep": ["de"]}}, str(tmp_path / "store"))


@pytest.mark.parametrize("trains", [True, False])
def test_a_store_in_memory_is_refused(trains: bool) -> None:
    with pytest.raises(StoreError, match="memory of one process"):
        open_run("micro", None, "memory://run/store", trains=trains)


@pytest.mark.parametrize("make", [Path.touch, lambda p: p.symlink_to("nowhere"), os.mkfifo])
def test_a_store_that_is_no_folder_is_refused_with_what_to_do(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "x")
    for folder in ("x", "x/below"):
        if folder == "x/below" and (tmp_path / "x").is_symlink():
            continue  # the folder that the link names is made
        with pytest.raises(StoreError, match="in the place of a folder: choose another"):
            open_run("micro", None, str(tmp_path / folder))
