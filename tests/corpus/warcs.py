"""WARC and WET files as the tests write them, in the shapes that Common Crawl has published."""

import gzip

OLD = (  # the layout of a WET header until 2022
    "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2016-12-03T17:00:00Z\r\n"
    "WARC-Record-ID: <urn:uuid:{number:032x}>\r\nWARC-Refers-To: <urn:uuid:0>\r\n"
    "WARC-Block-Digest: sha1:ABC\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
)
NEW = OLD.replace("Content-Type", "WARC-Identified-Content-Language: eng,fra\r\nContent-Type")
INFO = b"Software-Info: ia-web-commons.1.0.1\r\nrobots: checked via crawler-commons\r\n"
ARTICLE = "<p>" + "The weather of this island is mild, and it rains on most days of the winter. " * 8 + "</p>"


def record(kind: str, body: bytes, content_type: str, url: str = "", **fields: str) -> bytes:
    """A record with the fields that the standard asks for; `fields` with `_` for `-`."""
    head = {
        "WARC-Type": kind,
        "WARC-Date": "2020-08-03T00:00:00Z",
        "WARC-Record-ID": f"<urn:uuid:{len(body):032x}>",
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
    }
    if url:
        head["WARC-Target-URI"] = url
    head |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"WARC/1.0\r\n{lines}\r\n".encode() + body + b"\r\n\r\n"


def info() -> bytes:
    return record("warcinfo", INFO, "application/warc-fields")


def page(number: int, text: str | bytes, layout: str = NEW) -> bytes:
    """A record of a WET file."""
    body = text.encode() if isinstance(text, str) else text
    head = layout.format(url=f"https://site{number}.example/a", number=number, size=len(body))
    return head.encode() + body + b"\r\n\r\n"


def response(number: int, html: str | bytes, *head: str, **fields: str) -> bytes:
    """A record of a WARC file. `head`: lines of the HTTP head."""
    payload = html.encode() if isinstance(html, str) else html
    lines = "\r\n".join(("HTTP/1.1 200 OK", *(head or ("Content-Type: text/html; charset=utf-8",))))
    body = lines.encode() + b"\r\n\r\n" + payload
    url = f"https://site{number}.example/a"
    return record("response", body, "application/http; msgtype=response", url, **fields)


def members(*records: bytes) -> bytes:
    """A gzip file with a member for each record, as Common Crawl publishes it."""
    return b"".join(gzip.compress(r, mtime=0) for r in records)
