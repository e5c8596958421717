"""A licence is told by its text, however that is set, and by nothing that only looks like it."""

import html
import re
import textwrap
from collections.abc import Callable

import pytest
from identify.vendor.licenses import LICENSES

from llama_core.corpus.code.licenses import license_of_text

TEXTS = {name: text.replace("[year]", "2021").replace("[fullname]", "Ada Byron") for name, text in LICENSES}
FREE = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT", "Unlicense", "Zlib"]
OTHERS = [
    "AGPL-3.0",
    "CC-BY-SA-4.0",
    "EPL-2.0",
    "EUPL-1.2",
    "GPL-2.0",
    "GPL-3.0",
    "LGPL-2.1",
    "MPL-2.0",
    "OSL-3.0",
]
PERMISSIVE = {*FREE, "MIT-0", "NCSA"}


def without_title(text: str) -> str:
    """The text from its first line of more than six words on, so without a title or a copyright line, too."""
    lines = text.split("\n")
    return "\n".join(lines[next(i for i, line in enumerate(lines) if len(line.split()) > 6) :])


def with_other_owners(text: str) -> str:
    owners = (
        "Copyright 1999-2004 The Regents of X; © 2010 Müller & Söhne GmbH <a@b.org>\nAll rights reserved.\n"
    )
    text = re.sub("the copyright holder(?= nor)", "Example Research Limited", text, flags=re.IGNORECASE)
    return owners + re.sub("the copyright holders and contributors", "EXAMPLE LTD", text, flags=re.IGNORECASE)


def rewrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(" ".join(text.split()), 51))


def hyphenated(text: str) -> str:
    return rewrapped(text).replace("distribut", "distri-\nbut").replace("conditi", "con-\n    diti")


def headed(text: str) -> str:
    return "# Licence\n\n## The terms\n\n> " + re.sub(r"(?m)^(\s*)(\d\.)", r"\1**\2**", text).replace(
        "\n", "\n> "
    )


def noticed(text: str) -> str:
    return (
        "NOTICE\n\nThis product includes software developed at the Example Foundation (https://example.org/).\n"
        "Parts of it were written by Charles B. and his friends. It is released under these terms:\n\n" + text
    )


def owned_in_the_middle(text: str) -> str:
    first, _, rest = text.partition("\n\n")
    second, _, rest = rest.partition("\n\n")
    return f"{first}\n\n{second}\n\nCopyright 2001 by B. Person\n\n(c) 2002 Example Ltd\n\n{rest}"


