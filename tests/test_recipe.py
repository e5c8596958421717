"""A recipe says what it can, and a wrong one says what is wrong."""

import json
import socket
from pathlib import Path
from typing import Any, get_args

import pytest

from llama_core.corpus.ingest import reader
from llama_core.corpus.recipe import LANGUAGES, UrlSource
from llama_core.corpus.sources.listing import parse_listing
from llama_core.corpus.sources.stackexchange import LARGEST_SITES
from llama_core.errors import RecipeError
from llama_core.recipe import Recipe
from llama_core.recipes.load import PRESETS, load_recipe
from llama_core.section import Section

# Touvron et al. 2023, Table 2: parameters, dimension, heads, layers, learning rate, batch, tokens.
TABLE_2 = {
    "llama-v1": (6.7e9, 4096, 32, 32, 3.0e-4, 4e6, 1.0e12),
    "7b": (6.7e9, 4096, 32, 32, 3.0e-4, 4e6, 1.0e12),
    "13b": (13.0e9, 5120, 40, 40, 3.0e-4, 4e6, 1.0e12),
    "33b": (32.5e9, 6656, 52, 60, 1.5e-4, 4e6, 1.4e12),
    "65b": (65.2e9, 8192, 64, 80, 1.5e-4, 4e6, 1.4e12),
}


@pytest.mark.parametrize("name", TABLE_2)
def test_the_papers_table_2_is_the_recipes(name: str) -> None:
    params, dim, heads, layers, lr, batch, tokens = TABLE_2[name]
    r = load_recipe(name)
    assert (r.model.dim, r.model.n_heads, r.model.n_layers) == (dim, heads, layers)
    assert (r.train.lr, r.train.tokens) == (lr, tokens)
    assert r.model.n_params(r.tokenizer.vocab_size) == pytest.approx(params, rel=0.01)
    assert r.train.global_batch_tokens == pytest.approx(batch, rel=0.05)
    assert (r.train.beta1, r.train.beta2, r.train.weight_decay) == (0.9, 0.95, 0.1)
    assert (r.train.grad_clip, r.train.warmup_steps, r.train.min_lr_ratio) == (1.0, 2000, 0.1)
    shares = {"commoncrawl": 67, "c4": 15, "github": 4.5, "wikipedia": 4.5, "books": 4.5, "arxiv": 2.5}
    assert {k: round(100 * v, 1) for k, v in r.mixture.items()} == shares | {"stackexchange": 2.0}


