"""A run gets what its recipe and the overrides say, and what is no recipe is refused in one line."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from llama_core.errors import RecipeError
from llama_core.recipes.load import MAX_BYTES, load_recipe


def value_of(recipe: Any, key: str) -> Any:
    for part in key.split("."):
        recipe = recipe[part] if isinstance(recipe, dict) else getattr(recipe, part)
    return recipe


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("launch.partition", "2024", "2024"),
        ("launch.partition", "null", None),
        ("launch.partition", "", None),
        ("launch.partition", "1e3", "1e3"),
        ("name", "007", "007"),
        ("name", "on", "on"),
        ("name", "null", "null"),
        ("name", "1_0", "1_0"),
        ("name", '"007"', "007"),
        ("name", "'it''s'", "it's"),
        ("launch.partition", "'2024'", "2024"),
        ("name", "2026-11-28", "2026-11-28"),
        ("register.model_name", "0x1F", "0x1F"),
        ("register.alias", "no", "no"),
        ("evaluate.data", "~", None),
        ("corpus.choices", "[007, 1:20, yes]", ["007", "1:20", "yes"]),
        ("corpus.choices", "[.inf]", [".inf"]),
        ("evaluate.prompts", '["12:00:00", 12:00:00, 1.10]', ["12:00:00", "12:00:00", "1.10"]),
        ("train.lr", "1e-3", 1e-3),
        ("train.lr", "1E-3", 1e-3),
        ("train.seed", "010", 10),
        ("train.seed", "0x10", 16),
        ("train.tokens", "1e12", 10**12),
        ("train.tokens", "1_000_000_000", 10**9),
        ("train.tokens", "40__960_", 40960),
        ("layout.compile", "on", True),
        ("layout.compile", "false", False),
        ("layout.attention", "auto", "auto"),
        ("evaluate.limit", "null", None),
        ("evaluate.limit", "60", 60),
    ],
)
def test_a_value_means_what_its_field_wants_in_a_file_and_in_an_override(
    key: str, written: str, value: Any, tmp_path: Path
) -> None:
    assert value_of(load_recipe("tiny", {key: written}), key.replace("register.", "register_.")) == value
    first, *others = reversed(key.split("."))
    text = f"{first}: {written}"
    for part in others:
        text = f"{part}: {{{text}}}"
    (tmp_path / "my.yaml").write_text(f"extends: tiny\n{text}\n")
    loaded = load_recipe(str(tmp_path / "my.yaml"))
    assert value_of(loaded, key.replace("register.", "register_.")) == value


def test_a_number_that_prefect_gives_for_a_text_is_that_text() -> None:
    given = {"launch.partition": 2024, "name": 7, "corpus.choices": [1, 2.5], "launch.nodes": "1"}
    recipe = load_recipe("tiny", given)
    assert (recipe.launch.partition, recipe.name, recipe.corpus.choices) == ("2024", "7", ["1", "2.5"])
    assert recipe.launch.nodes == 1


def test_quotes_that_are_no_whole_are_part_of_a_text() -> None:
    for name in ("it's", "'a' and 'b'", '"a', "a'"):
        assert load_recipe("tiny", {"name": name}).name == name


def test_quotes_make_a_text_of_whatever_they_hold(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("extends: tiny\nname: 'null'\nlaunch: {partition: \"null\"}\n")
    recipe = load_recipe(str(tmp_path / "my.yaml"))
    assert (recipe.name, recipe.launch.partition) == ("null", "null")


@pytest.mark.parametrize("as_text", [False, True])
def test_a_mapping_is_merged_as_that_of_a_file(as_text: bool, tmp_path: Path) -> None:
    base = load_recipe("65b")
    recipe = load_recipe("65b", {"launch": "{partition: x}" if as_text else {"partition": "x"}})
    assert recipe.launch == base.launch.model_copy(update={"partition": "x"}) and base.launch.nodes == 256
    sources = {"notes": {"kind": "files", "urls": ["a.txt"]}}
    over = {"mixture": {"notes": 1.0}, "corpus.holdout": ["a"], "corpus": {"sources": sources}}
    recipe = load_recipe("tiny", over)
    assert list(recipe.corpus.sources) == ["notes"] and recipe.corpus.holdout == ["a"]
    recipe = load_recipe("tiny", {"mixture": {"notes": 1.0}, "corpus.sources": sources})
    assert recipe.corpus.holdout == [], "packages that are no longer read"
    assert recipe.corpus.dedup == load_recipe("tiny").corpus.dedup


def test_sources_without_a_kind_change_those_that_are_there(tmp_path: Path) -> None:
    base = load_recipe("llama-v1")
    (tmp_path / "my.yaml").write_text("extends: llama-v1\ncorpus: {sources: {c4: {min_chars: 7}}}\n")
    recipe = load_recipe(str(tmp_path / "my.yaml"))
    c4 = base.corpus.sources["c4"].model_copy(update={"min_chars": 7})
    assert recipe.corpus.sources == base.corpus.sources | {"c4": c4}
    assert recipe.corpus.choices == base.corpus.choices and recipe.mixture == base.mixture
    (tmp_path / "my.yaml").write_text("extends: llama-v1\ncorpus: {sources: {c5: {min_chars: 7}}}\n")
    with pytest.raises(RecipeError, match=r"corpus\.sources\.c5 is no source yet"):
        load_recipe(str(tmp_path / "my.yaml"))


def test_overrides_mean_the_same_in_any_order() -> None:
    over = {
        "corpus.sources.notes.data_files": "[a.json, 007.json]",
        "corpus.sources.notes.path": "json",
        "corpus.sources.notes.kind": "dataset",
        "mixture": {"notes": 1},
        "corpus.holdout": "[]",
        "corpus.sources": "{notes: {kind: files, min_chars: 7}}",
        "launch.nodes": 1,
        "launch": {"nodes": 4, "device": "cpu"},
    }
    one = load_recipe("tiny", over)
    assert one == load_recipe("tiny", dict(reversed(over.items())))
    notes = one.corpus.sources["notes"]
    assert notes.kind == "dataset" and notes.data_files == ["a.json", "007.json"] and notes.min_chars == 7
    assert one.launch.nodes == 1


def test_an_override_changes_one_place_although_the_file_repeats_an_anchor(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        "extends: tiny\n"
        "corpus: {sources: {a: &a {kind: files, urls: [x.txt], clean: &c {pii: {ip: true}}}, b: *a,\n"
        "  c: {<<: *a, urls: [y.txt]}}}\n"
        "mixture: {a: 0.5, b: 0.25, c: 0.25}\n"
    )
    path = str(tmp_path / "my.yaml")
    sources = load_recipe(path, {"corpus.sources.a.clean.pii.email": True}).corpus.sources
    assert [s.clean.pii.email for s in sources.values()] == [True, False, False]
    assert [s.clean.pii.ip for s in sources.values()] == [True, True, True]
    assert [getattr(s, "urls", None) for s in sources.values()] == [["x.txt"], ["x.txt"], ["y.txt"]]


LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
MERGED = "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 10))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("[" * 3000, "line 1: .*nesting|lie inside one another"),
        ("a: " + "[" * 300 + "]" * 300, "line 1: more than 40 lists and mappings lie inside one another"),
        ("- " * 3000 + "x", "lie inside one another|nesting"),
        ("\n".join(" " * n + "a:" for n in range(900)), "lie inside one another|nesting"),
        ("a: &a [*a]", "line 1: a value holds itself"),
        ("a: &a {b: {c: *a}}", "a value holds itself"),
        ("a: &a {<<: *a}", "a value holds itself"),
        (f"a0: &a0 [lol]\n{LAUGHS}", "more than 100,000 values"),
        (f"a0: &a0 {{b: lol}}\n{MERGED}", "more than 100,000 values"),
        ("a: *b", "undefined alias"),
        ("name: a\nname: b", "line 2: the key 'name' is there twice"),
        ("name: a\n\tmodel: b", "line 2: "),
        ("name: a\n---\nname: b", "single document"),
        ("name: a\0b", "is not YAML"),
        ("name: a".encode("utf-16"), "not text in UTF-8"),
        ("name: a".encode("utf-32"), "not text in UTF-8|is not YAML"),
        ("a: !!python/object/apply:os.system [true]", "line 1: the tag .*python/object.* is not allowed"),
        ("a: !mine b", "the tag !mine is not allowed"),
        ("? [a, b]\n: c", "a key must be a word"),
        ("<<: 1", "<< must name mappings"),
        ("", "must be a mapping"),
        ("- a", "must be a mapping"),
        ("a" * (MAX_BYTES + 2), "more than 1,048,576 bytes"),
        ("extends: [tiny]", "extends must be a name or a path"),
        ("extends: gone.yaml", "there is no recipe at .*gone.yaml"),
        ("extends: ../../etc/passwd", "there is no recipe '../../etc/passwd'"),
        ("extends: s3:/bucket/a.yaml", "did you mean s3://"),
        ("extends: foo://bucket/a.yaml", "unknown protocol 'foo'"),
        ("extends: s3://K:hunter2/x@bucket/a.yaml", "holds credentials"),
        ("extends: https://host/a.yaml?sig=hunter2", "holds credentials"),
    ],
    ids=range(30),
)
def test_what_is_no_recipe_is_refused_in_one_line(data: str | bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    started, memory = time.monotonic(), psutil.Process().memory_info().rss
    with pytest.raises(RecipeError, match=says) as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value) and "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - started < 5 and psutil.Process().memory_info().rss - memory < 200e6


@pytest.mark.parametrize("value", ["[" * 300, "{a: &a [*a]}", [[[]]] * 3, "- " * 300])
def test_an_override_that_is_no_value_is_refused_in_one_line(value: Any) -> None:
    deep: Any = value
    if isinstance(value, list):
        for _ in range(3000):
            deep = [deep]
    with pytest.raises(RecipeError) as caught:
        load_recipe("tiny", {"train.lr": deep})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


class Text(str):
    """A text as a library may have it."""


def test_a_text_of_a_class_of_its_own_is_a_text() -> None:
    recipe = load_recipe("tiny", {"launch": Text("{nodes: 2, procs_per_node: 1}"), "name": Text("x")})
    assert recipe.launch.nodes == 2 and recipe.name == "x"


def test_an_error_is_short_however_much_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("extends: tiny\n" + "".join(f"k{n}: 1\n" for n in range(5000)))
    for load in (
        lambda: load_recipe(str(tmp_path / "my.yaml")),
        lambda: load_recipe("tiny", {"run.address": "x" * 70_000}),
        lambda: load_recipe("tiny", {"x" * 70_000: 1}),
    ):
        with pytest.raises(RecipeError) as caught:
            load()
        assert len(str(caught.value)) < 3000
        assert "is not a key" in str(caught.value) or "is of no use without" in str(caught.value)


@pytest.mark.parametrize("key", ["", ".", "train.", ".lr", "train..lr"])
def test_an_override_without_a_key_is_refused(key: str) -> None:
    with pytest.raises(RecipeError, match="is no key"):
        load_recipe("tiny", {key: 1})


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    "make",
    [_fifo, _socket, _huge, Path.mkdir, lambda p: p.symlink_to("/dev/zero"), lambda p: p.symlink_to(p)],
)
def test_what_is_no_file_of_text_is_neither_waited_for_nor_read(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("x.yaml"))
    started = time.monotonic()
    for load in (lambda: load_recipe("x.yaml"), lambda: load_recipe("my.yaml")):
        Path("my.yaml").write_text("extends: x.yaml\n")
        with pytest.raises(RecipeError, match=r"recipe x\.yaml"):
            load()
    assert time.monotonic() - started < 2


def test_a_base_is_found_beside_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/base.yaml").write_text("extends: tiny\ntrain: {seed: 5}\n")
    (tmp_path / "shared/my.yaml").write_text("extends: base.yaml\nname: mine\n")
    (tmp_path / "my.yaml").write_text("extends: ./shared/my.yaml\n")
    monkeypatch.chdir("/")
    for name in (str(tmp_path / "my.yaml"), f"file://{tmp_path}/my.yaml", f" file:{tmp_path}/my.yaml "):
        assert (load_recipe(name).train.seed, load_recipe(name).name) == (5, "mine")


class Answers(BaseHTTPRequestHandler):
    """Answers with the status in the path, with a recipe, or without an end."""

    def do_GET(self) -> None:
        what = self.path.strip("/").split("/")[0]
        self.send_response(int(what) if what.isdigit() else 200)
        body = b"extends: other.yaml\nname: far\n" if self.path.endswith("/my.yaml") else b"extends: tiny\n"
        if what != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET" and what == "endless":
            try:
                while True:
                    self.wfile.write(b"#" * (1 << 20))
            except OSError:
                return
        elif self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_a_recipe_and_its_base_are_read_from_a_server(server: str) -> None:
    recipe = load_recipe(f"{server}/ok/my.yaml")
    assert recipe.name == "far" and recipe.model == load_recipe("tiny").model


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("404/my.yaml", "there is no recipe at http"),
        ("500/my.yaml", "cannot read the recipe .*500"),
        ("503/my.yaml", "cannot read the recipe .*503"),
        ("403/my.yaml", "cannot read the recipe .*(403|access is denied)"),
        ("endless/my.yaml", "more than 1,048,576 bytes"),
    ],
)
def test_what_a_server_answers_instead_of_a_recipe_is_said(path: str, says: str, server: str) -> None:
    memory = psutil.Process().memory_info().rss
    with pytest.raises(RecipeError, match=says) as caught:
        load_recipe(f"{server}/{path}")
    assert "\n" not in str(caught.value) and psutil.Process().memory_info().rss - memory < 200e6


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("extends: http://127.0.0.1:9/base.yaml\n")
    with pytest.raises(RecipeError, match="cannot read the recipe http://127.0.0.1:9/base.yaml: .*onnect"):
        load_recipe(str(tmp_path / "my.yaml"))
