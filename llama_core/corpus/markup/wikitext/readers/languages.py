"""The English names of languages, for {{in lang}}: a module of the English Wikipedia looks them up."""

from llama_core.corpus.markup.wikitext.call import Call

_NAMES = """
ar Arabic, be Belarusian, bg Bulgarian, bn Bengali, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish,
de German, el Greek, en English, eo Esperanto, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish,
fr French, ga Irish, gl Galician, grc Ancient Greek, he Hebrew, hi Hindi, hr Croatian, hu Hungarian,
hy Armenian, id Indonesian, is Icelandic, it Italian, ja Japanese, ka Georgian, kk Kazakh, ko Korean,
la Latin, lt Lithuanian, lv Latvian, mk Macedonian, ms Malay, nl Dutch, no Norwegian, pl Polish,
pt Portuguese, ro Romanian, ru Russian, sh Serbo-Croatian, sk Slovak, sl Slovene, sq Albanian, sr Serbian,
sv Swedish, ta Tamil, th Thai, tr Turkish, uk Ukrainian, ur Urdu, vi Vietnamese, zh Chinese
"""
_ENGLISH = dict(entry.strip().split(" ", 1) for entry in _NAMES.split(","))


def in_languages(call: Call) -> str | None:
    """Read {{in lang|fr|de}} as `(in French and German)`."""
    names = [_ENGLISH[code] for code in map(str.lower, call.words) if code in _ENGLISH]
    if not names or len(names) < len(call.words):
        return None
    *others, last = names
    return f"(in {', '.join(others)} and {last})" if others else f"(in {last})"
