"""The encoding of a page: what its bytes are counts more than what is said of them."""

import itertools

import pytest

from llama_core.corpus.markup.webpage.page_charset import decode

TEXTS = {
    "Погода на острове мягкая, и зимой часто идут дожди. Летом приезжают гости, чтобы увидеть старый маяк.": (
        "windows-1251", "koi8-r", "iso-8859-5",
    ),
    "Погода на острові м'яка, і взимку часто йдуть дощі. Її історія довга, а маяк старий.": (
        "windows-1251", "koi8-u",
    ),
    "Pogoda na wyspie jest łagodna, a zimą często pada deszcz. Źródło jest blisko, ścieżka wąska.": (
        "windows-1250", "iso-8859-2",
    ),
    "Az időjárás a szigeten enyhe, és télen gyakran esik az eső. A régi világítótorony szép.": (
        "windows-1250", "iso-8859-2",
    ),
    "Le temps sur l’île est doux, et il pleut souvent en hiver. Ça a été agréable, à côté d’une forêt.": (
        "windows-1252",
    ),
    "Ο καιρός στο νησί είναι ήπιος και τον χειμώνα βρέχει συχνά. Το καλοκαίρι έρχονται επισκέπτες.": (
        "windows-1253", "iso-8859-7",
    ),
    "Adanın havası ılımandır ve kışın sık sık yağmur yağar. Çocuklar gülüyor, şarkı söylüyor.": (
        "windows-1254",
    ),
    "הטקס באי נעים, ובחורף יורד גשם לעתים קרובות. בקיץ באים אורחים כדי לראות את המגדלור הישן.": (
        "windows-1255",
    ),
    "島の天気は穏やかで、冬にはよく雨が降ります。夏には古い灯台を見たり、海辺を散歩したりします。": (
        "shift_jis", "euc-jp", "iso-2022-jp",
    ),
    "岛上的天气很温和，冬天经常下雨。夏天，客人们来看古老的灯塔，在海边散步。孩子们在沙滩上玩耍。": (
        "gb18030", "gb2312",
    ),
    "島上的天氣很溫和，冬天經常下雨。夏天，客人們來看古老的燈塔，在海邊散步。老人們坐在樹下聊天。": (
        "big5",
    ),
    "섬의 날씨는 온화하고 겨울에는 비가 자주 내립니다. 여름에는 손님들이 오래된 등대를 보러 옵니다.": (
        "euc-kr",
    ),
    "อากาศบนเกาะนี้อบอุ่นและมีฝนตกบ่อยในฤดูหนาว ในฤดูร้อนแขกมาเยี่ยมชมประภาคารเก่า": ("tis-620",),
}  # fmt: skip
CASES = [(text, encoding) for text, encodings in TEXTS.items() for encoding in encodings]


def page(text: str, meta: str = "", filler: int = 0) -> str:
    """A page as pages are: most of it is markup in ASCII. `filler`: bytes before what it declares."""
    declared = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    menu = "".join(f'<li><a href="/index.php?id={i}">Home {i}</a></li>' for i in range(30))
    style = f"<style>{'a{b:c}' * (filler // 6)}</style>" if filler else ""
    return (
        f"<!doctype html><html><head>{style}{declared}</head><body><ul>{menu}</ul><p>{text}</p></body></html>"
    )


@pytest.mark.parametrize(("text", "encoding"), CASES)
@pytest.mark.parametrize(
    ("header", "meta"),
    [("utf-8", "utf-8"), ("utf-8", ""), ("", "utf-8"), ("", "")],
    ids=["both say UTF-8", "the server says UTF-8", "the page says UTF-8", "nobody says anything"],
)
def test_a_page_in_another_encoding_than_it_declares_is_read_all_the_same(
    text: str, encoding: str, header: str, meta: str
) -> None:
    html = page(text, meta)
    assert decode(html.encode(encoding, "replace"), header) == html.encode(encoding, "replace").decode(
        encoding
    )


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_where_server_and_page_disagree_the_one_that_fits_is_taken(text: str, encoding: str) -> None:
    for header, meta in ((encoding, "utf-8"), ("utf-8", encoding), ("iso-8859-1", encoding), (encoding, "")):
        html = page(text, meta)
        data = html.encode(encoding, "replace")
        assert decode(data, header) == data.decode(encoding), (header, meta)


