"""Published lists of files, in the shapes that they are published in, and lists that lead elsewhere."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import documents_of, write_jsonl

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.recipe import CommonCrawl, Files
from llama_core.corpus.sources import listing
from llama_core.corpus.sources.listing import ListedFile, parse_listing
from llama_core.errors import InputError

SHA1, MD5 = "0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef"
CRAWL = "https://data.commoncrawl.org/crawl-data/CC-MAIN-2020-05"
PATHS = [f"crawl-data/CC-MAIN-2020-05/segments/1579250589560.16/wet/a-{i:05}.warc.wet.gz" for i in range(3)]
DUMP = "https://dumps.wikimedia.org/enwiki"
NAMES = ["pages-articles1.xml-p1p41242.bz2", "pages-articles.xml.bz2", "page.sql.gz"]
SUMS = "".join(f"{SHA1}  enwiki-20220620-{name}\n" for name in NAMES)
STATUS = {
    "version": "0.8",
    "jobs": {
        "articlesdump": {
            "status": "done", "updated": "2022-06-21 08:17:10",
            "files": {f"enwiki-20220620-{NAMES[0]}": {
                "size": 254_000_000, "url": f"/enwiki/20220620/enwiki-20220620-{NAMES[0]}",
                "md5": MD5, "sha1": SHA1,
            }},
        },
        "metahistory7zdump": {"status": "in-progress", "files": {"enwiki-20220620-x.7z": {}}},
        "pagetable": {"status": "done", "updated": "2022-06-20 10:00:00"},
    },
}  # fmt: skip
STACK = f"""<?xml version="1.0" encoding="UTF-8"?>
<files>
  <file name="3dprinting.stackexchange.com.7z" source="original">
    <mtime>1709000000</mtime><size>12345678</size><md5>{MD5}</md5><crc32>deadbeef</crc32>
    <sha1>{SHA1}</sha1><format>7z</format>
  </file>
  <file name="readme.txt" source="original"><size>7</size><md5>{MD5}</md5></file>
  <file name="stackexchange_files.xml" source="original"><format>Metadata</format></file>
</files>"""
ARXIV = f"""<?xml version='1.0' standalone='yes'?>
<arXivSRC>
  <file>
    <content_md5sum>cacbfede21d5dfef26f367ec99384546</content_md5sum>
    <filename>src/arXiv_src_0001_001.tar</filename>
    <first_item>astro-ph0001001</first_item><last_item>quant-ph0001119</last_item>
    <md5sum>{MD5}</md5sum><num_items>2364</num_items><seq_num>1</seq_num>
    <size>225605507</size><timestamp>2010-12-23 00:13:59</timestamp><yymm>0001</yymm>
  </file>
  <timestamp>Mon Apr  5 12:00:00 2021</timestamp>
</arXivSRC>"""
LS = """.:
1
ls-R
readme.txt

./1:
2

./1/2:
12-0.txt
12-0.zip
12-h
"""
LS_LONG = """.:
total 12
drwxr-xr-x 2 gbnewby staff      4096 Jan  1  2005 1
crw-r--r-- 1 gbnewby staff    4,   1 Jan  1  2005 device
lrwxrwxrwx 1 gbnewby staff         9 Jan  1  2005 link.txt -> 1/a.txt

