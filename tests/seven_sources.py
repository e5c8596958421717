"""The seven sources of the paper as small files in their public formats, and a recipe over all stages."""

import bz2
import gzip
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import py7zr
import yaml

_SUBJECTS = (
    "the old engineer|my sister|a careful gardener|the river|every student|the northern railway|"
    "a young painter|the committee|our neighbour|the museum|an experienced sailor|"
    "the village school|the quiet librarian|a travelling musician|the city council|"
    "the weather station|their grandmother|the small laboratory"
)
_VERBS = (
    "repaired|described|remembered|visited|studied|explained|discovered|carried|measured|"
    "collected|painted|followed|improved|watched|considered|compared|borrowed|finished"
)
_OBJECTS = (
    "the broken bridge|a long letter|the first experiment|several wooden boats|"
    "the history of the valley|an unusual map|the price of bread|a garden full of apples|"
    "the results of the election|two heavy boxes|the sound of the bells|a difficult question|"
    "the road to the harbour|an empty house|the new theory|a collection of stamps|"
    "the colour of the sky|the work of many years"
)
_ENDINGS = (
    "before the winter came|after the meeting in the town hall|with great patience|"
    "because nobody else would|during the summer of that year|while the others were asleep|"
    "near the old market|for the people who lived there|without saying a word|"
    "as soon as it was possible|and told everyone about it|in the light of the morning|"
    "until the last train had gone|at the end of the week|by the side of the lake"
)
MIT = """\
MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
NAVIGATION = "Home About us Products and services Contact the team that made this page."


def sentence(rng: random.Random) -> str:
    parts = [rng.choice(words.split("|")) for words in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS)]
    return f"{parts[0].capitalize()} {parts[1]} {parts[2]} {parts[3]}, number {rng.randrange(10**6)}."


def prose(rng: random.Random, sentences: int = 12) -> str:
    """English in paragraphs of four sentences, none of which is likely to come again."""
    said = [sentence(rng) for _ in range(sentences)]
    return "\n".join(" ".join(said[i : i + 4]) for i in range(0, sentences, 4))


def write(folder: Path, seed: int = 1) -> dict[str, Any]:
    """The files, in `folder`, and the recipe over them: every stage of the corpus has something to do."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    pages = [f"https://pages.example/{i}" for i in range(60)]
    _write_wikipedia(folder, rng, cited=pages[::3])
    _write_crawl(folder, rng, pages)
    _write_c4(folder, rng)
    _write_github(folder, rng)
    _write_books(folder, rng)
    _write_arxiv(folder, rng)
    _write_stackexchange(folder, rng)
    (folder / "evaldata" / "arc").mkdir(parents=True)
    question = {"question": {"stem": _leaked(seed), "choices": []}, "answerKey": "A"}
    (folder / "evaldata" / "arc" / "ARC-Easy_test.jsonl").write_text(json.dumps(question) + "\n")
    return recipe(folder)


def _leaked(seed: int) -> str:
    return sentence(random.Random(f"leaked {seed}")) + " " + sentence(random.Random(f"again {seed}"))


def recipe(folder: Path) -> dict[str, Any]:
    english = {"language": {"keep": ["en"]}, "pii": {"email": True, "ip": True}}
    crawl = english | {
        "lines": {"shards": 4, "group_shards": 2},
        "filters": {"gopher_quality": True, "gopher_repetition": True, "c4": {}, "fineweb": True},
        "perplexity": {"vocab_size": 300, "order": 3},
        "references": {"min_examples": 4, "threshold": 0.1},
    }
    few = {"min_chars": 40}
    sources: dict[str, Any] = {
        "commoncrawl": {"kind": "commoncrawl", "urls": [f"{folder}/crawl/*.gz"], "clean": crawl},
        "c4": {"kind": "c4", "urls": [f"{folder}/c4/*.json.gz"], "clean": english},
        "github": {"kind": "github", "urls": [f"{folder}/github/*"]} | few,
        "wikipedia": {"kind": "wikipedia", "urls": [f"{folder}/wikipedia/*.bz2"], "languages": ["en"]} | few,
        "books": {"kind": "books", "urls": [f"{folder}/books/*.txt"]},
        "arxiv": {"kind": "arxiv", "urls": [f"{folder}/arxiv/*.tar"]} | few,
        "stackexchange": {"kind": "stackexchange", "urls": [f"{folder}/stackexchange/*.7z"]} | few,
    }
    return {
        "extends": "micro",
        "name": "seven",
        "corpus": {"sources": sources, "holdout": [], "holdout_fraction": 0.1},
        "mixture": dict(zip(sources, (0.67, 0.15, 0.045, 0.045, 0.045, 0.025, 0.02), strict=True)),
        "evaluate": {"data": f"{folder}/evaldata"},
    }


