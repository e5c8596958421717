"""The parsers of files from outside, as functions of bytes, for `test_fuzz.py` and `benchmarks/fuzz.py`.

To add one: put a line into `PARSERS`. The seeds are small and valid, and hold what the format has. The
function returns, whatever the bytes are: an exception is a fault of the parser. For a kind of source,
`_source` makes it.
"""

import contextlib
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from itertools import pairwise
from typing import Any, get_args

import fsspec
import py7zr
import pyarrow as pa
import pyarrow.parquet as pq
from corpus import archives, dumps, papers, warcs
from identify.vendor.licenses import LICENSES
from pydantic import TypeAdapter

from llama_core.corpus.clean.filters import pii
from llama_core.corpus.clean.recipe import Pii
from llama_core.corpus.code.licenses import license_of_text, meets
from llama_core.corpus.code.repository_license import Licenses
from llama_core.corpus.document import Document, Dropped, NonContent, Noted, Outcome, Quarantined
from llama_core.corpus.ingest import reader
from llama_core.corpus.markup.html import to_text
from llama_core.corpus.markup.webpage.extract import extract
from llama_core.corpus.markup.wikitext.expand.definitions import Definitions, defined
from llama_core.corpus.markup.wikitext.page import read_page
from llama_core.corpus.markup.wikitext.tree import TooDeepError
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.listing import parse_listing
from llama_core.corpus.sources.raw import raw_file
from llama_core.errors import InputError

Parser = tuple[str, list[bytes], Callable[[bytes], None]]  # ending of the file's name, seeds, function


def _source(suffix: str, seeds: list[bytes], **source: Any) -> Parser:
    """A kind of source that reads a file of the name `a<suffix>`: `source` are its fields in a recipe."""
    cfg = TypeAdapter(Source).validate_python({"urls": ["a"], "max_record_bytes": 1 << 16} | source)
    url = f"memory://fuzz-{source['kind']}/a{suffix}"
    read = reader(source["kind"]).read

    def parse(data: bytes) -> None:
        fsspec.filesystem("memory").pipe(url, data)
        ids: set[str] = set()
        try:
            for outcome in read("fuzz", cfg, raw_file(cfg, url)):
                check(outcome, cfg.max_record_bytes * 64)
                if isinstance(outcome, Document):
                    assert outcome.id not in ids, "two documents have one id"
                    ids.add(outcome.id)
        except InputError:
            pass  # a user's mistake, said clearly

    return suffix, seeds, parse


_CHARSETS = ("", "utf-8", "iso-8859-1", "shift_jis", "gb2312", "iso-2022-jp", "utf-16", "windows-1251")


def _page(seeds: list[bytes]) -> Parser:
    """A page; the last byte of the data chooses the charset that its server declares."""

    def parse(data: bytes) -> None:
        found = extract(data[:-1], _CHARSETS[data[-1] % len(_CHARSETS)] if data else "")
        if isinstance(found, str):
            assert found.isidentifier()
            return
        title, text = found
        assert len(title) + len(text) <= 64 * len(data) + 100
        (title + text).encode("utf-8", "surrogatepass")

    return "", seeds, parse


def _listing(seeds: list[bytes]) -> Parser:
    def parse(data: bytes) -> None:
        try:
            for entry in parse_listing("list+s3://bucket/folder/list", data):
                assert entry.url.startswith("s3://bucket/") and ".." not in entry.url.split("/")
                json.dumps(entry.identity()).encode()
        except InputError:
            pass

    return "", seeds, parse


def check(outcome: Outcome, most: int) -> None:
    """An outcome can be written to Parquet, and is counted under a name."""
    assert isinstance(outcome, get_args(Outcome)), outcome
    if isinstance(outcome, Document):
        assert outcome.text.strip() and outcome.members >= 1
        for value in outcome.row():
            assert "\0" not in value.encode().decode()
            assert len(value) <= most
    elif isinstance(outcome, NonContent):
        assert outcome.count >= 0 and outcome.kind.encode().isascii()
    elif isinstance(outcome, Dropped):
        assert outcome.reason.isidentifier() and (outcome.record + outcome.text).encode() is not None
    elif isinstance(outcome, Noted):
        assert outcome.counts and min(outcome.counts.values()) > 0
    else:
        assert isinstance(outcome, Quarantined)
        assert outcome.error.isidentifier() and outcome.record.encode() is not None
        assert 0 <= outcome.offset < 1 << 62


