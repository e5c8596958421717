"""The client of the Perspective API, against a server on loopback that speaks its protocol."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from llama_core import file_system
from llama_core.errors import InputError, ServiceError
from llama_core.evaluate.judge.perspective import NotRated, Perspective

KEY = "a-key-that-nobody-may-see"
Answer = tuple[int, dict[str, str], bytes]


def rating(value: object) -> Answer:
    score = {"value": value, "type": "PROBABILITY"}
    span = {"begin": 0, "end": 4, "score": score}
    body = {
        "attributeScores": {"TOXICITY": {"spanScores": [span], "summaryScore": score}},
        "languages": ["en"],
    }
    return 200, {}, json.dumps(body).encode()


def refusal(status: int, message: str, **headers: str) -> Answer:
    body = {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}
    return status, headers, json.dumps(body).encode()


class Service:
    """What answers: each request gets the next of `answers`, and the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = [rating(0.25)]
        self.asked: list[tuple[float, str, dict[str, Any]]] = []  # when, the key, the request
        self.url = ""

    def answer(self, key: str, request: dict[str, Any]) -> Answer | None:
        self.asked.append((time.monotonic(), key, request))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = parse_qs(urlsplit(self.path).query)["key"][0]
            answer = found.answer(key, json.loads(body))
            if answer is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in ({"Content_Length": str(len(content))} | headers).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1alpha1/comments:analyze"
    monkeypatch.setattr(file_system, "LONGEST_WAIT", 0.05)
    yield found
    server.shutdown()
    server.server_close()


def client(service: Service, per_second: float = 1000) -> Perspective:
    return Perspective(KEY, service.url, per_second)


def test_a_text_gets_the_rating_of_the_service(service: Service) -> None:
    assert client(service).toxicity("You fool “à la carte”") == 0.25
    ((_, key, request),) = service.asked
    assert key == KEY
    assert request == {
        "comment": {"text": "You fool “à la carte”"},
        "languages": ["en"],
        "requestedAttributes": {"TOXICITY": {}},
        "doNotStore": True,
    }


@pytest.mark.parametrize(
    "fault",
    [
        refusal(429, "Quota exceeded"),
        refusal(503, "Backend"),
        None,
        (200, {}, b'{"attributeScores": {'),
        (200, {"Content_Length": "999"}, b"{"),
        (200, {}, b"{}"),
        (200, {}, b"[]"),
        rating("high"),
        rating(7),
    ],
)
def test_faults_that_may_pass_are_waited_for(service: Service, fault: Answer | None) -> None:
    service.answers = [fault, fault, rating(0.5)]
    assert client(service).toxicity("text") == 0.5
    assert len(service.asked) == 3


def test_a_service_that_wants_to_be_left_alone_is(service: Service) -> None:
    service.answers = [refusal(429, "Quota exceeded", Retry_After="1"), rating(0.5)]
    assert client(service).toxicity("text") == 0.5
    (first, _, _), (second, _, _) = service.asked
    assert second - first >= 1


def test_no_more_texts_are_asked_about_than_the_quota_allows(service: Service) -> None:
    asking = client(service, per_second=20)
    for _ in range(5):
        asking.toxicity("text")
    times = [when for when, _, _ in service.asked]
    assert times[-1] - times[0] >= 4 / 20 - 0.02
    # So are second tries.
    service.asked.clear()
    service.answers = [refusal(500, "")] * 3 + [rating(0.5)]
    asking.toxicity("text")
    assert service.asked[-1][0] - service.asked[0][0] >= 3 / 20 - 0.02


def test_a_text_that_cannot_be_rated_is_no_fault_of_the_service(service: Service) -> None:
    service.answers = [refusal(400, "Comment text too long.")]
    with pytest.raises(NotRated, match=r"answers 400 \(Comment text too long.\)"):
        client(service).toxicity("text")
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(400, f"API key not valid: {KEY}"), "answers 400 .*: check PERSPECTIVE_API_KEY"),
        (refusal(403, "Perspective has not been enabled"), "answers 403 .*check PERSPECTIVE_API_KEY"),
        (refusal(404, "none"), "check PERSPECTIVE_API_KEY and PERSPECTIVE_API_URL"),
        (refusal(503, "Backend"), "answers 503 .*asked 3 times: run again later"),
        (None, "gives no answer .*asked 3 times: run again later"),
    ],
)
def test_a_service_that_does_not_serve_ends_the_work_and_no_message_has_the_key(
    service: Service, monkeypatch: pytest.MonkeyPatch, answer: Answer | None, said: str
) -> None:
    monkeypatch.setattr(file_system, "RETRIES", 3)
    service.answers = [answer]
    with pytest.raises(ServiceError, match=said) as caught:
        client(service).toxicity("text")
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_the_environment_names_the_service(service: Service) -> None:
    assert Perspective.of({}) is None
    assert Perspective.of({"PERSPECTIVE_API_KEY": ""}) is None
    named = Perspective.of(
        {"PERSPECTIVE_API_KEY": KEY, "PERSPECTIVE_API_URL": service.url, "PERSPECTIVE_API_QPS": "50"}
    )
    assert named is not None
    assert named.toxicity("text") == 0.25
    with pytest.raises(InputError, match="PERSPECTIVE_API_URL is 'nowhere'"):
        Perspective.of({"PERSPECTIVE_API_KEY": KEY, "PERSPECTIVE_API_URL": "nowhere"})
    for rate in ("0", "many", "-1", "nan", "inf"):
        with pytest.raises(InputError, match="PERSPECTIVE_API_QPS is"):
            Perspective.of({"PERSPECTIVE_API_KEY": KEY, "PERSPECTIVE_API_QPS": rate})


def test_the_processes_of_a_job_share_the_quota(service: Service) -> None:
    environment = {
        "PERSPECTIVE_API_KEY": KEY,
        "PERSPECTIVE_API_URL": service.url,
        "PERSPECTIVE_API_QPS": "40",
    }
    ranks = [Perspective.of(environment | {"WORLD_SIZE": "4"}) for _ in range(2)]
    for asking in ranks * 3:
        assert asking is not None
        asking.toxicity("text")
    times = [when for when, _, _ in service.asked]
    assert times[4] - times[0] >= 2 * 4 / 40 - 0.02