def write_recipe(folder: Path, seed: int = 1) -> Path:
    """All of it, and the recipe as a YAML file that drops the sources of the recipe it extends."""
    path = folder / "seven.yaml"
    path.write_text(yaml.safe_dump(write(folder, seed)))
    return path


def _packed(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_crawl(folder: Path, rng: random.Random, pages: list[str]) -> None:
    for number in range(4):
        out = io.BytesIO()
        records = [("warcinfo", "", "Software-Info: a crawler")]
        for url in pages[number::4]:
            write_to = f"Write to someone{number}@mail-host.org or to 8.8.4.4."
            text = f"{NAVIGATION}\n{prose(rng)}\n{NAVIGATION}\n{write_to}"
            records.append(("conversion", url, text))
        records.append(("conversion", f"https://de.example/{number}", "Dies ist ein deutscher Text. " * 30))
        records.append(("conversion", f"https://menu.example/{number}", "menu\n" * 200))
        for kind, url, text in records:
            body = text.encode()
            head = (
                f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
                f"WARC-Date: 2020-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number}-{url[-4:]}>\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            out.write(gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0))
        data = out.getvalue()
        _packed(folder / "crawl" / f"CC-{number}.warc.wet.gz", data[:-40] if number == 3 else data)


def _write_c4(folder: Path, rng: random.Random) -> None:
    texts = [prose(rng) for _ in range(30)]
    texts += [texts[0], texts[1].replace("the", "a", 1), f"{_leaked(1)}\n{prose(rng)}"]
    for number in range(2):
        rows = [
            {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://c4.example/{number}/{i}"}
            for i, text in enumerate(texts[number::2])
        ]
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        _packed(folder / "c4" / f"c4-train.0000{number}.json.gz", gzip.compress(data, mtime=0))


def _write_github(folder: Path, rng: random.Random) -> None:
    path = folder / "github" / "somebody-tools.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_dated("tools-main/LICENSE"), MIT)
        archive.writestr(_dated("tools-main/logo.png"), b"\x89PNG\r\n\x1a\n" + bytes(64))
        for i in range(20):
            body = "\n\n".join(
                f'def task_{i}_{k}(value: int) -> str:\n    """{sentence(rng)}"""\n'
                f"    total = value * {rng.randrange(999)} + {k}\n    return str(total)"
                for k in range(6)
            )
            head = "# Copyright 2020 Somebody. All rights reserved.\n# Licensed under the MIT License.\n"
            archive.writestr(_dated(f"tools-main/src/module_{i}.py"), f"{head}\nimport os\n\n\n{body}\n")
    _packed(
        path.parent / "exports.jsonl",
        "".join(json.dumps(row) + "\n" for row in _exported(random.Random(2))).encode(),
    )


def _exported(rng: random.Random) -> list[dict[str, Any]]:
    """Rows of an export, in the columns of BigQuery, of its copy on Hugging Face and of The Stack."""
    code = [
        "\n\n".join(f"def made_{i}_{k}(value):\n    # {sentence(rng)}\n    return value" for k in range(4))
        + "\n"
        for i in range(4)
    ]
    stack = {"max_stars_repo_path": "a/one.py", "max_stars_repo_name": "some/stack"}
    stack |= {"max_stars_repo_head_hexsha": "c0ffee", "max_stars_repo_licenses": ["MIT", "Apache-2.0"]}
    return [
        {"content": code[0], "path": "b/one.py", "repo_name": "some/big", "ref": "main", "license": "MIT"},
        {"code": code[1], "path": "c/one.py", "repo_name": "some/hub", "license": "apache-2.0"},
        {"content": code[2]} | stack,
        {"content": code[3]} | stack | {"max_stars_repo_licenses": ["GPL-3.0-only OR MIT", "GPL-2.0-only"]},
    ]


def _dated(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))


def _write_wikipedia(folder: Path, rng: random.Random, cited: list[str]) -> None:
    articles = []
    for i in range(30):
        cites = "".join(f"<ref>[{url} Title]</ref>" for url in cited[i : i + 1])
        wikitext = (
            f"'''Article {i}''' is about [[weather|the weather]].{cites}\n\n== History ==\n{prose(rng)}"
        )
        escaped = wikitext.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        articles.append(
            f"<page><title>Article {i}</title><ns>0</ns><id>{i + 10}</id><revision><id>{i + 900}</id>"
            f"<timestamp>2022-07-01T00:00:00Z</timestamp><model>wikitext</model>"
            f'<text xml:space="preserve">{escaped}</text></revision></page>'
        )
    articles.append(
        "<page><title>Old name</title><ns>0</ns><id>5</id><redirect title='Article 1'/><revision><id>1</id>"
        "<text>#REDIRECT [[Article 1]]</text></revision></page>"
    )
    articles.append(
        "<page><title>Talk:Article 1</title><ns>1</ns><id>6</id><revision><id>2</id>"
        "<text>Hello</text></revision></page>"
    )
    head = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en"><siteinfo>'
        "<dbname>enwiki</dbname></siteinfo>"
    )
    data = (head + "\n".join(articles) + "</mediawiki>").encode()
    _packed(folder / "wikipedia" / "enwiki-20220701-pages-articles.xml.bz2", bz2.compress(data))


def _write_books(folder: Path, rng: random.Random) -> None:
    for number in range(4):
        text = "\n\n".join(prose(rng, 20) for _ in range(5))
        book = (
            f"The Project Gutenberg eBook of Book {number}\n\nTitle: Book {number}\n\nAuthor: Somebody\n\n"
            f"Language: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK BOOK {number} ***\n\n{text}\n\n"
            f"*** END OF THE PROJECT GUTENBERG EBOOK BOOK {number} ***\n\nEnd of the license.\n"
        )
        _packed(folder / "books" / f"{number + 100}-0.txt", book.encode())


def _write_arxiv(folder: Path, rng: random.Random) -> None:
    path = folder / "arxiv" / "arXiv_src_2001_001.tar"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w") as bulk:
        for i in range(8):
            body = "\n\n".join(
                f"\\section{{Part {k}}}\n{prose(rng)} Thus $a_{k} = \\alpha^2$." for k in range(3)
            )
            main = (
                f"\\documentclass{{article}}\n\\begin{{document}}\n\\title{{A}}\n{body}\n\\end{{document}}\n"
            )
            paper = io.BytesIO()
            with tarfile.open(fileobj=paper, mode="w") as bundle:
                _add(bundle, "main.tex", main.encode())
                _add(bundle, "figure.eps", b"%!PS-Adobe")
            _add(bulk, f"2001/2001.0000{i}.gz", gzip.compress(paper.getvalue(), mtime=0))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _write_stackexchange(folder: Path, rng: random.Random) -> None:
    rows = []
    for i in range(1, 31):
        body = prose(rng, 4).replace("\n", "&lt;/p&gt;&lt;p&gt;")
        kind = (
            'PostTypeId="1" Title="What is it?"'
            if i % 3 == 1
            else f'PostTypeId="2" ParentId="{i - (i - 1) % 3}"'
        )
        rows.append(
            f'  <row Id="{i}" {kind} Score="{rng.randrange(-2, 30)}" Body="&lt;p&gt;{body}&lt;/p&gt;" />'
        )
    rows.append('  <row Id="99" PostTypeId="5" Score="0" Body="a tag" />')
    posts = '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "\n".join(rows) + "\n</posts>\n"
    path = folder / "stackexchange" / "tools.stackexchange.com.7z"
    path.parent.mkdir(parents=True)
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.writestr(posts, "Posts.xml")
        archive.writestr("<users></users>", "Users.xml")