SUM = "0123456789abcdef0123456789abcdef01234567  "
DUMP = (
    "page.sql.gz",
    "pages-articles.xml.bz2",
    "pages-articles-multistream.xml.bz2",
    "pages-articles-multistream1.xml-p1p41242.bz2",
    "pages-articles1.xml-p1p41242.bz2",
    "pages-articles.xml.bz2-rss.xml",
)
# What the lists of the recipe look like where they are published, and the files that are to be read of them.
PUBLISHED: dict[str, tuple[str, list[str]]] = {
    "commoncrawl": (
        "crawl-data/CC-MAIN-2017-30/segments/1500549423320.19/wet/CC-MAIN-20170720-00000.warc.wet.gz\n",
        ["CC-MAIN-20170720-00000.warc.wet.gz"],
    ),
    "wikipedia": (
        "".join(f"{SUM}{lang}wiki-20261101-{file}\n" for lang in LANGUAGES for file in DUMP),
        [f"{lang}wiki-20261101-pages-articles{'1.xml-p1p41242' if lang == 'en' else '.xml'}.bz2"
         for lang in LANGUAGES],
    ),
    "books": (
        ".:\n1\nls-R\nGUTINDEX.ALL\n\n./1/2/12:\n12-0.txt\n12-h.htm\n12.zip\nreadme.txt\n",
        ["12-0.txt"],
    ),
    "arxiv": (
        "<arXivSRC><file><filename>src/arXiv_src_0001_001.tar</filename></file><timestamp/></arXivSRC>",
        ["arXiv_src_0001_001.tar"],
    ),
    "stackexchange": (
        "".join(("<files>", *(f'<file name="{s}"/>' for s in (*LARGEST_SITES, "beer.7z")), "</files>")),
        list(LARGEST_SITES),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_lists_of_the_papers_corpus_name_the_files_that_are_to_be_read(name: str) -> None:
    source = load_recipe("llama-v1").corpus.sources[name]
    assert isinstance(source, UrlSource) and source.kind == name
    text, expected = PUBLISHED[name]
    found = [e.url for url in source.urls for e in parse_listing(url, text.encode())]
    assert sorted({url.rsplit("/", 1)[-1] for url in found}) == sorted(expected)
    assert all(url.endswith(reader(name).ENDINGS) and "/latest/" not in url for url in found)


def test_the_papers_corpus_has_seven_sources_cleaned_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a recipe was loaded from the network")

    monkeypatch.setattr(socket, "socket", refuse)
    sources = load_recipe("llama-v1").corpus.sources
    assert [(name, s.kind) for name, s in sources.items()] == [(name, name) for name in sources]
    assert all(source.urls for source in sources.values()), "a source without its public address"
    clean = {name: json.loads(s.clean.model_dump_json(exclude_defaults=True)) for name, s in sources.items()}
    steps = clean.pop("commoncrawl")
    assert set(steps) <= {"lines", "language", "perplexity", "references"}
    assert all(
        getattr(sources["commoncrawl"].clean, step)
        for step in ("lines", "language", "perplexity", "references")
    )
    assert not any(clean.values()), "the other sources are cleaned by their readers alone"
    assert getattr(sources["wikipedia"], "languages", None) == LANGUAGES and len(LANGUAGES) == 20


def sections(section: type[Section]) -> list[type[Section]]:
    def named_in(annotation: Any) -> list[type[Section]]:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            return sections(annotation)
        return [s for inner in get_args(annotation) for s in named_in(inner)]

    below = [s for f in section.model_fields.values() for s in named_in(f.annotation)]
    return list(dict.fromkeys([section, *below]))


@pytest.mark.parametrize("section", sections(Recipe), ids=lambda s: s.__name__)
def test_every_field_is_declared_identity_or_execution(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            continue
        assert {"identity", "execution"} & set(map(str, field.metadata)), f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.dmi": 64}, "did you mean 'dim'"),
        ({"trian.lr": 1}, "did you mean 'train'"),
        ({"train.lr": "fast"}, "train.lr"),
        ({"train.seq_len": 100}, "multiple of seq_len"),
        ({"model.n_heads": 5}, "even head size"),
        ({"mixture.code": 2}, "add up to 1"),
        ({"launch.procs_per_node": 3}, "does not divide"),
        (
            {"corpus.sources.new.limit.files": 1},
            "corpus.sources.new is no source yet: correct its name, or add",
        ),
        ({"corpus.sources.code.kind": "magic"}, "kind must be one of packages, files, commoncrawl"),
        ({"corpus.sources.code.pakages": []}, "did you mean 'packages'"),
        ({"name.x": 1}, "is a value, not a section"),
        ({"mixture.code": "nan"}, "mixture"),
        ({"mixture.code": ".nan"}, "mixture.code: Input should be a finite number"),
        ({"train.lr": ".inf"}, "train.lr: Input should be a finite number"),
        ({"train.lr": "[1"}, "override train.lr: .* is not YAML"),
        (
            {"corpus.sources": {"a.b": {"kind": "files"}}, "mixture": {"a.b": 1}, "corpus.holdout": []},
            "'a.b' is no name",
        ),
    ],
)
def test_a_wrong_recipe_names_the_key_and_what_is_allowed(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("tiny", overrides)


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="micro, tiny, 7b"):
        load_recipe("8b")


def test_a_recipe_of_ones_own_extends_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: tiny\nname: mine\nmodel: {dim: 64}\n")
    r = load_recipe(str(path), {"train.lr": "1e-4"})
    assert (r.name, r.model.dim, r.model.n_layers) == ("mine", 64, load_recipe("tiny").model.n_layers)
    assert r.train.lr == 1e-4
    sources = "{notes: {kind: files, urls: [x.txt]}}"
    path.write_text(f"extends: tiny\nname: mine\ncorpus: {{sources: {sources}}}\nmixture: {{notes: 1.0}}\n")
    assert load_recipe(str(path)).corpus.holdout == [], "packages that are no longer read"
    path.write_text(f"extends: {path}\n")
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(str(path))
    path.write_text("extends: [tiny]\n")
    with pytest.raises(RecipeError, match="extends must be a name or a path"):
        load_recipe(str(path))
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_recipe(str(path))


@pytest.mark.parametrize("url", ["folder.yaml", "unknown://a/b.yaml"])
def test_a_recipe_that_cannot_be_read_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").mkdir()
    with pytest.raises(RecipeError, match=f"cannot read the recipe {url}: "):
        load_recipe(url)


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_survives_being_written_as_json(name: str) -> None:
    r = load_recipe(name)
    assert Recipe.model_validate(r.model_dump(mode="json", by_alias=True)) == r