@pytest.mark.parametrize("bad", [b"\xa3", b"\xff", b"\xe2\x80", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf"])
@pytest.mark.parametrize("text", [*itertools.islice(TEXTS, 5), "The price is right – isn’t it? It’s “fine”."])
def test_bad_bytes_in_utf8_are_replaced_and_nothing_else_is(text: str, bad: bytes) -> None:
    start, end = page(text).split("<p>")
    for before, after in ((start + "<p>", end), (start + f"<p>{text}", f"<p>{end}"), (start + end, "\n")):
        data = before.encode() + bad + after.encode()
        for header in ("", "utf-8", "iso-8859-1"):
            found = decode(data, header)
            assert found.startswith(before) and found.endswith(after) and "\ufffd" in found


def test_a_page_that_declares_utf8_twice_is_believed_though_its_only_byte_beyond_ascii_is_bad() -> None:
    html = page("Price 5£, and that is all.", "utf-8")
    assert decode(html.encode("latin-1"), "UTF-8") == html.replace("£", "\ufffd")


@pytest.mark.parametrize("header", ["", "utf-8"])
def test_one_dash_or_quote_in_utf8_outweighs_some_bad_bytes(header: str) -> None:
    start, end = page("It’s so: ").split("</p>", 1)
    for bad in (b"\xa35, \xa36 \xe9t\xe9", b"\xed\xa0\xbd\xed\xb8\x80"):
        found = decode(start.encode() + bad + f"</p>{end}".encode(), header)
        assert found.startswith(start) and found.endswith(end)


def test_signs_of_replacement_that_a_page_shows_are_not_bad_bytes() -> None:
    html = page("It was d\ufffdj\ufffd vu, \ufffdt\ufffd: Straße, größer.")
    assert decode(html.encode() + b"\xe9", "") == html + "\ufffd"


@pytest.mark.parametrize("text", TEXTS)
def test_a_page_that_is_cut_inside_a_character_is_read_up_to_there(text: str) -> None:
    whole = page(text)
    data = whole.encode()
    ends = [at for at in range(len(data) // 2, len(data)) if data[at] & 0xC0 == 0x80]
    for end in ends[:: max(1, len(ends) // 8)]:
        found = decode(data[:end], "")
        assert found[-1] == "\ufffd" and whole.startswith(found[:-1]) and len(found) > len(whole) // 3


@pytest.mark.parametrize(
    "form", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("header", ["", "utf-16", "utf-8", "iso-8859-1"])
def test_a_byte_order_mark_or_the_zero_bytes_of_markup_tell_the_form_of_unicode(
    form: str, header: str
) -> None:
    for text in TEXTS:
        html = page(text, "utf-8")
        assert decode(html.encode(form), header) == html
        assert decode(html.encode(form)[:-1], header).startswith(html[:-2])


def test_a_byte_order_mark_before_another_encoding_does_not_count() -> None:
    html = page("Погода на острове мягкая", "windows-1251")
    assert decode(b"\xef\xbb\xbf" + html.encode("cp1251"), "") == html
    assert decode(b"\xef\xbb\xbf" + html.encode() + b"\xff", "iso-8859-1") == html + "\ufffd"


def test_of_several_declarations_the_one_that_says_more_than_latin_1_is_taken() -> None:
    html = page("Погода на острове мягкая", "iso-8859-1").replace(
        "</head>", "<meta charset=windows-1251></head>"
    )
    assert decode(html.encode("cp1251"), "") == decode(html.encode("cp1251"), "iso-8859-1") == html


@pytest.mark.parametrize("declared", ["", "utf-8"])
def test_dashes_and_quotes_of_windows_are_not_guessed_to_be_letters_of_dos(declared: str) -> None:
    html = page("It’s “fine” – isn’t it? We don’t know what’s on…", declared)
    assert decode(html.encode("cp1252"), declared) == html


@pytest.mark.parametrize("declared", ["gbk", "gb2312"])
def test_the_sign_of_the_euro_that_windows_has_added_to_gbk_is_known(declared: str) -> None:
    page = f"<meta charset={declared}><p>价格：".encode("gbk") + b"\x80" + "29.90元，很便宜\0".encode("gbk")
    assert decode(page, "").endswith("价格：€29.90元，很便宜\0")
    assert decode(page.replace(b"\0", b"\xff"), "").endswith("€29.90元，很便宜\ufffd")


def test_characters_that_vendors_have_added_to_a_standard_are_known() -> None:
    for text, encoding, label in (
        ("①島の天気は穏やかで", "euc_jis_2004", "EUC-JP"),
        ("①髙﨑の天気は穏やかで", "cp932", "Shift_JIS"),
        ("镕基的天气很温和", "gb18030", "gb2312"),
        ("똠방각하의 섬", "cp949", "ks_c_5601-1987"),
    ):
        for header, meta in ((label, ""), ("", label), (f"'{label}'", "utf-8")):
            html = page(text, meta)
            assert decode(html.encode(encoding), header) == html, (label, header)


@pytest.mark.parametrize("filler", [0, 1500, 20_000])
def test_what_a_page_declares_is_found_beyond_the_first_kilobyte(filler: int) -> None:
    text = "Ä"  # one character: a guess would be chance
    for meta, encoding in (("windows-1251", "cp1251"), ("iso-8859-7", "iso8859-7"), ("shift_jis", "cp932")):
        data = page("\0", meta, filler).encode().replace(b"\0", text.encode("latin-1") + b"\x41")
        assert decode(data, "") == data.decode(encoding)


def test_a_declaration_of_xml_counts_and_one_in_a_comment_does_not() -> None:
    words = "Погода на острове мягкая"
    xml = f'<?xml version="1.0" encoding="koi8-r"?><html><body><p>{words}</p></body></html>'
    assert decode(xml.encode("koi8-r"), "") == xml
    commented = f"<html><!-- <meta charset=big5> --><meta charset=koi8-r><body><p>{words}</p>"
    assert decode(commented.encode("koi8-r"), "") == commented


@pytest.mark.parametrize(
    "declared", ["base64", "rot13", "utf-7", "idna", "no-such", "x" * 60, "ü", "\ud800", "hex"]
)
def test_a_charset_that_is_none_is_as_if_nothing_were_declared(declared: str) -> None:
    html = page("Plain text, and an é.")
    assert decode(html.encode(), declared) == html
    assert decode(html.encode("cp1252"), declared) == html


OTHER_SCRIPTS = [(text, e) for text, e in CASES if not text[0].isascii() and not text.startswith("Я")]


@pytest.mark.parametrize(("text", "encoding"), [c for c in OTHER_SCRIPTS if c[1] != "iso-2022-jp"])
@pytest.mark.parametrize(("header", "meta"), [("iso-8859-1", ""), ("", "windows-1252")])
def test_a_page_in_another_script_is_not_latin_1_whatever_it_says(
    text: str, encoding: str, header: str, meta: str
) -> None:
    data = page(text, meta).encode(encoding, "replace")
    assert decode(data, header) == data.decode(encoding)


@pytest.mark.parametrize("declared", ["", "iso-8859-1"])
def test_few_accents_are_those_of_latin_1(declared: str) -> None:
    words = "La nave parte dal porto la mattina e torna la sera, se il tempo lo permette; "
    html = page(words * 3 + "perché è così.", declared)
    assert decode(html.encode("cp1252"), declared) == html


@pytest.mark.parametrize("bad", range(1, 8))
def test_utf8_with_as_many_bad_bytes_as_good_characters_is_utf8(bad: int) -> None:
    start, end = page("Größe, Übung, Straße, für, Mädchen, schön: ").split("</p>", 1)
    data = start.encode() + b"\xe9 " * bad + b"</p>" + end.encode()
    assert decode(data, "utf-8").startswith(start)


def test_kana_of_one_byte_are_not_taken_for_utf8_where_their_encoding_is_declared() -> None:
    html = page("ﾒｰﾙで問い合わせ", "shift_jis")
    assert decode(html.encode("cp932"), "") == html


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_first_tag_though_few_bytes_are_zero(form: str) -> None:
    html = "<html><p>" + "岛上的天气很温和，冬天经常下雨。" * 30 + "</p></html>"
    assert decode(html.encode(form), "") == html


def test_a_declaration_in_a_script_does_not_count() -> None:
    html = page("Погода на острове мягкая").replace("<head>", "<head><script>'<meta charset=big5>'</script>")
    assert decode(html.encode("cp1251"), "") == html
