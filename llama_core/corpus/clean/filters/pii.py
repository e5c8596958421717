"""Personal data: e-mail addresses and public IP addresses are replaced by ones that belong to nobody.

The masks are addresses reserved for documentation (RFC 2606, 5737 and 3849), so a masked text still reads
well, and masking it again changes nothing.
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

_LOCAL_CHARS = 64  # RFC 5321
_LOCAL = re.compile(r"\w[\w.!#$%&'*+/=?^`{|}~-]*\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])")
_DOCUMENTATION = re.compile(r"(?:.*\.)?example\.(?:com|net|org)", re.IGNORECASE)
_FILES = ("png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "css", "js", "ts", "html")  # "logo@2x.png"

_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\d|\.\d|\w)")
# What comes before four numbers that are no address: of releases, headings, products ("Opera/9.80.1.2").
_NUMBERED = re.compile(
    r"(?:[\d.]|\b(?:v|ver|versions?|release|build|rev|revision|firmware|driver|update|patch|section|chapter"
    r"|figure|fig|table|appendix|clause|article)[\s.:=#-]{0,3}|§ ?|[^\W_][/_-]|[^\W\d])\Z",
    re.IGNORECASE,
)
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
    at, end = text.find("@"), 0
    while at >= 0:
        local = _LOCAL.search(text, max(end, at - _LOCAL_CHARS), at)
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain and domain[1].lower() not in _FILES and not _DOCUMENTATION.fullmatch(domain[0]):
            end = domain.end()
            yield Cut(local.start(), end, EMAIL_MASK)
        at = text.find("@", max(at + 1, end))


def _ipv4(text: str) -> Iterator[Cut]:
    for found in _IPV4.finditer(text):
        start = found.start()
        if not _NUMBERED.search(text, max(0, start - 16), start) and _is_public(found[0]):
            yield Cut(start, found.end(), IPV4_MASK)


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
    return ip.is_global and (ip.version == 4 or int(ip) >> 125 == 1)
