"""arXiv's bulk tars, bundles and single files become papers, and every file of them is counted once."""

import gzip
import json
import random
import re
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import SAMPLES, documents_in, is_conserved, left_out, needs_samples
from corpus.papers import BODY, BUNDLE, PAPER, WITHDRAWN, packed, tar
from corpus.sources import residues
from corpus.sources.memory import read_apart
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, Dropped, NonContent, Outcome, Quarantined
from llama_core.corpus.recipe import Arxiv
from llama_core.corpus.sources import arxiv
from llama_core.corpus.sources.raw import raw_file


def source(**fields: int) -> Arxiv:
    return Arxiv.model_validate({"kind": "arxiv", "urls": ["a"], "license": "arXiv"} | fields)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Reads a file of the given name and bytes: `read(name, data)`."""

    def run(name: str, data: bytes, **fields: int) -> list[Outcome]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        cfg = source(**fields)
        return list(arxiv.read("arxiv", cfg, raw_file(cfg, str(path))))

    return run


def test_a_bundle_is_one_document_and_each_of_its_files_is_counted(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    folder = tarfile.TarInfo("sub")
    folder.type = tarfile.DIRTYPE
    (tmp_path / "1911.02782v2.tar.gz").write_bytes(packed(tar(BUNDLE, folder)))
    artifact = ingested(source(urls=[str(tmp_path / "*.gz")]), "arxiv")  # type: ignore[arg-type]
    total = artifact.counts
    assert is_conserved(total)
    assert (total["documents"], total["members"], total["raw"]) == (1, 3, 11)
    assert total["dropped.unused_file"] == 1
    others = {k.removeprefix("non_content."): v for k, v in total.items() if k.startswith("non_content.")}
    assert others == {
        "figure": 1, "style": 1, "bibliography": 1, "ancillary": 1, "system_file": 1, "readme": 1,
        "folder": 1,
    }  # fmt: skip


def test_a_document_says_where_it_is_from(read: Callable[..., list[Outcome]]) -> None:
    (paper,) = documents_in(read("1911.02782v2.tar.gz", packed(tar(BUNDLE))))
    assert (paper.url, paper.date) == ("https://arxiv.org/abs/1911.02782v2", "2019-11")
    assert (paper.license, paper.language, paper.source) == ("arXiv", "en", "arxiv")
    meta = json.loads(paper.meta)
    assert (meta["main"], meta["title"]) == ("main.tex", "A Title")
    assert meta["files"] == ["main.tex", "sub/part.tex", "own.sty"]
    french = PAPER.replace("\\title", "\\usepackage[english,french]{babel}\\title")
    for name, url, date in (
        ("hep-th9901001.gz", "https://arxiv.org/abs/hep-th/9901001", "1999-01"),
        ("math.GT0309136.gz", "https://arxiv.org/abs/math/0309136", "2003-09"),
        ("cs/0012007v1.gz", "https://arxiv.org/abs/cs/0012007v1", "2000-12"),
        ("0704.0001.gz", "https://arxiv.org/abs/0704.0001", "2007-04"),
        ("1202.3665_ms.tex", "https://arxiv.org/abs/1202.3665", "2012-02"),
    ):
        (paper,) = documents_in(read(name, packed(french) if name.endswith("gz") else french.encode()))
        assert (paper.url, paper.date, paper.language) == (url, date, "fr")
    (paper,) = documents_in(read("thesis.tex", PAPER.encode()))
    assert paper.url.endswith("/thesis.tex") and paper.date == ""


def test_a_bulk_tar_holds_papers_of_every_form(read: Callable[..., list[Outcome]]) -> None:
    papers = {
        "1001/1001.0001.gz": packed(tar(BUNDLE)),
        "1001/1001.0002.gz": packed(PAPER),
        "1001/1001.0003.pdf": b"%PDF-1.5\n",
        "1001/1001.0004.gz": packed(b"%PDF-1.5\n\0\1"),
        "1001/1001.0005.gz": packed("<!DOCTYPE html><html>"),
        "1001/1001.0006.gz": packed("%!PS-Adobe-2.0\n"),
        "1001/1001.0007.gz": packed(WITHDRAWN),
        "1001/1001.0008.gz": packed(tar({"a.pdf": b"%PDF", "b.sty": ""})),
        "1001/1001.0009.gz": packed("Only words, which are no TeX. " * 20),
        "1001/hep-th1001010.gz": packed(PAPER.encode("latin-1").replace(b"goes", b"\xe9t\xe9")),
    }
    outcomes = read("arXiv_src_1001_001.tar", tar(papers))
    found = documents_in(outcomes)
    assert [d.url.rsplit("/", 1)[1] for d in found] == ["1001.0001", "1001.0002", "1001010"]
    assert len({d.id for d in found}) == 3 and "été on" in found[2].text
    assert left_out(outcomes) == {
        "figure": 2, "ancillary": 1, "system_file": 1, "style": 2, "bibliography": 1, "readme": 1,
        "unused_file": 1, "pdf": 2, "html": 1, "postscript": 1, "withdrawn": 1, "no_main_file": 1,
    }  # fmt: skip
    alone = documents_in(read("1001.0002.gz", packed(PAPER)))
    assert [d.id for d in alone] == [found[1].id], "an id does not depend on the tar that a paper is in"


def test_a_bundle_of_two_papers_is_two_documents(read: Callable[..., list[Outcome]]) -> None:
    second = PAPER.replace("A Title", "Supplement")
    outcomes = read(
        "2001.00001.tar", tar({"b.tex": PAPER, "supplement.tex": second, "part.tex": "\\emph{x}"})
    )
    assert [json.loads(d.meta)["title"] for d in documents_in(outcomes)] == ["A Title", "Supplement"]
    assert len({d.id for d in documents_in(outcomes)}) == 2
    readme = "supplement.tex toplevelfile\nb.tex ignore\n"
    named = read("2001.00002.tar", tar({"b.tex": BODY, "supplement.tex": second, "00README.XXX": readme}))
    assert [json.loads(d.meta)["main"] for d in documents_in(named)] == ["supplement.tex"]


def test_hostile_members_leave_their_archive_in_no_way(
    tmp_path: Path, read: Callable[..., list[Outcome]]
) -> None:
    links = []
    for number, (kind, name) in enumerate(
        [
            (tarfile.SYMTYPE, "../evil"),
            (tarfile.LNKTYPE, "main.tex"),
            (tarfile.CHRTYPE, ""),
            (tarfile.FIFOTYPE, ""),
        ]
    ):
        info = tarfile.TarInfo(f"link{number}.tex")
        info.type, info.linkname = kind, name
        links.append(info)
    files = {"main.tex": PAPER.replace("\\section", "\\input{link0}\\input{/etc/passwd}\\section")}
    unsafe = dict.fromkeys(("../up.tex", "/abs.tex", "a/../../b.tex", "C:\\x.tex", "..\\y.tex"), PAPER)
    before = set(tmp_path.rglob("*"))
    outcomes = read("in/2001.00001.tar", tar(files | unsafe, *links))
    assert left_out(outcomes) == {"unsafe_path": 5, "link": 2, "device": 2}
    (paper,) = documents_in(outcomes)
    assert json.loads(paper.meta)["missing"] == ["/etc/passwd", "link0"]
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "in", tmp_path / "in/2001.00001.tar"}


def test_a_macro_bomb_is_quarantined_and_the_next_paper_read(read: Callable[..., list[Outcome]]) -> None:
    bomb = PAPER.replace("\\section", "\\def\\a{\\a\\a}\\a\\section")
    outcomes = read("bulk.tar", tar({"1001.0001.gz": packed(bomb), "1001.0002.gz": packed(PAPER)}))
    assert left_out(outcomes) == {"macro_bomb": 1}
    assert [d.url[-9:] for d in documents_in(outcomes)] == ["1001.0002"]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("nul", PAPER.encode() + b"\0\0more", "nul_byte"),
        ("utf16", b"\xff\xfe" + b"\x00\xd8\x00", "invalid_text"),
        ("long", ("\\emph{x}" * 40_000).encode(), "too_long"),
    ],
)
def test_a_file_that_is_no_text_is_quarantined(
    name: str, content: bytes, error: str, read: Callable[..., list[Outcome]]
) -> None:
    outcomes = read(
        "2001.00001.tar", tar({f"{name}.tex": content, "main.tex": PAPER}), max_record_bytes=200_000
    )
    assert left_out(outcomes) == {error: 1} and len(documents_in(outcomes)) == 1


@pytest.mark.parametrize(
    ("word", "codec", "declared"),
    [
        ("é — ß", "utf-8", ""),
        ("é ß", "cp1252", ""),
        ("é ß", "latin-1", "latin1"),
        ("Ř ß", "iso8859-2", "latin2"),
        ("Привет", "cp1251", "cp1251"),
        ("Привет", "koi8-r", "koi8-r"),
        ("中文", "gb18030", ""),
    ],
)
def test_encodings_are_known_by_the_file(
    word: str, codec: str, declared: str, read: Callable[..., list[Outcome]]
) -> None:
    preamble = f"\\usepackage[{declared}]{{inputenc}}" if declared else ""
    preamble = "\\begin{CJK*}{GBK}{song}" if codec == "gb18030" else preamble
    text = PAPER.replace("\\title", f"{preamble}\\title").replace("The text", f"{word} The text", 1)
    (paper,) = documents_in(read("a.tex", text.encode(codec)))
    assert paper.text.startswith(f"Introduction\n\n{word} The text")


@pytest.mark.parametrize(
    ("word", "codec", "main", "chapter"),
    [
        ("Řeka", "iso8859-2", "\\usepackage[latin2]{inputenc}", ""),
        ("Река", "koi8-r", "\\usepackage[koi8-r]{inputenc}", ""),
        ("Река", "cp1251", "% \\usepackage[latin2]{inputenc}\n\\usepackage[cp1251]{inputenc}", ""),
        ("Řeka", "iso8859-2", "\\usepackage{own}", ""),
        ("été", "cp1252", "", ""),
        ("été", "cp1252", "\\usepackage[utf8]{inputenc}", ""),
        ("Река", "utf-8", "\\usepackage[latin2]{inputenc}", ""),
        ("Река", "cp1251", "\\usepackage[latin2]{inputenc}", "\\usepackage[cp1251]{inputenc}"),
    ],
)
def test_a_file_that_does_not_speak_of_its_encoding_is_in_that_of_its_paper(
    word: str, codec: str, main: str, chapter: str, read: Callable[..., list[Outcome]]
) -> None:
    text = PAPER.replace("\\title", f"{main}\\title").replace("The text", "\\input{a} The text", 1)
    files: dict[str, str | bytes] = {"a.tex": f"{chapter}{word}, {word}.".encode(codec), "main.tex": text}
    files |= {"own.sty": "\\RequirePackage[latin2]{inputenc}"} if "own" in main else {}
    outcomes = read("2001.00001.tar", tar(files))
    (paper,) = documents_in(outcomes)
    assert paper.text.startswith(f"Introduction\n\n{word}, {word}. The text")


def test_a_utf16_paper_is_read(read: Callable[..., list[Outcome]]) -> None:
    assert len(documents_in(read("a.tex", PAPER.encode("utf-16")))) == 1


def test_a_truncated_file_gives_what_is_whole_and_says_what_is_not(
    read: Callable[..., list[Outcome]],
) -> None:
    noise = random.Random(1).randbytes(60_000)
    whole = packed(tar({"main.tex": PAPER, "z.png": noise}))
    for cut in (len(whole) - 1, len(whole) - 9, len(whole) // 2):
        outcomes = read("2001.00001.gz", whole[:cut])
        assert len(documents_in(outcomes)) == 1
        assert left_out(outcomes) == {"figure": 1, "truncated_stream": 1}
    outcomes = read("2001.00001.gz", packed(PAPER)[:-20])
    assert left_out(outcomes) == {"truncated_stream": 1} and not documents_in(outcomes)
    bulk = tar({"1001.0001.gz": packed(PAPER), "1001.0002.gz": packed(PAPER), "1001.0003.pdf": b"x" * 3000})
    assert left_out(read("bulk.tar", bulk[:1400])) == {"truncated_stream": 1}
    assert left_out(read("bulk.tar", bulk[:1700])) == {"truncated_stream": 1}
    outcomes = read("bulk.tar", bulk[:4000])
    assert len(documents_in(outcomes)) == 2 and left_out(outcomes) == {"pdf": 1, "truncated_stream": 1}
    without_end = bulk[: 512 * 2 * 2 + 512 + 3072]
    assert left_out(read("bulk.tar", without_end)) == {"pdf": 1, "truncated_stream": 1}


@pytest.mark.parametrize("content", [PAPER, tar({"main.tex": PAPER})], ids=["file", "tar"])
@pytest.mark.parametrize(
    ("behind", "faults"),
    [
        (bytes(700), {}),
        (b"junk" * 30, {"trailing_data": 1}),
        (bytes(9) + b"j", {"trailing_data": 1}),
        (packed("x")[:-9] + b"junk" * 9, {"damaged_stream": 1}),
    ],
)
def test_what_stands_behind_a_whole_stream_costs_no_paper(
    content: str | bytes, behind: bytes, faults: dict[str, int], read: Callable[..., list[Outcome]]
) -> None:
    data = packed(content) + behind
    assert left_out(read("2001.00001.gz", data)) == faults
    outcomes = read("bulk.tar", tar({"1001.0001.gz": data, "1001.0002.gz": packed(PAPER)}))
    assert left_out(outcomes) == faults
    papers = 1 if "damaged_stream" in faults and content == PAPER else 2
    assert len(documents_in(outcomes)) == papers


def test_damage_costs_its_own_paper_only(read: Callable[..., list[Outcome]]) -> None:
    names = [f"1001.000{n}.gz" for n in range(1, 6)]
    bulk = bytearray(tar(dict.fromkeys(names, packed(PAPER))))
    bulk[1024 + 512 + 40] ^= 0xFF  # in the second paper
    outcomes = read("bulk.tar", bytes(bulk))
    assert len(documents_in(outcomes)) == 4 and sum(left_out(outcomes).values()) == 1
    bulk[2 * 1024 + 10] ^= 0xFF  # in the header of the third
    outcomes = read("bulk.tar", bytes(bulk))
    assert [d.url[-9:] for d in documents_in(outcomes)] == ["1001.0001", "1001.0004", "1001.0005"]
    assert left_out(outcomes)["damaged_header"] == 1
    wrong = bytearray(packed(tar({"main.tex": PAPER, "b.tex": "\\x"})))
    wrong[-6] ^= 1  # of the checksum
    assert "damaged_stream" in left_out(read("2001.00001.gz", bytes(wrong)))


@pytest.mark.slow
def test_many_members_and_a_bomb_of_gzip_stay_small(tmp_path: Path) -> None:
    """`system/test_memory.py` reads a bomb of 10 GB."""
    path = tmp_path / "many.tar"
    info = tarfile.TarInfo("f.tex")
    with path.open("wb") as file:
        for number in range(20_000):
            info.name, info.size = f"f{number}.tex", 2
            file.write(info.tobuf(tarfile.USTAR_FORMAT) + b"\\x".ljust(512, b"\0"))
        bomb = gzip.compress(b"\\emph{x} " * 15_000_000, 1)
        info.name, info.size = "1001.0001.gz", len(bomb)
        file.write(
            info.tobuf(tarfile.USTAR_FORMAT) + bomb.ljust(-(-len(bomb) // 512) * 512, b"\0") + bytes(1024)
        )
    [found], grown = read_apart("arxiv", path, max_record_bytes=1 << 20)
    assert sum(found.values()) == 20_001 and found["too_long"] >= 1
    assert grown < 100 << 20


def test_an_extended_header_of_any_size_is_not_held(read: Callable[..., list[Outcome]]) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    header = info.tobuf(format=tarfile.GNU_FORMAT)
    assert left_out(read("2001.00001.tar", header + b"x" * 2048)) == {
        "damaged_header": 1,
        "truncated_stream": 1,
    }
    long = "a/" * 120 + "main.tex"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        (paper,) = documents_in(read("2001.00001.tar", tar({long: PAPER}, format=format)))
        assert json.loads(paper.meta)["main"] == long


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_bytes_end_in_outcomes(read: Callable[..., list[Outcome]], data: st.DataObject) -> None:
    whole = bytearray(
        data.draw(st.sampled_from([tar(BUNDLE), packed(tar(BUNDLE)), tar({"1001.0001.gz": packed(PAPER)})]))
    )
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 600))] = data.draw(st.binary(max_size=600))
        whole = whole or bytearray(b"x")
    for outcome in read("2001.00001.gz", bytes(whole[: data.draw(st.integers(0, len(whole)))])):
        assert isinstance(outcome, Document | Dropped | NonContent | Quarantined)


CODE = re.compile(r"\\begin\{(lstlisting|verbatim\*?|minted)\}(?:\[[^]\n]*\])?\n?(.*?)\\end\{\1\}", re.DOTALL)


@needs_samples
def test_the_samples_read_like_prose(capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted(p for p in (SAMPLES / "arxiv").iterdir() if p.name.endswith((".gz", ".tex")))
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    size = papers = formulas = 0
    for path in paths:
        sources = [data.decode("utf-8", "replace") for data in _tex_files(path)]
        code = [match[2].strip("\n") for text in sources for match in CODE.finditer(text)]
        for text in sources:
            before += residues.residues(text, "arxiv")
        for paper in documents_in(list(arxiv.read("arxiv", source(), raw_file(source(), str(path))))):
            after += residues.residues(paper.text, "arxiv", code)
            size += len(paper.text.encode())
            papers += 1
            formulas += paper.text.count("$") // 2 + paper.text.count("\\begin{equation")
    with capsys.disabled():
        print("\n" + residues.table(before, after, "arxiv", size))
    assert papers == 4, "hogg_style.tex is macros: it has no text"
    assert formulas > 2000
    assert sum(after.values()) <= size / 1e5


def _tex_files(path: Path) -> list[bytes]:
    if path.suffix == ".tex":
        return [path.read_bytes()]
    with tarfile.open(path) as archive:
        names = [m for m in archive if m.name.endswith(".tex") and "._" not in m.name]
        return [file.read() for m in names if (file := archive.extractfile(m))]