_TEXT = "A title\nA line of text, which goes on.\n\xc9t\xe9 and winter.\n" * 4
_WET = [warcs.info(), warcs.page(1, _TEXT), warcs.page(2, _TEXT, warcs.OLD), warcs.page(3, "")]
_HTML = f"<!doctype html><html><head><title>T &amp; U</title></head><body>{warcs.ARTICLE}<ul><li>a</ul>"
_WARC = [
    warcs.info(),
    warcs.record(
        "request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "application/http; msgtype=request", "http://a/"
    ),
    warcs.response(1, _HTML),
    warcs.response(2, gzip.compress(_HTML.encode()), "Content-Type: text/html", "Content-Encoding: gzip"),
    warcs.response(
        3, f"{len(_HTML):x}\r\n{_HTML}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Type: text/html"
    ),
]
FORMULAS = f"""<meta charset=windows-1251><body><nav>a</nav><article><h1>b</h1>{warcs.ARTICLE}
<span class="katex"><math><semantics><mi>x</mi><annotation encoding="application/x-tex">x^2</annotation>
</semantics></math><span aria-hidden=true>x</span></span><span class=MathJax_Preview>y</span>
<script type="math/tex">y_1</script><mjx-container><mjx-assistive-mml><math><msup><mi>z</mi><mn>2</mn></msup>
<mfrac><mi>a</mi><mi>b</mi></mfrac></math></mjx-assistive-mml></mjx-container><img class=tex alt="w">
<table><tr><td>c<td>d</table><ol start=3><li>e</ol><pre>f
 g</pre><figure><figcaption>h</figcaption></figure></article><div class=sidebar><a href=i>j</a></div>"""
_ODD = f"""<?xml version="1.0"?><body><?php x ?><?xml:namespace prefix = o /><![CDATA[a]]>{warcs.ARTICLE}
<a name=b>c<table><tr><td><td><p>d<br>e<tr><td>f<pre>g<div>h</div></pre></table><ruby>i<rp>(<rt>j</ruby>
<q>k</q><div class=paywall>{warcs.ARTICLE * 3}</div>
<blockquote>l<footer>m</footer></blockquote><img alt="\u263a">
<p style="left:-9999px">n<p>math \\(o\\) <img class=math alt="p^2">
<img src="/latex.php?latex=q%5E2">\u6f22\n\u5b57"""
_JSONL = b'{"text":"A line of text.\\nAnother \\u00e9.","timestamp":"2019-04-25T12:57:54Z","url":"https://a.b/c"}\n'
_BOOK = f"""\ufeffThe Project Gutenberg EBook of A Title, by A. Writer

Title: A Title
  and more

Release Date: June 3, 1998 [EBook #42]

Language: English

*** START OF THE PROJECT GUTENBERG EBOOK A
TITLE ***

Produced by A.

[Transcriber's Note: one.]

{_TEXT}

TRANSCRIBER'S NOTES

None.

End of Project Gutenberg's A Title

*** END OF THE PROJECT GUTENBERG EBOOK A TITLE ***

Updated editions will replace the previous one.
"""
_OLD_BOOK = f"""Project Gutenberg's A Title, by A. Writer\r
\r
June, 1998 [Etext #42]\r
\r
Character set encoding: ISO-8859-1\r
\r
*END*THE SMALL PRINT!*END*\r
{_TEXT}\r
End of The Project Gutenberg Etext\r
"""
_EXPORT = b"""{"content":"#\\n","path":"a.c","repo_name":"o/r","ref":"refs/heads/x","license":"mit"}
{"content":"<!-- (c) -->\\n# T","sample_path":"b.md","sample_repo_name":"o/s","license":["mit","A OR (B)"]}
{"content":null,"path":"c.c","license":"bsd-3-clause"}
"""
_LISTS = [
    b"folder/a/b.wet.gz\nfolder/c.wet.gz\n",
    gzip.compress(b"folder/a/b.wet.gz\n", mtime=0),
    b"0123456789abcdef0123456789abcdef01234567  enwiki-20220620-a.bz2\n",
    b'{"jobs": {"a": {"status": "done", "files": {"b.bz2": {"size": 12, "sha1": "ab"}}}}}',
    b'<?xml version="1.0"?><files><file name="a.7z"><size>12</size><md5>ab</md5></file></files>',
    b"<arXivSRC><file><filename>folder/a.tar</filename><size>12</size><md5sum>ab</md5sum></file></arXivSRC>",
    b".:\ntotal 8\n-rw-r--r-- 1 me me 12 Jan  1  2005 a.txt\n\n./b:\nc.txt\n",
    b"-rw-r--r--        174,693 2020/12/01 10:11:12 1/1/11-0.txt\n",
]

