"""Personal data: e-mail addresses and public IP addresses are replaced by ones that belong to nobody.

The masks are addresses reserved for documentation (RFC 2606, 5737 and 3849), so a masked text still reads
well, and masking it again changes nothing. What only looks like an address stays: handles and user names in
URLs, `package@version`, decorators, prompts, the places of `scp` and `git`, and numbers of versions and
sections. Addresses that are spelled out, such as `ann (at) corp (dot) org`, are masked too.

On the 1,166 labelled lines of `tests/corpus/clean/filters/pii_lines.txt`, precision is 0.97 and recall 0.99.
The lines were written beside these rules, many of them to break them.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from llama_core.corpus.clean.recipe import Pii
from llama_core.corpus.decisions import Cut

EMAIL_MASK = "email@example.com"
IPV4_MASK = "192.0.2.1"
IPV6_MASK = "2001:db8::1"

_AT, _AT_OR_ENCODED = re.compile("@"), re.compile("@|%40")  # the second in queries of URLs
_LOCAL_CHARS = 64  # RFC 5321
# Scripts that put no space between an address in Latin letters and the words around it: Thai to Khmer, Han,
# kana, Hangul, and the wide forms.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
)
_LOCAL = re.compile(
    rf"(?!(?<=\\)[nrt])(?:[^\W_{_UNSPACED}]|_(?=[^\W{_UNSPACED}]))(?:[^\W{_UNSPACED}]|[.+%'-])*\Z"
    rf"|(?:[^\W_]|_(?=\w))[\w.+%'-]*(?<=[{_UNSPACED}])\Z"
)
_DOMAIN = re.compile(
    rf"((?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.){{1,8}})"
    rf"(xn--[a-z0-9-]{{2,59}}|[^\W\d_{_UNSPACED}]{{2,24}}|(?=[{_UNSPACED}])[^\W\d_]{{2,24}})(?![^\W_{_UNSPACED}]|_\w|-)"
)
# An address that is spelled out: `ann (at) corp.org`, `ann@corp[dot]org`, `ann at corp dot org`.
_IS_SPELLED = re.compile(r"[(\[{<] ?(?:at|dot) ?[)\]}>]| dot ", re.IGNORECASE)
_SPELLED = re.compile(
    r"(?<![\w.+@-])[^\W_][\w.+-]{0,63}+(?: dot [\w-]{1,63}){0,3}"
    r"(?P<at>@|(?P<gap> ?)[(\[{<] ?at ?[)\]}>](?P=gap)| at )"
    r"(?P<domain>[^\W_][\w-]{0,61}"
    r"(?:(?:\.|(?P<dot> ?[(\[{<] ?dot ?[)\]}>] ?| dot ))[^\W_][\w-]{0,61}){1,8})(?![\w(-])",
    re.IGNORECASE,
)
_DOCUMENTATION = re.compile(r"(?:.*\.)?example\.(?:com|net|org)|example", re.IGNORECASE)
# The ends of domains that mail has: countries, and of the others those that are in wide use. A longer list
# would take in the words that follow a dot in code.
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw "
    "by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et "
    "eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id "
    "ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu "
    "lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np "
    "nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk "
    "sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy "
    "uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_OTHERS = (
    "com net org edu gov mil int info biz name pro aero coop museum jobs mobi travel tel asia cat post "
    "xxx arpa app dev xyz online site store shop tech club live news blog email mail cloud digital agency "
    "company solutions services systems technology group world life today global media studio design art "
    "photography gallery consulting institute academy university school foundation church ngo ong eco "
    "green energy health care clinic dental doctor legal law lawyer finance financial money capital "
    "ventures fund bank insurance london berlin paris wien tokyo nyc scot wales cymru irish bzh eus gal "
    "swiss moscow istanbul koeln hamburg bayern amsterdam brussels vegas center community city family "
    "farm house land homes estate properties rentals restaurant cafe bar pub wine beer coffee pizza "
    "recipes fitness yoga run bike golf hockey football games game toys software codes network host "
    "hosting domains website web page wiki support training events tickets tours vacations holiday "
    "flights international ltd llc inc gmbh limited sarl srl team work works careers expert guru ninja "
    "rocks love top vip win fun space icu best one zone link click social chat lol fyi plus cool direct "
    "express delivery auto cars engineering construction builders tools supply equipment industries "
    "productions marketing press pictures video film show"
)
_ENDS = frozenset(f"{_COUNTRIES} {_OTHERS}".split())
# A version where a domain would stand: `18.0.0-rc`, `7.0.dev`, `10.x`.
_NUMBERS = re.compile(r"v?\d+\.(?:(?:\d|x\.)|(?P<end>\Z))", re.IGNORECASE)
_MAIL_OF_NUMBERS = frozenset(("com", "net", "org", "cn"))  # 163.com, 126.com
# What stands before the address of a program that is no mail: of a shell, and in Kotlin's and Java's code.
_COMMAND = re.compile(
    r"(?:\b(?:ssh|scp|sftp|ftp|rsync|sshfs|mosh|autossh|kubectx|psql|oc login)\b[^\n@|;]{0,60}|://[^\s/@]{0,60}"
    r"|\b(?:npm|pnpm|yarn|npx|bun|cargo|conda|brew|gem|helm|kubectl|docker) (?:install|i|add|pack|dlx|exec"
    r"|pull|run|config|update|remove|view) [^\n@|;]{0,60}"
    r"|\buses: ?[\"']?[^\s@]{0,60}|\bacct:|(?:(?i:context)s?[=:] ?|--context )[\[\"']{0,2})\Z"
)
_NO_PERSON = frozenset(("git", "hg", "svn", "root", "this", "super", "return"))
# What follows a place of scp, and a host in a prompt: a path, or the mark that waits for a command.
_PLACE = re.compile(
    r":[~/]|:(?:22|2222|29418)\b|:[\w.-]+(?:/|\.git\b)"
    r"| [~/][^\s\]]{0,60}\] ?[$#%]|\]{1,2}[$#%](?=\s|\Z)| ~ [$#%] | [$%] "
)
_ASSIGNED = re.compile(r"(?:\w [-+*/]?= |\breturn )\Z")
_ATTRIBUTES = frozenset(("as", "at", "cat", "id", "in", "is", "name", "to"))  # of `x = a@b.name`
_CALL = re.compile(r"[(\[]| for \w+ in ")  # what follows `a@b.to` in code, where these ends are no methods
_NO_METHODS = frozenset(
    (
        "com",
        "net",
        "org",
        "edu",
        "gov",
        "mil",
        "de",
        "uk",
        "fr",
        "ru",
        "cn",
        "jp",
        "nl",
        "eu",
        "ch",
        "br",
        "au",
    )
)

_IPV4 = re.compile(
    r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d|\w|[-_+](?i:rc|alpha|beta|dev|pre|snapshot|final|ga|lts|build)\b|\.(?:tar|zip|exe|dll|jar|msi)\b)"
)
# What comes before four numbers that are no address: of releases, headings, products ("Opera/9.80.1.2").
_NUMBERED = re.compile(
    r"(?:[\d.]|\b(?:v|ver|versions?|release[sd]?|build|rev|revision|firmware|driver|update[ds]?|upgrade[ds]?|patch"
    r"|section|chapter|figure|fig|table|appendix|clause|article|assembly\w*|\w*version\w*|since"
    r"|(?:from|to) version|linux|kernel|sdk|tag|changelog)"
    r"[\s.:=#\"'(\[<>~^,-]{0,6}(?:(?:to|is) )?|§ ?|[^\W_][_-]|(?<![\w/:.])[\w.+-]{1,20}/"
    r"|[^\W\d]|(?:[~^<>!=(]=|[~^]|~>) ?)\Z",
    re.IGNORECASE,
)
# The line that a heading of a list of changes is: a version alone, or with its date.
_HEADING = re.compile(r"(?P<marks>#+|=+|\*|-)?\s*\[?\Z")
_AFTER_HEADING = re.compile(
    r"\]?(?:\(\S*\))?:?[ \t]*(?:(?P<ends>=*[ \t]*(?:\n|\Z))"
    r"|[-–—/]?\s*\(?(?:\d{4}[-./]\d\d?[-./]\d\d?|unreleased)\b)",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"[ \t]*\n[ \t]*[-=~^]{3}")
# Three numbers of an address are hardly ever so small, and those of a version are: it must be said to be one.
_SMALL, _FEW = 20, 3
_CALLED_ADDRESS = re.compile(
    r"(?:(?<![A-Za-z])(?:ips?|ipv4|addr(?:ess(?:es)?)?|hosts?|hostname|servers?|ping|dns|nameservers?|resolvers?|gateway|proxy"
    r"|peer|client|router|remote|connect(?:ed|ing|ion)?|traceroute|whois|curl|telnet|nmap)\b[^\w\n]{0,4}"
    r"(?:(?:to|is|at|from|address|of) )?|://|(?<!\w)@)\Z",
    re.IGNORECASE,
)
_PORT = re.compile(r":\d{2,5}\b|/(?:[12]\d|3[0-2]|[89])\b| {1,3}[\d.]+ ms\b")
_WELL_KNOWN = frozenset(
    ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9")
)  # resolvers, all of small numbers
_CONTEXT = 24  # characters that are looked at before an address

_IPV6_PART = re.compile(r":[0-9A-Fa-f]{0,4}:")
_IPV6 = re.compile(r"[0-9A-Fa-f:]{2,39}(?![\w:])(?<!:)|[0-9A-Fa-f:]{2,38}::(?![\w:])")
_HEX = "0123456789abcdefABCDEF"


def mask(text: str, cfg: Pii) -> list[Cut]:
    """Return the cuts that put masks in the places of addresses, in order.

    Private, reserved and documentation addresses stay. Addresses that overlap, such as those in
    `2001:4860::8.8.8.8`, are replaced by the mask of the first.
    """
    found = [*_emails(text)] if cfg.email else []
    if cfg.ip:
        found += (*_ipv4(text), *_ipv6(text))
    found.sort(key=lambda cut: cut.start)  # of two that begin together, an e-mail address is first
    cuts: list[Cut] = []
    for cut in found:
        if cuts and cut.start < cuts[-1].end:
            cuts[-1] = replace(cuts[-1], end=max(cut.end, cuts[-1].end))
        else:
            cuts.append(cut)
    return cuts


def _emails(text: str) -> Iterator[Cut]:
    end = 0
    for at in (_AT_OR_ENCODED if "%40" in text else _AT).finditer(text):
        if at.start() < end:
            continue
        local = _LOCAL.search(text, max(end, at.start() - _LOCAL_CHARS), at.start())
        domain = _DOMAIN.match(text, at.end()) if local else None
        if local and domain and _is_mail(text, local, domain):
            end = domain.end()
            is_emphasis = text[local.start()] == "_" == text[end : end + 1]
            yield Cut(local.start() + is_emphasis, end, EMAIL_MASK)
    if _IS_SPELLED.search(text):
        yield from (Cut(*found.span(), EMAIL_MASK) for found in _SPELLED.finditer(text) if _is_spelled(found))


def _is_spelled(found: re.Match[str]) -> bool:
    """Tell whether an address that is spelled out, with words for `@` or a dot, is one."""
    ending = re.split(r"\W|_", found["domain"].rstrip("_"))[-1].lower()
    if found["gap"] is not None:
        return ending in _ENDS
    return found["dot"] is not None and ending in (_ENDS if found["at"] == "@" else _NO_METHODS)


def _is_mail(text: str, local: re.Match[str], domain: re.Match[str]) -> bool:
    """Tell whether what stands around an `@` is the address of somebody."""
    if local.start() and text[local.start() - 1] == "@":  # a handle on a server, @ann@server.social
        return False
    labels, ending = domain[1], domain[2]
    if ending.lower() not in _ENDS and not ending.lower().startswith("xn--") and ending.isascii():
        return False
    is_plain = ending.lower() in _NO_METHODS
    is_mixed = ending not in (ending.lower(), ending.upper())  # `x@Model.Name` and `q@k.mT` are code
    if (is_mixed and not is_plain) or _DOCUMENTATION.fullmatch(domain[0]):
        return False
    numbers = _NUMBERS.match(labels)
    if numbers and (numbers["end"] is None or ending.lower() not in _MAIL_OF_NUMBERS):
        return False
    if local[0].lower() in _NO_PERSON or _PLACE.match(text, domain.end()):
        return False
    if not is_plain and _CALL.match(text, domain.end()):
        return False
    before = max(0, local.start() - _LOCAL_CHARS)
    if ending in _ATTRIBUTES and labels.count(".") == 1 and _ASSIGNED.search(text, before, local.start()):
        return False
    return _COMMAND.search(text, before, local.start()) is None


def _ipv4(text: str) -> Iterator[Cut]:
    for found in _IPV4.finditer(text):
        if _is_public(found[0]) and not _is_version(text, found):
            yield Cut(found.start(), found.end(), IPV4_MASK)


def _is_version(text: str, found: re.Match[str]) -> bool:
    """Tell whether four numbers are those of a version, a section or the like."""
    start, before = found.start(), max(0, found.start() - _CONTEXT)
    if _NUMBERED.search(text, before, start):
        return True
    line = text.rfind("\n", before, start) + 1
    heading = _HEADING.match(text, line or before, start) if line or not before else None
    if heading and _is_heading(text, heading, found.end()):
        return True
    small = sum(int(number) <= _SMALL for number in found[0].split("."))
    if small < _FEW or found[0] in _WELL_KNOWN:
        return False
    return not (_CALLED_ADDRESS.search(text, before, start) or _PORT.match(text, found.end()))


def _is_heading(text: str, heading: re.Match[str], end: int) -> bool:
    """Tell whether a line whose four numbers end at `end` is a heading in a list of changes."""
    if _UNDERLINE.match(text, end):
        return True
    after = _AFTER_HEADING.match(text, end)
    return after is not None and (after["ends"] is None or (heading["marks"] or "")[:2] in ("##", "=="))


def _ipv6(text: str) -> Iterator[Cut]:
    end = 0
    for part in _IPV6_PART.finditer(text):
        if part.start() < end:
            continue
        start = part.start()
        while start > max(end, part.start() - 4) and text[start - 1] in _HEX:
            start -= 1
        if start and (text[start - 1].isalnum() or text[start - 1] in ":_."):
            continue
        found = _IPV6.match(text, start)
        if found and _is_public(found[0]):
            end = found.end()
            yield Cut(start, end, IPV6_MASK)


def _is_public(address: str) -> bool:
    """Tell whether an address is a public one.

    Of IPv6 only what has been allocated (2000::/3) counts, as `a::b` is a name in many programming languages.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return ip.is_global and not ip.is_multicast and (ip.version == 4 or int(ip) >> 125 == 1)