FORMS: list[Callable[[str], str]] = [
    str,
    without_title,
    with_other_owners,
    rewrapped,
    hyphenated,
    headed,
    noticed,
    owned_in_the_middle,
    lambda text: " ".join(text.split()),
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\n".join(f"// {line}" for line in text.split("\n")),
    lambda text: "\n".join(f"# {line}".rstrip() for line in text.split("\n")),
    lambda text: "/*\n" + "\n".join(f" * {line}" for line in text.split("\n")) + "\n */",
    lambda text: "\n".join(f"rem {line}" for line in text.split("\n")),
    lambda text: html.escape(text).replace("'", "&rsquo;").replace("(c)", "&copy;"),
    lambda text: (
        "<html><body><h1>L</h1><p>" + html.escape(text).replace("\n\n", "</p>\n<p>") + "</p></body></html>"
    ),
    lambda text: text.upper(),
    lambda text: text.replace("license", "licence").replace("License", "Licence"),
]


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("name", FREE)
def test_a_licence_is_told_however_its_text_is_set(name: str, form: int) -> None:
    assert license_of_text(FORMS[form](TEXTS[name])) == name


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("name", OTHERS)
def test_no_other_licence_is_taken_for_a_permissive_one(name: str, form: int) -> None:
    text = FORMS[form](TEXTS[name])
    found = license_of_text(text)
    assert found is None or not {*found.split(" AND ")} & PERMISSIVE
    half = license_of_text(text[: len(text) // 2])
    assert half is None or not {*half.split(" AND ")} & PERMISSIVE


def test_apaches_licence_is_told_without_its_appendix_by_its_notice_and_cut_short() -> None:
    text = TEXTS["Apache-2.0"]
    terms, _, appendix = text.partition("END OF TERMS AND CONDITIONS")
    assert license_of_text(terms) == "Apache-2.0"
    assert (
        license_of_text("Copyright 2015 A. Person\n" + appendix[appendix.index("Licensed under") :])
        == "Apache-2.0"
    )
    head = without_title(text).partition("Definitions.")[0]
    for start in (
        text.partition("Definitions.")[0],
        f"Version 2.0, January 2004\nhttp://www.apache.org/licenses/\n{head}",
    ):
        assert (
            license_of_text(f"{start}Definitions. (as the licence has them)\nEND OF TERMS AND CONDITIONS")
            == "Apache-2.0"
        )
    assert license_of_text(head) is None


@pytest.mark.parametrize(
    ("names", "between"),
    [
        (["MIT", "Apache-2.0"], "Licensed under either of these licences, at your option.\n"),
        (["Apache-2.0", "BSD-3-Clause"], "The files in src/third come with this licence:\n"),
        (["BSD-2-Clause", "ISC", "MIT"], "-------- 8< --------\n"),
        (["MIT", "MIT"], "Parts are copyright (c) 2001 by somebody else.\n"),
        (["BSD-3-Clause", "BSD-3-Clause"], "\n"),
    ],
)
def test_all_licences_of_a_file_count(names: list[str], between: str) -> None:
    text = f"\n{between}\n".join(TEXTS[name] for name in names)
    assert license_of_text(between + text) == " AND ".join(sorted({*names}))


CLAUSES = [
    "The Software shall be used for Good, not Evil.",
    "The Software may not be used for commercial purposes.",
    "This permission is for non-commercial use only.",
    "Use in products that compete with ours is prohibited.",
    "The user must cite the paper that describes the Software.",
    "Permission is granted for academic and research purposes.",
    "You have to publish your changes under the same terms.",
    "A fee is due for each copy.",
    "3. All advertising materials mentioning features of this software must display an acknowledgement.",
    "Companies with more than 100 employees require a written permission from the author.",
    '"Commons Clause" License Condition v1.0',
    "The files in lib/ are under the GNU General Public License.",
    "No military use.",
    "10. Use in the cloud. You may not offer the Work as a service.",
    "You may not use the Software in any product of a competitor.",
    "Parts are proprietary and confidential.",
    "The images are licensed under CC BY-NC 4.0.",
    "If you are a company, ask us for the price.",
    "You are free to use it at home, and at work once you bought it: buy it at a shop.",
]


@pytest.mark.parametrize("clause", CLAUSES)
@pytest.mark.parametrize("name", ["MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"])
def test_a_licence_with_a_clause_more_is_not_that_licence(name: str, clause: str) -> None:
    text = TEXTS[name]
    paragraphs = text.split("\n\n")
    middle = len(paragraphs) // 2
    for changed in (
        f"{text}\n\n{clause}\n",
        f"{clause}\n\n{text}",
        "\n\n".join([*paragraphs[:middle], clause, *paragraphs[middle:]]),
        without_title(f"{text}\n\n{clause}\n"),
    ):
        assert license_of_text(changed) is None, changed


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("MIT", "distribute, sublicense, and/or sell\ncopies", "and distribute copies"),
        ("MIT", "free of charge, to any person", "free of charge, to any person for non-commercial purposes"),
        ("MIT", "is hereby granted", "is not granted"),
        ("MIT", "is hereby granted", "is hereby granted until 2025"),
        ("MIT", "any person", "any student"),
        ("MIT", "any person", "any person of the Example Institute"),
        ("MIT", "free of charge", "for a charge of ten pounds"),
        ("MIT", "portions of the Software.", "portions of the Software, and on its home page."),
        ("BSD-2-Clause", "the following disclaimer.", "the following disclaimer and our emblem."),
        ("ISC", "for any\npurpose", "for any\nnon-military purpose"),
        ("BSD-3-Clause", "in source and binary forms", "in source and binary forms at Example Ltd"),
        (
            "BSD-2-Clause",
            "with or without\nmodification, are permitted",
            "without modification, are permitted",
        ),
        (
            "BSD-3-Clause",
            "Redistribution and use in source and binary forms",
            "Redistribution in binary form",
        ),
        ("ISC", "copy, modify, and/or distribute", "copy, and/or distribute"),
        ("Apache-2.0", "no-charge", "revocable"),
        ("Apache-2.0", "Derivative Works a copy", "Derivative Works at home a copy"),
        ("Zlib", "to anyone to use", "to anyone in the company to use"),
        ("BSL-1.0", "free of charge", "free of charge for ten years"),
    ],
)
def test_a_licence_with_a_right_less_is_not_that_licence(name: str, old: str, new: str) -> None:
    assert old in TEXTS[name]
    assert license_of_text(TEXTS[name].replace(old, new)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Copyright (c) 2020 Somebody. All rights reserved.",
        "This software is proprietary and confidential. Unauthorized copying is strictly prohibited.",
        "MIT",
        "",
        "See LICENSE-MIT and LICENSE-APACHE.",
        "Permission is hereby granted to look at this software.",
        "x " * 30_000,
    ],
)
def test_what_is_no_licence_is_none(text: str) -> None:
    assert license_of_text(text) is None
