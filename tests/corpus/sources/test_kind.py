"""Every kind of source that a recipe can name has a module that offers what ingest calls."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter

from llama_core.corpus import ingest, recipe
from llama_core.corpus.sources import kind as protocol
from llama_core.corpus.sources.kind import SourceModule
from llama_core.errors import InputError


def kinds(sources: object) -> dict[str, str]:
    """The sections of a union in the recipe by their kind."""
    return {get_args(s.model_fields["kind"].annotation)[0]: s.__name__ for s in get_args(sources)}


SOURCES = kinds(get_args(recipe.Source)[0])
OF_URLS = kinds(recipe.UrlSource)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_kind_has_its_module_and_mypy_compares_it_with_the_protocol(kind: str) -> None:
    assert isinstance(ingest.reader(kind), SourceModule)
    line = f"_{kind}: SourceModule[recipe.{SOURCES[kind]}] = {kind}\n"
    assert line in Path(protocol.__file__).read_text()


@pytest.mark.parametrize("kind", OF_URLS)
def test_a_file_that_changed_after_it_was_found_is_not_read(kind: str, tmp_path: Path) -> None:
    module = ingest.reader(kind)
    for ending in module.ENDINGS:
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"what was found")
        source = TypeAdapter(recipe.Source).validate_python({"kind": kind, "urls": [str(path)]})
        [raw] = module.raw_files(source, "corpus.sources.web")
        path.write_bytes(b"what is there now")
        with pytest.raises(InputError, match="has changed since this run planned it"):
            next(module.read("web", source, raw))


def test_a_checkout_that_changed_after_it_was_found_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("found")
    source = recipe.GitHub(kind="github", urls=[str(tmp_path)])
    [raw] = ingest.raw_files("code", source)
    (tmp_path / "b.py").write_text("new")
    with pytest.raises(InputError, match="has changed since this run planned it"):
        next(ingest.reader("github").read("code", source, raw))