./1:
total 8
-rw-rw-r--. 1 gbnewby staff   174693 2021-03-04 05:06 11-0.txt
-rw-rw-r-- 1 gbnewby staff     99 Feb 28 12:34 with a space.txt
"""
RSYNC = """drwxr-xr-x          4,096 2023/01/02 03:04:05 .
-rw-r--r--        174,693 2020/12/01 10:11:12 1/1/11-0.txt
"""


def entries(url: str, text: str | bytes) -> list[ListedFile]:
    return parse_listing(f"list+{url}", text.encode() if isinstance(text, str) else text)


def test_common_crawls_paths_are_seen_from_the_root_of_the_crawl() -> None:
    text = "\n".join(PATHS) + "\n"
    for root in ("https://data.commoncrawl.org", "s3://commoncrawl", "file:///mirror/cc"):
        url = f"{root}/crawl-data/CC-MAIN-2020-05/wet.paths.gz"
        for data in (text.encode(), gzip.compress(text.encode())):
            assert entries(url, data) == [ListedFile(f"{root}/{path}") for path in PATHS]
    for mark in ("", "\ufeff"):
        assert [e.url for e in entries("s3://mine/list.txt", mark + "a/b.wet\r\n\r\nc.wet")] == [
            "s3://mine/a/b.wet",
            "s3://mine/c.wet",
        ]


def test_wikimedias_sums_and_status_say_where_a_dump_lies_and_what_it_is() -> None:
    glob = "#*-pages-articles[0-9]*.xml-p*.bz2"
    file = f"{DUMP}/20220620/enwiki-20220620-{NAMES[0]}"
    for folder, name in (
        ("20220620", "enwiki-20220620-sha1sums.txt"),
        ("latest", "enwiki-latest-sha1sums.txt"),
    ):
        assert entries(f"{DUMP}/{folder}/{name}{glob}", SUMS) == [ListedFile(file, None, f"sha1:{SHA1}")]
    found = entries(f"{DUMP}/20220620/dumpstatus.json", json.dumps(STATUS))
    assert found == [ListedFile(file, 254_000_000, f"sha1:{SHA1}")], "of the jobs that are done"


def test_archive_orgs_list_gives_sizes_and_checksums() -> None:
    url = "https://archive.org/download/stackexchange/stackexchange_files.xml"
    (found,) = entries(f"{url}#3dprinting.stackexchange.com.7z", STACK)
    assert found.url == "https://archive.org/download/stackexchange/3dprinting.stackexchange.com.7z"
    assert (found.size, found.checksum) == (12345678, f"sha1:{SHA1}")
    assert [e.checksum for e in entries(url, STACK)] == [f"sha1:{SHA1}", f"md5:{MD5}", ""]


def test_arxivs_manifest_gives_the_tars_of_its_bucket() -> None:
    (found,) = entries("s3://arxiv/src/arXiv_src_manifest.xml", ARXIV)
    assert found == ListedFile("s3://arxiv/src/arXiv_src_0001_001.tar", 225605507, f"md5:{MD5}")


def test_a_mirrors_directory_listing_is_read() -> None:
    url = "https://mirror.example/gutenberg/ls-R"
    root = "https://mirror.example/gutenberg"
    assert entries(f"{url}#*-0.txt", LS) == [ListedFile(f"{root}/1/2/12-0.txt")]
    assert entries(f"{url}#*-0.txt", LS.replace(".", "/srv/ftp", 1).replace("./1", "/srv/ftp/1")) == [
        ListedFile(f"{root}/1/2/12-0.txt")
    ]
    found = entries(f"{url}#*.txt", LS_LONG)
    assert found == [ListedFile(f"{root}/1/11-0.txt", 174693), ListedFile(f"{root}/1/with a space.txt", 99)]
    assert entries(url, RSYNC) == [ListedFile(f"{root}/1/1/11-0.txt", 174693)]


@pytest.mark.parametrize("size", [",", "9" * 5000, "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_line_whose_size_is_no_number_names_no_file(size: str) -> None:
    damaged = RSYNC + f"-rw-r--r--  {size} 2020/12/01 10:11:12 1/1/12-0.txt\n"
    assert entries("https://a.example/l", damaged) == entries("https://a.example/l", RSYNC)


def test_a_glob_with_a_folder_is_of_the_whole_name() -> None:
    names = "1/11-0.txt\nold/11-0.txt\n"
    assert len(entries("s3://a/l#*.txt", names)) == 2
    assert [e.url for e in entries("s3://a/l#1/*", names)] == ["s3://a/1/11-0.txt"]


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><files><file name="&b;"/></files>'


@pytest.mark.parametrize(
    "text",
    [
        "../secret.wet",
        "a/../../secret.wet",
        "a/%2e%2e/%2E%2E/secret.wet",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a//b",
        "https://elsewhere.example/a.wet",
        "//elsewhere.example/a.wet",
        "s3://mine/a.wet",
        "file:///etc/passwd",
        "a\\..\\b.wet",
        "a\0b.wet",
        "a.wet?token=1",
        b"\xff.wet",
        f"{SHA1}  ../secret.bz2",
        f"{SHA1}  a.bz2\nnot a sum\n",
        STACK.replace("readme.txt", "../readme.txt"),
        STACK.replace("readme.txt", "http://a/readme.txt"),
        STACK[:300],
        BOMB,
        "<?xml version='1.0'?>" + BOMB,
        "<a>" * 100_000,
        '{"jobs": {"a": {"status": "done", "files": {"../x": {"size": 1}}}}}',
        '{"jobs": [1, 2]}',
        '{"a":' * 100_000,
        '{"jobs": {"a": {"status": "done", "files": {"x": {"size": 1e999}}}}}',
        ".:\n..\n",
        "./..:\nb.txt\n\n./../..:\nb.txt",
        gzip.compress(b"", mtime=0) * 300_000 + b"\x1f\x8b",
        gzip.compress(b"a.wet\n" * 1000, mtime=0)[:-9],
        gzip.compress(b"a.wet\n" * 1000, mtime=0)[:-4] + b"oops",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_list_that_leads_elsewhere_or_is_damaged_is_a_clear_error(text: str | bytes) -> None:
    with pytest.raises(InputError, match="s3://mine/the/list"):
        entries("s3://mine/the/list", text)


def test_a_list_is_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_BYTES", 100_000)
    monkeypatch.setattr(listing, "MAX_FILES", 100)
    for data in (gzip.compress(b"\n" * 200_000), b"\n" * 200_000, gzip.compress(b"\n" * 60_000) * 2):
        with pytest.raises(InputError, match="no list of files"):
            entries("s3://a/l", data)
    with pytest.raises(InputError, match="more than 100 files"):
        entries("s3://a/l", "".join(f"{i}.wet\n" for i in range(101)))


def test_a_source_reads_the_files_of_a_list(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    folder = tmp_path / "crawl-data" / "X"
    (folder / "segments").mkdir(parents=True)
    for name in "ab":
        write_jsonl(folder / "segments" / f"{name}.jsonl.gz", [{"text": f"{name} text " * 50}])
    paths = "".join(f"crawl-data/X/segments/{name}.jsonl.gz\n" for name in "ab")
    (folder / "paths.gz").write_bytes(gzip.compress(paths.encode()))
    source = Files(kind="files", urls=[f"list+{folder}/paths.gz"])
    artifact = ingested(source)
    assert artifact.counts["documents"] == 2 and len(artifact.shards) == 2
    assert {d.text[0] for d in documents_of(artifact)} == {"a", "b"}
    one = Files(kind="files", urls=[f"list+{folder}/paths.gz#a.*"])
    assert [r.url for r in ingest.raw_files("web", one)] == [f"file://{folder}/segments/a.jsonl.gz"]
    with pytest.raises(InputError, match=r"corpus.sources.web.urls: there is no file at list\+"):
        ingest.raw_files("web", Files(kind="files", urls=[f"list+{folder}/paths.gz#z*"]))
    with pytest.raises(InputError, match="none of the formats that are read"):
        ingest.raw_files("web", CommonCrawl(kind="commoncrawl", urls=[f"list+{folder}/paths.gz"]))


def test_what_a_list_says_of_a_file_is_its_identity_and_is_checked(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a text " * 50}])
    source = Files(kind="files", urls=[f"list+{tmp_path}/files.xml"])

    def digest(size: int, md5: str) -> str:
        xml = f'<files><file name="a.jsonl"><size>{size}</size><md5>{md5}</md5></file></files>'
        (tmp_path / "files.xml").write_text(xml)
        return ingest.raw_files("web", source)[0].digest

    size = path.stat().st_size
    assert digest(size, MD5) == digest(size, MD5)
    assert len({digest(size, MD5), digest(size, MD5[::-1]), digest(size + 1, MD5)}) == 3
    with pytest.raises(InputError, match="its list says"):
        ingested(source)
