"""Masks for e-mail and IP addresses."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.clean.filters import pii
from llama_core.corpus.clean.recipe import Pii
from llama_core.corpus.decisions import apply_cuts

MIN_PRECISION, MIN_RECALL = 0.96, 0.98
LABELLED = Path(__file__).parent / "pii_lines.txt"  # an address stands between ⟦ and ⟧


def masked(text: str, email: bool = True, ip: bool = True) -> str:
    return apply_cuts(text, pii.mask(text, Pii(email=email, ip=ip)))


@pytest.mark.parametrize(
    "address",
    [
        "ann@corp.org",
        "ann.b+news@mail.corp.co.uk",
        "jürgen@büro.de",
        "a_b@x-y.museum",
        "ann@xn--bro-hoa.xn--p1ai",
    ],
)
def test_an_email_address_is_masked_wherever_it_stands(address: str) -> None:
    frames = "{}", "Write to {}.", "<{}>", "mailto:{}?subject=x", "({}, or call)", "{}\n{}", "{}\n# Head\n"
    for frame in (*frames, "[{}]\n% note", "owner: {} # the first", "[{}] # the first", "{} ~ {}"):
        text = frame.replace("{}", address)
        assert masked(text) == frame.replace("{}", pii.EMAIL_MASK)


@pytest.mark.parametrize(
    "text", ["@handle", "logo@2x.png", "user@localhost", "a @ b.org", "user@example.com", "x@y", "@app.route"]
)
def test_what_only_looks_like_an_email_address_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text", ["8.8.4.4", "from 93.184.216.34:80", "[2606:4700::1111]", "2a00:1450:4001:82a::200e"]
)
def test_a_public_ip_address_is_masked(text: str) -> None:
    assert masked(text) != text
    assert pii.IPV4_MASK in masked(text) or pii.IPV6_MASK in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "192.168.1.10",
        "10.0.0.1",
        "192.0.2.7",
        "256.1.1.1",
        "1.2.3.4.5",
        "version 1.2.3.4",
        "v8.8.4.4",
        "Section 3.2.1.1",
        "Opera/9.80.1.2",
        "std::vector",
        "::1",
        "fe80::1",
        "10:30:00",
        "a::b",
    ],
)
def test_private_addresses_versions_and_names_stay(text: str) -> None:
    assert masked(text) == text


def test_each_mask_has_its_own_switch() -> None:
    text = "ann@corp.org at 8.8.4.4"
    assert masked(text, ip=False) == f"{pii.EMAIL_MASK} at 8.8.4.4"
    assert masked(text, email=False) == f"ann@corp.org at {pii.IPV4_MASK}"


@pytest.mark.parametrize(
    "address",
    [
        "ann (at) corp.org",
        "ann[at]corp[dot]org",
        "ann@corp(dot)org",
        "ann dot lee at corp dot org",
        "A AT B DOT COM",
    ],
)
def test_an_address_that_is_spelled_out_is_masked(address: str) -> None:
    assert masked(f"Write to {address}, please.") == f"Write to {pii.EMAIL_MASK}, please."


def test_what_stands_around_an_address_stays_as_it_was() -> None:
    assert masked(r'"Mail:\nann@corp.org"') == rf'"Mail:\n{pii.EMAIL_MASK}"'
    assert masked("_ann@corp.org_") == f"_{pii.EMAIL_MASK}_"
    assert masked("ssh root@35.190.27.1") == f"ssh root@{pii.IPV4_MASK}"


@given(st.text(st.sampled_from("a1.:@-\n /v[]fx"), max_size=60))
def test_masking_twice_is_masking_once_and_cuts_are_in_order(text: str) -> None:
    cuts = pii.mask(text, Pii(email=True, ip=True))
    assert all(a.end <= b.start for a, b in pairwise(cuts))
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    ("address", "mask"),
    [
        ("2001:4860:4860::8.8.8.8", pii.IPV6_MASK),
        ("8.8.8.8-" + "a" * 58 + "@mail.org", pii.IPV4_MASK),
        ("8.8.8.8-a@mail.org", pii.EMAIL_MASK),
    ],
)
def test_addresses_that_overlap_give_way_to_one_mask(address: str, mask: str) -> None:
    cuts = pii.mask(f"Ask {address} and no other.", Pii(email=True, ip=True))
    assert [(cut.start, cut.end, cut.put) for cut in cuts] == [(4, 4 + len(address), mask)]


def test_a_text_of_at_signs_takes_no_time() -> None:
    text = "a.b@" * 200_000 + "1.1.1.1" * 50_000 + "::" * 100_000
    masked(text)


def test_precision_and_recall_on_labelled_lines() -> None:
    right = wrong = missed = 0
    for line in LABELLED.read_text(encoding="utf-8").split("\n"):
        addresses: set[tuple[int, int]] = set()
        text = ""
        for number, part in enumerate(re.split("[⟦⟧]", line)):
            if number % 2:
                addresses.add((len(text), len(text) + len(part)))
            text += part
        found = {(cut.start, cut.end) for cut in pii.mask(text, Pii(email=True, ip=True))}
        right, wrong = right + len(found & addresses), wrong + len(found - addresses)
        missed += len(addresses - found)
    precision, recall = right / (right + wrong), right / (right + missed)
    print(f"precision {precision:.3f}, recall {recall:.3f} of {right + missed} addresses")
    assert precision >= MIN_PRECISION and recall >= MIN_RECALL


@pytest.mark.parametrize(
    "text",
    [
        "https://mastodon.example.social/@ann.lee",
        "https://www.threads.net/@ann.lee.dev/post/1",
        "- uses: owner/action@v4.yaml",
        "m = q@k.view(2, 3)",
        "git clone git@gitlab.com:group/project.git",
        "npm i typescript@5.4.dev",
        "@bp.route('/')\ndef f(): ...",
        "# Changes\n\n## 3.11.0.2 (2020-01-02)\n\n## [2.1.0.44]\n\n4.2.0.1\n-------\n",
        "rsync -a x/ ann@files.corp.org:y/",
        "kubectl --context=admin@cluster.prod.io get pods",
        "kernel 2.6.32.71 or x ~> 22.44.66.88 or libx (= 22.44.66.88-1)",
        "look (at) this or that. dot com was at its end dot",
        "follow @ann@social.corp.org or https://social.corp.org/@bob.lee@other.net",
    ],
)
def test_what_code_and_pages_write_like_an_address_stays(text: str) -> None:
    assert masked(text) == text
