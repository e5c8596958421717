"""The toxicity of texts, as the Perspective API rates them (`comments:analyze`, v1alpha1).

The key comes from the environment, and stands in no message. Google has announced that it turns the service
off after 2026: the address may name another server that speaks the same protocol.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from llama_core.errors import InputError, ServiceError
from llama_core.file_system import READ_SECONDS, Tries, may_pass

KEY, URL, RATE = "PERSPECTIVE_API_KEY", "PERSPECTIVE_API_URL", "PERSPECTIVE_API_QPS"
GOOGLE = "https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze"
ATTRIBUTE = "TOXICITY"


class NotRated(Exception):
    """The service gives this text no rating; the message says why."""


class Perspective:
    """The service, of which so many texts a second may be asked."""

    def __init__(self, key: str, url: str = GOOGLE, per_second: float = 1.0):
        self._key, self._address = key, f"{url}?{urlencode({'key': key})}"
        self._pause, self._next = 1 / per_second, 0.0

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Perspective | None":
        """Return the service that the environment names, or None where it holds no key.

        The processes of a job share the number of requests in a second that it names. Raises InputError.
        """
        if not (key := environment.get(KEY)):
            return None
        asked = environment.get(RATE, "1")
        try:
            rate = float(asked)
        except ValueError:
            rate = 0.0
        if not 0 < rate < 1e6:
            raise InputError(f"{RATE} is {asked!r}, and not a number of requests in a second")
        url = environment.get(URL) or GOOGLE
        if not url.startswith(("http://", "https://")):
            raise InputError(f"{URL} is {url!r}, and no address that begins with https:// or http://")
        return cls(key, url, rate / int(environment.get("WORLD_SIZE", "1")))

    def toxicity(self, text: str) -> float:
        """Return the probability that a reader finds an English text toxic.

        Faults that may pass are waited for. Raises NotRated where the service cannot rate this text, and
        ServiceError where it answers no request.
        """
        body = {
            "comment": {"text": text},
            "languages": ["en"],
            "requestedAttributes": {ATTRIBUTE: {}},
            "doNotStore": True,
        }
        tries = Tries()
        while True:
            self._wait_for_turn()
            try:
                return _rating(self._post(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                with error:
                    said = _said(error.read(1 << 16)).replace(self._key, "...")
                reason, asked = f"answers {error.code}{said}", _seconds(error.headers.get("Retry-After"))
                if error.code == 400 and "API key" not in said and "API_KEY" not in said:
                    raise NotRated(f"the Perspective API {reason}") from None
                passing = may_pass(error.code)
            except (OSError, HTTPException, ValueError) as error:  # no answer, or half of one
                reason, asked, passing = f"gives no answer ({type(error).__name__})", 0.0, True
            wait = tries.wait(asked) if passing else None
            if wait is None:
                hint = f", asked {tries}: run again later" if passing else f": check {KEY} and {URL}"
                raise ServiceError(f"the Perspective API {reason}{hint}") from None
            time.sleep(wait)

    def _wait_for_turn(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(self._next, now) + self._pause

    def _post(self, body: bytes) -> Any:
        request = urllib.request.Request(self._address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=READ_SECONDS) as answer:
            return json.loads(answer.read(1 << 20))


def _rating(answer: Any) -> float:
    """Return the rating in an answer of the service. Raises ValueError where it is none."""
    try:
        rating = float(answer["attributeScores"][ATTRIBUTE]["summaryScore"]["value"])
    except (KeyError, TypeError) as error:
        raise ValueError("an answer without a rating") from error
    if not 0 <= rating <= 1:
        raise ValueError("a rating that is no probability")
    return rating


def _said(body: bytes) -> str:
    """Return what an error of the service says, in words to stand behind its status."""
    try:
        return f" ({str(json.loads(body)['error']['message'])[:200]})"
    except (ValueError, KeyError, TypeError):
        return ""


def _seconds(header: str | None) -> float:
    """Return the seconds that a server wants to be left alone; 0 where it names none, or a date."""
    return float(header) if header and header.isdecimal() else 0.0
