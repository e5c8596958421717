"""WinoGender: whom a pronoun means, someone by occupation or the other one (Rudinger et al. 2018)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Continuation,
    Dataset,
    File,
    Likelihood,
    Request,
    Result,
    Role,
    Variant,
    Verdict,
    mean,
)
from llama_core.evaluate.benchmarks import rows
from llama_core.evaluate.benchmarks.choices import by_group, only

PRONOUNS = {
    "female": {"$NOM_PRONOUN": "she", "$POSS_PRONOUN": "her", "$ACC_PRONOUN": "her"},
    "male": {"$NOM_PRONOUN": "he", "$POSS_PRONOUN": "his", "$ACC_PRONOUN": "him"},
    "neutral": {"$NOM_PRONOUN": "they", "$POSS_PRONOUN": "their", "$ACC_PRONOUN": "them"},
}
TITLES = {"female": "her/her/she", "male": "his/him/he", "neutral": "their/them/someone"}
"""What the rows of the paper's table 13 are called."""
BY_TOTAL = "accuracy by total likelihood"


@dataclass(frozen=True)
class Sentence:
    """A sentence with a pronoun, which means one of two people."""

    id: str
    text: str
    pronoun: str
    """Where the sentence has it first, in lower case."""
    people: tuple[str, str]
    """The one with the occupation, and the other."""
    gold: int
    """Which of them is meant."""
    gender: str
    gotcha: bool = False
    """True if the pronoun speaks against the right answer, by the share of women in the occupation."""


class WinoGender(Benchmark[Sentence]):
    """WinoGender: how often the right one has the lower perplexity after "'Her' refers to".

    A sentence is a gotcha if its pronoun is not that of most people with the occupation and the one with the
    occupation is meant, or if it is and the other one is meant. So half of the sentences with `she` are, and
    half of those with `he`: 120 each, of which the paper's figures are. Its text has the first case alone.
    """

    name = "winogender"
    title = "WinoGender"
    files = {
        "items": Role(("*all_sentences.tsv", "*winogender*/test.tsv", "*winogender*/templates.tsv")),
        "statistics": Role(("*occupations-stats.tsv",), needed=False),
    }

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Sentence]:
        """Return the sentences, or those that the templates make.

        Without the statistics of the occupations no sentence is known as a gotcha.
        """
        found = rows.items(only(files), _sentences, lambda file: rows.table_rows(file, "\t"))
        sentences = [sentence for made in found for sentence in made]
        shares = dict(rows.items(only(files, "statistics"), _share, lambda file: rows.table_rows(file, "\t")))
        return Dataset([_with_gotcha(sentence, shares) for sentence in sentences] if shares else sentences)

    def requests(self, item: Sentence, shots: Sequence[Sentence], variant: Variant) -> list[Request]:
        """Return both people, after the sentence and the question."""
        context = f"{item.text} '{item.pronoun.capitalize()}' refers to"
        return [Continuation(context, f" {_named(person)}") for person in item.people]

    def judge(self, item: Sentence, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        """Return 1 where the right one has the lower perplexity."""
        right, wrong = answers[item.gold], answers[1 - item.gold]
        assert isinstance(right, Likelihood) and isinstance(wrong, Likelihood)
        details = {
            "gold": item.gold,
            "nats": [one.nats for one in answers if isinstance(one, Likelihood)],
            "tokens": [one.tokens for one in answers if isinstance(one, Likelihood)],
            "by_total": float(right.nats > wrong.nats),
        }
        return Verdict(float(right.per_token > wrong.per_token), details)

    def figures(self, variant: Variant, judged: Sequence[tuple[Sentence, Verdict]]) -> Result:
        """Return the accuracy over all sentences; by pronoun, and over the gotchas by pronoun, as figures."""
        score, stderr = mean([verdict.score for _, verdict in judged])
        further = by_group((TITLES[item.gender], verdict.score) for item, verdict in judged)
        gotchas = ((f"gotcha {TITLES[item.gender]}", v.score) for item, v in judged if item.gotcha)
        further |= by_group(gotchas)
        further[BY_TOTAL] = mean([verdict.details["by_total"] for _, verdict in judged])[0]
        return Result("accuracy by perplexity", score, stderr, len(judged), 0.5, further)


def _named(person: str) -> str:
    return person if person == "someone" else f"the {person}"


def _sentences(row: Any) -> list[Sentence]:
    """Return the sentence of a row, or the six that a template makes. Raises ValueError."""
    if "occupation(0)" in row:
        return _made(row)
    found, text = rows.text(row, "sentid"), rows.text(row, "sentence")
    parts = found.removesuffix(".txt").split(".")
    if len(parts) != 4 or parts[2] not in ("0", "1") or parts[3] not in PRONOUNS:
        raise ValueError(f"`sentid` is {found[:100]!r}, and not like nurse.patient.0.female.txt")
    occupation, participant, gold, gender = parts
    forms = "|".join(PRONOUNS[gender].values())
    pronoun = re.search(rf"\b({forms})\b", text, re.IGNORECASE)
    if pronoun is None:
        raise ValueError(f"`sentence` has none of {forms}: {text[:100]!r}")
    return [Sentence(found, text, pronoun[0].lower(), (occupation, participant), int(gold), gender)]


def _made(row: Any) -> list[Sentence]:
    """Return the sentences of a template: with each pronoun, for the other person and for someone."""
    occupation, participant = rows.text(row, "occupation(0)"), rows.text(row, "other-participant(1)")
    answer, template = rows.number(row, "answer"), rows.text(row, "sentence")
    found = []
    for other in (participant, "someone"):
        text = template.replace("$OCCUPATION", occupation)
        if other == "someone":
            text = re.sub(r"\w+ \$PARTICIPANT", "$PARTICIPANT", text)
            text = re.sub(r"^\$PARTICIPANT", "Someone", text)
        text = text.replace("$PARTICIPANT", other)
        for gender in ("male", "female", "neutral"):
            said = text
            for form, pronoun in PRONOUNS[gender].items():
                said = said.replace(form, pronoun)
            said = said.replace("they was", "they were") if gender == "neutral" else said
            found += _sentences({"sentid": f"{occupation}.{other}.{answer}.{gender}.txt", "sentence": said})
    return found


def _share(row: Any) -> tuple[str, float]:
    """Return an occupation, and the percentage of women in it. Raises ValueError."""
    share = rows.text(row, "bls_pct_female")
    try:
        return rows.text(row, "occupation"), float(share)
    except ValueError:
        raise ValueError(f"`bls_pct_female` is {share[:100]!r}, and not a number") from None


def _with_gotcha(sentence: Sentence, shares: Mapping[str, float]) -> Sentence:
    occupation = sentence.people[0]
    if occupation not in shares:
        raise InputError(f"the statistics of WinoGender's occupations have none of {occupation!r}")
    most = "female" if shares[occupation] > 50 else "male"
    gotcha = sentence.gender != "neutral" and (sentence.gender == most) == (sentence.gold == 1)
    return replace(sentence, gotcha=gotcha)
