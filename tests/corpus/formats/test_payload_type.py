"""What a payload is by its bytes: files of other formats are no text, and HTML is HTML without a header."""

import bz2
import gzip
import io
import random
import zipfile

import pytest
from corpus import warcs

from llama_core.corpus.formats.payload_type import is_binary, is_html, is_other_text


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.txt", "a" * 100)
    return data.getvalue()


NOISE = random.Random(1).randbytes(2000)
BINARY = {
    "PDF": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "PDF after line ends": b"\r\n\r\n%PDF-1.7\n1 0 obj <<>> endobj",
    "PDF after words": b"junk\n%PDF-1.4\n1 0 obj",
    "PDF after a byte order mark": b"\xef\xbb\xbf%PDF-1.4\n1 0 obj",
    "binary after much text": b"Some words of a head. " * 300 + NOISE * 5,
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF" + NOISE,
    "PNG": b"\x89PNG\r\n\x1a\n" + NOISE,
    "GIF": b"GIF89a\x01\x00\x01\x00",
    "WebP": b"RIFF\x24\x00\x00\x00WEBPVP8 " + NOISE,
    "ZIP": zipped(),
    "gzip": gzip.compress(b"<html>" * 100),
    "bzip2": bz2.compress(b"<html>" * 100),
    "Word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "MP3": b"ID3\x03\x00" + NOISE,
    "MP4": b"\x00\x00\x00\x20ftypisom" + NOISE,
    "font": b"wOF2" + NOISE,
    "program": b"\x7fELF\x02\x01\x01" + bytes(100),
    "icon": b"\x00\x00\x01\x00\x01\x00" + NOISE,
    "property list": b"bplist00\xd1\x01\x02",
    "torrent": b"d8:announce35:http://tracker.example/announce",
    "AAC": b"\xff\xf1\x50\x80",
    "no format that is known": NOISE,
    "zeros": bytes(500),
}
TEXTS = {
    "HTML": warcs.ARTICLE.encode(),
    "HTML in UTF-16": f"<html>{warcs.ARTICLE}".encode("utf-16"),
    "HTML in UTF-16 without a mark": f"<html>{warcs.ARTICLE}".encode("utf-16-le"),
    "plain text": b"Hello, all of you.",
    "Russian in another encoding": "Погода на острове мягкая".encode("cp1251"),
    "Japanese in another encoding": "島の天気は穏やかで".encode("shift_jis") * 20,
    "Japanese in seven bits": "島の天気は穏やかで".encode("iso2022_jp") * 20,
    "a page with a zero byte": b"<html>" + b"a" * 500 + b"\0" + b"b" * 500,
    "a page that is filled up with zero bytes": b"<html>" + b"a" * 500 + bytes(5000),
    "HTML in UTF-32 without a mark": f"<html>{warcs.ARTICLE}".encode("utf-32-be"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BINARY)
def test_other_formats_are_no_text(name: str) -> None:
    assert is_binary(BINARY[name]) and not is_html(BINARY[name])


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_text_in_every_encoding(name: str) -> None:
    assert not is_binary(TEXTS[name])


@pytest.mark.parametrize(
    "start",
    [
        "<!DOCTYPE html>", "<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", "<html lang=en>", "<HTML>",
        "\ufeff\n <html>", "<!-- a -- b --><html>", "<?xml version='1.0'?>\n<html xmlns='a'>", "<head>",
        "<div class=a>", "<table>", "<script>", "<h1>", "<a href=b>", "<title>a", "<body onload='a()'>",
        "<br/>", "<p>a", "<?xml version='1.0'?><?xml-stylesheet href='a'?><!DOCTYPE xhtml><html>",
        "<!--" + "-" * 5000 + "--><html>",
    ],
)  # fmt: skip
def test_html_is_known_by_the_tag_that_it_begins_with(start: str) -> None:
    assert is_html(start.encode()) and is_html(start.removeprefix("\ufeff").encode("utf-16"))


@pytest.mark.parametrize(
    "data",
    ["", "Hello <b>you</b>", '{"a": "<html>"}', "<?xml version='1'?><rss>", "<svg>", "<urlset>", "var a"],
)
def test_what_begins_otherwise_is_not_known_as_html(data: str) -> None:
    assert not is_html(data.encode())


@pytest.mark.parametrize(
    "data",
    [
        '{"a": "Some <b>words</b>", "b": [1, 2]}', ' [{"a": 1}]', '["a", "b"]', "{}",
        "<?xml version='1.0'?><rss version='2.0'><channel><title>T</title></channel></rss>",
        "<?xml version='1.0'?><!-- a --><feed xmlns='http://www.w3.org/2005/Atom'></feed>", "<rss><channel>",
        "<?xml version='1.0'?><a:RDF></a:RDF>", "<urlset><url>", "<svg width='1'><text>a</text></svg>",
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><d>Words</d>",
        'cb({"a": 1});', '/**/ jQuery1_2([{"a": 1}])', ")]}'\n{\"a\": 1}",
        "<soap:Envelope xmlns:soap='a'><soap:Body>b", "<TEI\n xmlns='a'><p>b",
        "(function(){var a=1;window.b=a;})();", "@charset 'a'; body { margin: 0; } .a > .b { margin: 0; }",
    ],
)  # fmt: skip
def test_text_of_other_kinds_is_no_page(data: str) -> None:
    assert is_other_text(data.encode()) and not is_html(data.encode())


@pytest.mark.parametrize(
    "data",
    [
        warcs.ARTICLE, "Plain words; served as a page.", "[1] A note, and (2) another.", "",
        "<my-app>a</my-app>", "<div xmlns='http://www.w3.org/1999/xhtml'>a", "f(x) is a function.",
        '"To be or not to be", he said.', '["Quoted", in brackets] is how it starts.',
        "The ship is safe;\nthe prize is won;\nthe bells ring;\nthe people cheer;\n",
        "<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'a'><html xmlns='b'>", "<script>a = {b: 1};</script>",
        "<html><style>" + "a {b: c;} " * 90,
        "<?xml version='1.0'?><?xml-stylesheet href='a'?><html>",
    ],
)  # fmt: skip
def test_pages_and_plain_words_are_no_text_of_another_kind(data: str) -> None:
    assert not any(is_other_text(data.encode(e)) for e in ("utf-8", "utf-16", "utf-16-be"))