WIKITEXT = """{{Infobox|a=b|{{lang|de|c}}}}
'''A''' ({{lang-fr|x}}; {{IPA|y}}) is [[b (c)|d]]<ref name="e">{{cite web|url=http://f.g/h}}</ref>.
[[File:A.jpg|thumb|a [[b]]]] {{convert|10|km|mi}} <math>x^2</math> <code>y</code> 10<sup>6</sup>
{| class="x"
| a || b
|}
== C ==
* d __NOTOC__
=== Literature ===
Words of it. <table><tr><td>e</td></tr></table> -{f}-
== See also ==
* [http://a.b c]
[[Category:D]] <!-- e --> -{sr-ec:a; sr-el:b}- &amp;&#8364;
"""
_PAGES = [
    dumps.page(1, "A", WIKITEXT * 2),
    dumps.page(2, "B", "#REDIRECT [[A]]", redirect="A"),
    dumps.page(3, "C", WIKITEXT, ns=4),
    dumps.page(4, "D", "{{disambig}} text"),
]
HTML_POST = (
    '<p>a &amp;lt; <b>b</b> <a href="http://a.b">c</a><br></p>\n'
    "<pre><code>if (x &lt; 1) {\n  y;\n}\n</code></pre><ul><li>a</li><li><p>b</p></li></ul>"
    "10<sup>6</sup> <!-- c --> <script>d</script> <table><tr><td>e</table>"
)
_ROWS = [
    dumps.row(1, title="A &amp; B", body=HTML_POST, tags="<x><y>", score=3, ContentLicense="CC BY-SA 4.0"),
    dumps.row(2, 2, parent=1, body=HTML_POST, score=10),
    dumps.row(3, 2, parent=1, body="", score=-1),
    dumps.row(4, 2, parent=9, body="x"),
    dumps.row(5, 4, body="x"),
    dumps.row(6, title="R&amp;D", body="1 &lt; 2").replace("&amp;", "&"),  # it is no XML
]


def _text(seeds: list[str], parse: Callable[[str], Any]) -> Parser:
    """A parser of text: bytes that are no UTF-8 become half surrogates."""
    return "", [seed.encode() for seed in seeds], lambda data: parse(data.decode("utf-8", "surrogateescape"))


_METADATA = {
    "package.json": '{"license": ["MIT", {"type": "Apache-2.0"}]}',
    "Cargo.toml": '[workspace.package]\nlicense = "MIT/Apache-2.0"',
    "pyproject.toml": "[project]\nclassifiers = ['License :: OSI Approved :: MIT License']",
    "setup.cfg": "[metadata]\nlicense = BSD\nclassifiers =\n  License :: OSI Approved :: BSD License",
    "pom.xml": "<licenses><license><name>Apache 2.0</name></license></licenses>",
    "PKG-INFO": "Name: a\nLicense-Expression: MIT AND (ISC OR 0BSD)\n",
    "DESCRIPTION": "Package: a\nLicense: BSD_3_clause + file LICENSE\n",
    "COPYING": "Licensed under either of MIT or Apache 2.0, at your option.",
}


def _license_metadata() -> Parser:
    """Files that state a project's licence; the last byte of the data chooses the file's name."""
    names = [*_METADATA]

    def parse(data: bytes) -> None:
        licenses = Licenses()
        licenses.add(f"a/{names[data[-1] % len(names)] if data else names[0]}", data[:-1])
        found = licenses.of("a/b.py")
        meets(found, lambda name: True)
        found.encode("utf-8", "surrogatepass")

    return "", [text.encode() + bytes([n]) for n, text in enumerate(_METADATA.values())], parse


def _masked(text: str) -> None:
    cuts = pii.mask(text, Pii(email=True, ip=True))
    assert all(a.end <= b.start for a, b in pairwise(cuts))


def _parquet(**how: Any) -> bytes:
    rows = {
        "text": ["one", "two", None] * 4,
        "list": [["a"], [], None] * 4,
        "struct": [{"a": 1, "b": ["c"]}, None, {}] * 4,
        "when": pa.array([0, 1, None] * 4, pa.timestamp("us", tz="UTC")),
    }
    data = io.BytesIO()
    pq.write_table(pa.table(rows), data, row_group_size=6, **how)
    return data.getvalue()


_PARQUET = [
    _parquet(compression="none"),
    _parquet(compression="zstd", data_page_version="2.0", use_dictionary=False, store_schema=False),
]


