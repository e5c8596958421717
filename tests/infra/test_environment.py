"""What the surroundings say of proxies does not come between us and a server on loopback."""

import urllib.request

import httpx
import pytest

from infra.environment import past_proxies, variables

PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "all_proxy"])
@pytest.mark.parametrize("before", [{}, {"NO_PROXY": "a.example, .b"}, {"no_proxy": "a.example,.b"}])
def test_loopback_is_asked_past_a_proxy_as_are_the_hosts_of_before(
    proxy: str, before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items() | {(proxy, "http://127.0.0.1:9")}:
        monkeypatch.setenv(name, value)
    with variables(**past_proxies()):
        past = ["127.0.0.1:4200", "localhost:4200", *(["a.example", "x.b"] if before else [])]
        assert all(urllib.request.proxy_bypass_environment(host) for host in past)
        assert not urllib.request.proxy_bypass_environment("elsewhere.example")
        transports = httpx.Client()._mounts
        assert any(pattern.matches(httpx.URL("http://127.0.0.1:4200")) and transport is None
                   for pattern, transport in transports.items())  # fmt: skip


def test_without_a_proxy_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert past_proxies() == {}
