"""Filters and licences: pure functions, on the text that people really write."""

import ast
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.code.docstrings import split_docstrings
from llama_core.corpus.code.languages import HASH, language_of
from llama_core.corpus.code.licenses import permissive_license
from llama_core.corpus.sources import rules

MIT = """Copyright (c) 2020 A. Person

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.
"""
HEADERS = [
    "# Copyright (c) 2020 A. Person\n# All rights reserved.\n",
    "# SPDX-License-Identifier: MIT\n\n# Licensed under the Apache License, Version 2.0\n# (the License)\n",
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_licence_header_is_stripped_and_other_comments_are_not(header: str) -> None:
    assert (
        rules.strip_license_header(header + "\n# What this does.\nx = 1\n").strip()
        == "# What this does.\nx = 1"
    )
    shebang = "#!/usr/bin/env python\n"
    assert rules.strip_license_header(shebang + header + "x = 1\n") == shebang + "x = 1\n"


CODE = "first line of code;\nsecond line of code;"
HEADERS_BY_FILE = {
    "a.py": '"""Copyright 2020 A. Person.\n\nAll rights reserved.\n"""\n',
    "a.c": "/*\n * Copyright (c) 2020 A. Person\n *\n * Licensed under the Apache License\n */\n",
    "a.go": "// Copyright 2020 The Authors. All rights reserved.\n// Use of it is as you like.\n",
    "a.java": "/* Copyright 2020 */\n\n// SPDX-License-Identifier: MIT\n",
    "a.sql": "-- Copyright 2020 A. Person\n",
    "a.hs": "{- |\nCopyright: (c) 2020 A. Person\nLicense: BSD3\n-}\n",
    "a.lua": "--[[ Copyright (C) 2020\n  A. Person ]]\n",
    "a.lisp": ";;; Copyright (C) 2020 A. Person\n;;;\n;;; Permission is hereby granted\n",
    "a.asm": "; (c) 2020 A. Person\n",
    "a.tex": "% Copyright 2020 A. Person\n% This work may be distributed under the terms of the licence.\n",
    "a.html": "<!--\n  Copyright 2020 A. Person, licensed under the MIT license.\n-->\n",
    "a.md": "<!-- SPDX-License-Identifier: MIT -->\n",
    "a.ml": "(* Copyright 2020 A. Person\n   All rights reserved. *)\n",
    "a.f90": "! Copyright 2020 A. Person\n",
    "a.vim": '" License: MIT\n',
    "a.bat": "REM Copyright 2020 A. Person\n",
    "a.ps1": "<#\n  Copyright 2020 A. Person\n#>\n",
    "a.rb": "=begin\nCopyright 2020 A. Person\n=end\n",
    "a.rst": ".. Copyright 2020 A. Person\n",
    "Makefile": "# Copyright 2020 A. Person\n",
}


@pytest.mark.parametrize("name", HEADERS_BY_FILE)
def test_a_licence_header_is_stripped_in_the_comments_of_its_language(name: str) -> None:
    named = language_of(f"some/folder/{name}")
    assert named is not None
    assert rules.strip_license_header(HEADERS_BY_FILE[name] + "\n" + CODE, named[1]).strip() == CODE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "# Copyright\n\nThis page is about copyright and licensed under none.\n"),
        ("a.c", "int x; /* Copyright 2020 */\n"),
        ("a.c", "/* Copyright 2020 */ int x;\n"),
        ("a.c", "/* never closed: Copyright 2020\nint x;\n"),
        ("a.py", "import os\n# Copyright 2020\n"),
        ("a.py", '"""Plates of cars.\n\nThe table of countries.\n\nMore.\n\nCopyright: none.\n"""\n'),
        ("a.py", "# Reads license plates off images.\nx = 1\n"),
        ("a.css", "#copyright { color: red }\n"),
    ],
)
def test_what_is_no_licence_header_stays(name: str, text: str) -> None:
    named = language_of(name)
    assert named is not None
    assert rules.strip_license_header(text, named[1]) == text