def _wikitext(text: str) -> None:
    with contextlib.suppress(TooDeepError):
        page = read_page(text, "A")
        assert not set(page.text) & set(map(chr, range(1, 9)))


_PACKAGES = r"""\documentclass[ngerman]{article}\usepackage{babel,siunitx,glossaries,natbib,etoolbox}
\newacronym[longplural={a b}]{nn}{NN}{neural net}\DeclareAcronym{x}{short=X, long={y, z}}\newbool{on}
\DeclareSIUnit\bushel{bu}\begin{document}\section{S}\gls{nn} \Acp{x}
\SI[a=b]{5}[\$]{\kilo\metre\per\second\squared}
\ifboolexpr{bool{on} and not (test {\ifdef{\x}} or toggle{a})}{a}{b}
\ifthenelse{\NOT\equal{a}{b}}{c}{d}\begin{algorithm}
\SetKwFunction{F}{Find}\SetKwIF{I}{E}{L}{if}{then}{else if}{else}{end}\eIf(x){$a$}{b\;}{c\;}
\For{$i$ \KwTo $n$}{\F{$a$}\;}\tcc*[r]{no}\I{a}{b}\end{algorithm}\replaced[id=a]{b}{c}\item<2-|alert@3> x
\href[page=1]{a.pdf}{link} $a\mathchoice{1}{\raisebox{1pt}{$2$}}{3}{4}\index{b}$ Gr"o"se "`x"' \citep{k}
\begin{tabu} to \textwidth {X[l]>{\bf}S[a=1]}a&b\\\end{tabu}\write16{a}\hsize=5in\advance\count0 by -1
\begin{thebibliography}{1}\bibitem[{Able et~al.()Able, Baker}]{k} x\end{thebibliography}\end{document}"""
_MACROS = r"""\documentclass{article}\usepackage{clrscode3e}\makeatletter\newcommand\s{\@ifstar\s@
\@gobble}\def\s@#1{#1}
\def\o{\@ifnextchar[{\o@}{\@testopt\o@{d}}}\def\o@[#1]{\@nameuse{x#1}}\makeatother\newcounter{c}\newcount\n
\NewDocumentCommand{\d}{s t+ O{#1} d() e{^_} G{x} m}{#1#2#3#4#7}\DeclarePairedDelimiterX{\abs}[1]{|}{|}{#1}
\algblockdefx{Par}{EndPar}[1][d]{par #1}{end}\algdef{SE}{Do}{Til}{do}[1]{til #1}\begin{document}
\section{S}\label{s}
\s*{a}\o[b]\d*+[y](z)^{u}{w}$\abs*{x}\ref{s}$\setcounter{c}{\value{c}}\n=4\advance\n by-1 \the\n\roman{c}
\expandafter\def\csname e\the\n\endcsname{f}\unless\ifnum\n<3 a\else b\fi\loop x\repeat\string\x
\edef\y{\the\n}
\begin{longtable}{l}a\\\endhead b\\\endlastfoot\end{longtable}\nicefrac{1}{2}\num{1.2(3)e-4}
\parencites{a}[b]{c}
\li \For $\id{i}$ \tikz\draw;\nameref{s}\crefrange{s}{s}\unknown{a}{b}\iac{k}\subfloat[a]{b}\end{document}"""
_TEMPLATES = """A\x1e<includeonly>{{#if:{{{1|}}}|<b>{{{1}}}</b>|{{B|x={{{2|y}}}}}}}</includeonly>
\x1eB\x1e{{#switch:{{{x}}}|a|b=1|#default={{#expr:{{{x}}}*2}}}}
{{lc:ABC}}{{padleft:7|3|0}}{{#time:j F|4 May 2001}}
\x1eC\x1e->A\x1eD\x1e<span style="display:none">a</span><sup>[''b'']</sup>{{#invoke:String|sub|abc|2}}{{D}}
\x1e\x1fOne {{A|b}} two {{A}} {{B|x=a}} {{C|{{D}}}} {{#ifexpr:1>2|a|b}} {{formatnum:12345}} {{unknown|x}}."""


def _wikitext_with_templates(text: str) -> None:
    """The input holds names and texts of templates by turns, and then a page."""
    defining, _, wikitext = text.partition("\x1f")
    parts = defining.split("\x1e")
    found = []
    for title, body in zip(parts[::2], parts[1::2], strict=False):
        target = f"T:{body[2:]}" if body.startswith("->") else ""
        found.append(defined(f"T:{title}", target, body))
    with contextlib.suppress(TooDeepError):
        page = read_page(wikitext, "A", language="fr", definitions=Definitions(d for d in found if d))
        assert not set(page.text) & set(map(chr, range(1, 9)))


