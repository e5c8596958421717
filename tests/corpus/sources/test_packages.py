"""Packages as they are installed: what is read, what is refused, and what names them."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import documents_of

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import Packages
from llama_core.corpus.sources.packages import Package
from llama_core.errors import InputError
from llama_core.recipes.load import load_recipe

CODE = '''# Copyright 2020 Somebody. All rights reserved.
# Licensed under the MIT License.

"""Reads the settings of the thing, which are the ones that it was given."""
import os


def read(path):
    """Read the file at `path` and return what it holds to the caller of this function."""
    with open(path) as file:
        return file.read()


class Missing(Exception):
    """There is no such file."""
'''


def packages(*names: str, part: str = "code", **fields: object) -> Packages:
    return Packages(kind="packages", packages=list(names), part=part, min_chars=20, **fields)


def test_a_source_file_is_split_into_code_and_prose_without_its_licence_header(
    site: Callable[..., Path], ingested: Callable[..., Artifact]
) -> None:
    site("thing", {"thing/__init__.py": CODE})
    code = documents_of(ingested(packages("thing")))[0]
    assert "Read the file" not in code.text and "Copyright" not in code.text
    assert "There is no such file." in code.text  # all that the class holds
    ast.parse(code.text)
    assert (code.license, code.language) == ("MIT", "python")
    assert json.loads(code.meta) == {"package": "thing", "version": "1.0", "path": "thing/__init__.py"}
    prose = documents_of(ingested(packages("thing", part="docs"), "docs"))[0]
    assert (
        prose.text.startswith("thing\n\nReads the settings") and "thing.read\n\nRead the file" in prose.text
    )
    assert "import os" not in prose.text
    assert prose.url == "pypi:thing==1.0/thing/__init__.py" and prose.id != code.id


def test_what_else_is_installed_changes_nothing_and_a_changed_file_is_refused(
    site: Callable[..., Path], ingested: Callable[..., Artifact]
) -> None:
    root = site("thing", {"thing/__init__.py": CODE})
    source = packages("thing")
    before = ingest.raw_files("code", source)
    site("other", {"other/__init__.py": CODE})
    (root / "thing/extra.py").write_text("not in RECORD")
    assert ingest.raw_files("code", source) == before
    (root / "thing/__init__.py").write_text(CODE + "# edited\n")
    with pytest.raises(InputError, match=r"thing/__init__.py of thing==1.0 differs .* --force-reinstall"):
        ingested(source)


def test_a_missing_or_unlicensed_package_is_named_with_what_to_do(site: Callable[..., Path]) -> None:
    site("gnu", {"gnu/__init__.py": CODE}, license="GPL-3.0-only")
    site("silent", {"silent/__init__.py": CODE}, license=None)
    site("editable", {"editable.pth": "/somewhere"})
    for name, says in {
        "nowhere-to-be-found": "pip install nowhere-to-be-found",
        "gnu": "does not state a permissive licence",
        "silent": "does not state a permissive licence",
        "editable": "lists no source files",
    }.items():
        with pytest.raises(InputError, match=rf"corpus\.sources\.code\.packages: .*{name}") as error:
            ingest.raw_files("code", packages(name))
        assert says in str(error.value)


def test_vendored_code_of_another_licence_is_left_out(
    site: Callable[..., Path], ingested: Callable[..., Artifact]
) -> None:
    vendored = "thing/_vendor/left-2.0.dist-info"
    metadata = "Name: left\nVersion: 2.0\nLicense-Expression: {}\n\n"
    files = {
        "thing/__init__.py": CODE,
        "thing/_vendor/left/__init__.py": CODE + "# vendored\n",
        "thing/gpl.py": "# SPDX-License-Identifier: GPL-2.0-only\n" + CODE,
        f"{vendored}/RECORD": "left/__init__.py,,\n",
    }
    site("thing", files | {f"{vendored}/METADATA": metadata.format("LGPL-3.0-or-later")})
    assert ingested(packages("thing")).counts["dropped.license"] == 2
    site("thing", files | {f"{vendored}/METADATA": metadata.format("MIT")})
    assert ingested(packages("thing")).counts["dropped.license"] == 1


def test_files_that_are_no_source_and_no_prose_are_dropped_by_name(
    site: Callable[..., Path], ingested: Callable[..., Artifact]
) -> None:
    prose = "This is the guide to the thing, and it is written for the people that use it. " * 4
    site(
        "thing",
        {
            "thing/__init__.py": "x = 1\n" * 20,
            "thing/empty.py": "",
            "thing/numbers.py": "TABLE = [" + "0x12, 0x34,\n" * 60 + "]",
            "thing/long.py": "data = '" + "ab " * 2000 + "'\n",
            "thing/latin.py": b"# \xe9\n",
            "thing/nul.py": "x = '\0'\n" * 20,
            "thing/guide.md": prose,
            "thing/words.txt": "\n".join(["apple", "pear", "plum"] * 50),
            "thing/LICENSE.txt": prose,
            "thing/__pycache__/x.py": prose,
            "../../bin/thing.py": prose,
        },
    )
    code = ingested(packages("thing")).counts
    assert code["raw"] == 6 and code["documents"] == 1
    assert {k for k in code if "." in k} == {
        "dropped.empty",
        "dropped.few_letters",
        "dropped.long_line",
        "quarantined.invalid_utf8",
        "quarantined.nul_byte",
    }
    docs = ingested(packages("thing", part="docs"), "docs").counts
    assert docs["raw"] == 10 and docs["documents"] == 1
    assert docs["dropped.not_prose"] == 1 and docs["dropped.short_lines"] == 1
    assert docs["dropped.empty"] == 1  # the METADATA, which describes nothing


@pytest.mark.parametrize("preset", ["micro", "tiny"])
def test_every_package_of_the_presets_is_installed_and_permissive(preset: str) -> None:
    for name, source in load_recipe(preset).corpus.sources.items():
        assert len(ingest.raw_files(name, source)) == len(source.packages)


def test_the_code_and_the_prose_of_real_packages_never_overlap(ingested: Callable[..., Artifact]) -> None:
    package = Package("click", "packages")
    code = {d.url: d.text for d in documents_of(ingested(packages("click")))}
    for document in documents_of(ingested(packages("click", part="docs"), "docs")):
        if not document.url.endswith(".py"):
            continue
        longest = max(document.text.split("\n"), key=len)
        original = package.read(package.files[document.url.split("/", 1)[1]]).decode()
        assert original.count(longest) > code.get(document.url, "").count(longest)