def test_first_lines_and_comments_of_another_matter_stay_before_and_behind_a_header() -> None:
    text = "#!/bin/sh\n# vim: ts=4\n\n# Builds all.\n\n# Copyright 2020 A. Person\n\n# Usage: build\nmake\n"
    expected = "#!/bin/sh\n# vim: ts=4\n\n# Builds all.\n\n# Usage: build\nmake\n"
    assert rules.strip_license_header(text, HASH) == expected


@given(
    st.sampled_from([*HEADERS_BY_FILE]),
    st.lists(st.sampled_from(["/*", "*/", "//", "#", "--", '"""', "(c) 2020", "x", "\n", " "])).map("".join),
)
def test_a_text_without_a_header_is_found_again_behind_one(name: str, body: str) -> None:
    named = language_of(name)
    assert named is not None
    once = rules.strip_license_header(body, named[1])
    assert rules.strip_license_header(once, named[1]) == once
    assert len(once) <= len(body)


@given(st.text(alphabet="ab#\n ©"))
def test_text_without_a_legal_word_keeps_every_line(text: str) -> None:
    assert rules.strip_license_header(text) == text


def test_prose_is_told_from_lists_tables_and_markup() -> None:
    prose = "The function returns the value that was set, and it raises an error if there is none.\n" * 5
    assert rules.prose_reason(prose) is None
    assert rules.prose_reason("apple\nbanana\ncherry\n" * 30) == "short_lines"
    assert rules.prose_reason("12 34 56 78 90\n" * 30) == "few_letters"
    assert rules.prose_reason("Revision ID create table drop column upgrade head\n" * 9) == "few_stop_words"


SOURCE = '''"""Module."""
import os
def one(): "stays: it shares a line"; return 1
class A:
    """Of A.

    é in two lines.
    """  # noqa
    def f(self):
        r"""Of f."""
        return 1
    def only(self):
        """All that there is."""
if os:
    async def g():
        """Of g."""
        await None
'''


def test_docstrings_are_cut_by_whole_lines_and_named() -> None:
    code, docs = split_docstrings(SOURCE, "m")
    assert [name for name, _ in docs] == ["m", "m.A", "m.A.f", "m.g"]
    assert dict(docs)["m.A"] == "Of A.\n\né in two lines."
    assert "stays" in code and "All that there is." in code and "Of f." not in code
    ast.parse(code)


@given(st.lists(st.sampled_from(SOURCE.split("\n")), max_size=14).map("\n".join))
def test_code_that_parses_still_parses_without_its_docstrings(text: str) -> None:
    code, docs = split_docstrings(text, "m")
    try:
        before = ast.parse(text)
    except SyntaxError:
        assert (code, docs) == (text, [])
        return
    defs = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    after = ast.parse(code)
    names = [[n.name for n in ast.walk(tree) if isinstance(n, defs)] for tree in (before, after)]
    assert names[0] == names[1]
    assert len(code.split("\n")) <= len(text.split("\n"))


@pytest.mark.parametrize(
    ("fields", "license"),
    [
        ({"License-Expression": "Apache-2.0 OR GPL-2.0-only"}, "Apache-2.0 OR GPL-2.0-only"),
        (
            {"License-Expression": "MIT AND (Apache-2.0 WITH LLVM-exception)"},
            "MIT AND (Apache-2.0 WITH LLVM-exception)",
        ),
        ({"License-Expression": "MPL-2.0 AND MIT"}, None),
        ({"License-Expression": "MIT AND ("}, None),
        ({"License-Expression": "GPL-3.0-only", "License": "MIT"}, None),
        ({"License": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"License": "BSD 3-Clause"}, "BSD-3-Clause"),
        ({"License": "BSD", "Classifier": "License :: OSI Approved :: BSD License"}, "BSD"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "MIT", "Classifier": "License :: Other/Proprietary License"}, None),
        ({"Classifier": "License :: OSI Approved"}, None),
        ({"License": MIT}, "MIT"),
        ({"License": MIT + "\nThe Software shall be used for Good, not Evil."}, None),
        ({"License": "Redistribution and use in source and binary forms. GNU General Public " * 5}, None),
        ({"License": "Mozilla Public License 2.0"}, None),
        ({}, None),
    ],
)
def test_only_a_licence_that_says_it_is_permissive_counts(
    fields: dict[str, str], license: str | None
) -> None:
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert permissive_license(metadata) == license