PARSERS: dict[str, Parser] = {
    "listing": _listing(_LISTS),
    "wet": _source(".warc.wet", [b"".join(_WET), b"".join(_WET[1:2])], kind="commoncrawl", min_chars=1),
    "wet.gz": _source(
        ".wet.gz",
        [warcs.members(*_WET), gzip.compress(b"".join(_WET), mtime=0)],
        kind="commoncrawl",
        min_chars=1,
    ),
    "page": _page(
        [
            _HTML.encode() + b"\0",
            FORMULAS.encode() + b"\1",
            FORMULAS.encode("utf-16") + b"\0",
            _ODD.encode() + b"\0",
        ]
    ),
    "warc": _source(".warc", [b"".join(_WARC), *_WARC[2:]], kind="commoncrawl", min_chars=1),
    "jsonl": _source(".jsonl", [_JSONL * 2], kind="files", min_chars=1),
    "jsonl.gz": _source(".jsonl.gz", [gzip.compress(_JSONL * 2, mtime=0)], kind="files", min_chars=1),
    "parquet": _source(".parquet", _PARQUET, kind="files", min_chars=1),
    "github.jsonl": _source(".jsonl", [_EXPORT], kind="github", min_chars=1),
    "github.tar": _source(
        ".tar", [archives.tar(), archives.tar(tarfile.GNU_FORMAT)], kind="github", min_chars=1
    ),
    "github.tar.gz": _source(".tar.gz", [gzip.compress(archives.tar(), mtime=0)], kind="github", min_chars=1),
    "github.zip": _source(".zip", [archives.zipped(), archives.zip_stream()], kind="github", min_chars=1),
    "books.txt": _source(".txt", [_BOOK.encode(), _OLD_BOOK.encode("latin-1")], kind="books", min_chars=1),
    "books.zip": _source(
        ".zip", [archives.zipped({"42/42-8.txt": _BOOK, "42/a.jpg": ""})], kind="books", min_chars=1
    ),
    "arxiv.tex": _source(
        ".tex",
        [source.encode() for source in (papers.LATEX, papers.PLAIN, papers.HARVMAC, _PACKAGES, _MACROS)],
        kind="arxiv",
        min_chars=1,
    ),
    "arxiv.gz": _source(
        ".gz",
        [papers.packed(papers.tar(papers.BUNDLE)), papers.packed(papers.LATEX)],
        kind="arxiv",
        min_chars=1,
    ),
    "arxiv.tar": _source(
        ".tar",
        [
            papers.tar({"1001.0001.gz": papers.packed(papers.PAPER), "1001.0002.pdf": b"%PDF"}),
            papers.tar({"a.tex": papers.LATEX, "sub/part.tex": "p", "00README": "a.tex toplevelfile"}),
        ],
        kind="arxiv",
        min_chars=1,
    ),
    "wikipedia.xml": _source(
        ".xml",
        [dumps.wiki(*_PAGES), b"\xff\xfe" + dumps.wiki(*_PAGES[:2]).decode().encode("utf-16-le")],
        kind="wikipedia",
        min_chars=1,
    ),
    "wikipedia.xml.bz2": _source(
        ".xml.bz2", [dumps.multistream(dumps.wiki(*_PAGES))], kind="wikipedia", min_chars=1
    ),
    "wikitext": _text([WIKITEXT], _wikitext),
    "wikitext_templates": _text([_TEMPLATES, _TEMPLATES.replace("A", "B")], _wikitext_with_templates),
    "stackexchange.xml": _source(
        ".xml",
        [dumps.posts(*_ROWS), dumps.posts(*_ROWS[:2], encoding="utf-16")],
        kind="stackexchange",
        min_chars=1,
    ),
    "stackexchange.7z": _source(
        ".7z",
        [
            dumps.sevenzip(dumps.site(*_ROWS)),
            dumps.sevenzip(dumps.site(*_ROWS), packed_directory=False, filters=[{"id": py7zr.FILTER_BZIP2}]),
        ],
        kind="stackexchange",
        min_chars=1,
    ),
    "html_text": _text([HTML_POST], to_text),
    "license_metadata": _license_metadata(),
    "pii": _text(
        ["ann@corp.org, 8.8.4.4, 2606:4700::1111, 联系ann%40corp.cn或bob@corp.com, a (at) b dot org"], _masked
    ),
    "license": _text(
        [text for name, text in LICENSES if name in ("MIT", "BSD-3-Clause", "ISC")], license_of_text
    ),
}
