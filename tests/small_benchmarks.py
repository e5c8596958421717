"""Small sets of the paper's benchmarks, written for tests, in the layouts that lm-eval knows from the hub."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_core.evaluate.benchmark import Benchmark, Dataset, File

EVALDATA = Path(os.environ.get("LLAMA_EVALDATA") or Path(__file__).parents[2] / "shared" / "evaldata")

BOOLQ = [
    {"question": "is the stone warm", "passage": "The stone lies in the sun.", "answer": True},
    {"question": "do owls sleep at night", "passage": "Owls hunt at night, by ear.", "answer": False},
    {"question": "is a fen dry", "passage": "A fen is wet land. It holds peat.", "answer": False},
]
PIQA = [
    {
        "goal": "dry a wet book",
        "sol1": "put it in the rain ",
        "sol2": "put it before a fan, open",
        "label": 1,
    },
    {"goal": "sharpen a pencil", "sol1": "turn it in a sharpener", "sol2": "turn it in a cup", "label": 0},
    {"goal": "peel an egg", "sol1": "boil it, cool it, crack it", "sol2": "freeze it", "label": 1},
]
SIQA = [
    {
        "context": "Mo lent Ada a tent.",
        "question": "How does Ada feel?",
        "answerA": "thankful",
        "answerB": "robbed by Mo",
        "answerC": "as tall as a tree",
        "label": label,
    }
    for label in ("1", "3", "2")
]
HELLASWAG = [
    {
        "ind": 7,
        "activity_label": label,
        "ctx_a": "[header] How to bake bread [title] Heat  the oven. [step] Wait.",
        "ctx_b": "the cook",
        "ctx": "not this one",
        "endings": [
            "[substeps] kneads the dough.",
            "flies.",
            " sells the oven [title] Now",
            "waits an hour, or two.",
        ],
        "label": gold,
    }
    for label, gold in (("Baking", "0"), ("Baking bread", "3"), ("Food and Home", "1"))
]
WINOGRANDE = [
    {
        "qID": "a-1",
        "sentence": "The cup fell off the shelf and the _ broke.",
        "option1": "cup",
        "option2": "shelf",
        "answer": "1",
    },
    {
        "qID": "a-2",
        "sentence": "Ada thanked Mo since _ had helped her.",
        "option1": "Ada",
        "option2": "Mo",
        "answer": "2",
    },
    {
        "qID": "b-1",
        "sentence": "The van is faster than the old bicycle, so the _ was late.",
        "option1": "van",
        "option2": "old bicycle",
        "answer": "2",
    },
]
ARC = [
    {
        "id": "x1",
        "question": "Which of these is a gas?",
        "choices": {"text": ["iron", "the air in a tyre", "ice"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
    {
        "id": "x2",
        "question": "What do roots take up?",
        "choices": {"text": ["light", "sound", "water and salts", "heat"], "label": ["1", "2", "3", "4"]},
        "answerKey": "3",
    },
    {
        "id": "x3",
        "question": "What is a year?",
        "choices": {"text": ["one turn of the Earth round the Sun", "a day"], "label": ["A", "B"]},
        "answerKey": "A",
    },
]
OPENBOOKQA = [
    {
        "id": row["id"],
        "question_stem": row["question"],
        "choices": row["choices"],
        "answerKey": row["answerKey"],
    }
    for row in ARC
]
RACE = [
    {
        "id": "high7.txt",
        "article": "Ada has a boat.\nShe sails it on Sundays.",
        "questions": ["What does Ada have?", "She sails  _  .", "Who sails?"],
        "options": [
            ["A boat.", "A cat.", "A hat with a feather.", "No boat."],
            ["on Mondays", "on Sundays", "never", "at night, if there is a moon"],
            ["Mo", "Nobody at all", "Ada, who has a boat", "A cat"],
        ],
        "answers": ["A", "B", "C"],
    },
    {
        "id": "high9.txt",
        "article": "Bees dance.",
        "questions": ["What dances?"],
        "options": [["Owls at night", "Bees", "Ants and some beetles", "Crows"]],
        "answers": ["B"],
    },
]
SUBJECTS = ("anatomy", "world_religions", "virology", "sociology")
MMLU_DEV = [
    {
        "question": f" What is {n} and {n}? ",
        "subject": subject,
        "choices": [str(2 * n), "0", "7", str(n)],
        "answer": n % 4,
    }
    for subject in SUBJECTS
    for n in range(5)
]
MMLU_TEST = [
    {
        "question": f"How many {subject} are {n}?",
        "subject": subject,
        "choices": [str(n), "none", "all", "-"],
        "answer": 0,
    }
    for subject in SUBJECTS
    for n in (31, 32)
]
CROWS = [
    {
        "id": n,
        "sent_more": f"{more} people are bad at number {n}.",
        "sent_less": "Young people are bad at all numbers.",
        "stereo_antistereo": "stereo",
        "bias_type": kind,
    }
    for n, (more, kind) in enumerate([("Old", "age"), ("Big", "physical-appearance"), ("Elder", "age")])
]
TRUTHFULQA = [
    {
        "question": "What happens if one swallows a seed?",
        "mc1_targets": {"choices": ["Nothing happens.", "A tree grows."], "labels": [1, 0]},
        "mc2_targets": {
            "choices": ["Nothing happens.", "It passes.", "A tree grows.", "One dies of it at once."],
            "labels": [1, 1, 0, 0],
        },
    },
    {
        "question": "Do bats see?",
        "mc1_targets": {"choices": ["Yes", "No, bats are blind", "Never"], "labels": [1, 0, 0]},
        "mc2_targets": {"choices": ["Yes", "No, bats are blind", "Never"], "labels": [1, 0, 0]},
    },
]
WINOGENDER = [
    ("nurse", "patient", 0, "The nurse told the patient that {} shift would end.", ("his", "her", "their")),
    ("nurse", "someone", 1, "The nurse asked someone whether {} slept.", ("he", "she", "they")),
    ("welder", "owner", 1, "The owner paid the welder because {} was glad.", ("he", "she", "they")),
    ("welder", "owner", 0, "The welder thanked the owner, who paid {}.", ("him", "her", "them")),
]
SENTENCES = "sentid\tsentence\n" + "".join(
    f"{occupation}.{other}.{gold}.{gender}.txt\t{text.format(pronoun)}\n"
    for occupation, other, gold, text, pronouns in WINOGENDER
    for gender, pronoun in zip(("male", "female", "neutral"), pronouns)
)
STATISTICS = (
    "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\n"
    "nurse\t80.1\t89.5\t2015\n"
    "welder\t3\t4.5\t2015\n"
)


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


SMALL = {
    "boolq": {"items": lines(BOOLQ)},
    "piqa": {"items": lines(PIQA)},
    "siqa": {"items": lines(SIQA)},
    "hellaswag": {"items": lines(HELLASWAG)},
    "winogrande": {"items": lines(WINOGRANDE)},
    "arc_easy": {"items": lines(ARC)},
    "arc_challenge": {"items": lines(ARC)},
    "openbookqa": {"items": lines(OPENBOOKQA)},
    "race_middle": {"items": lines(RACE)},
    "race_high": {"items": lines(RACE)},
    "mmlu": {"items": lines(MMLU_TEST), "examples": lines(MMLU_DEV)},
    "crows_pairs": {"items": lines(CROWS)},
    "truthfulqa": {"items": lines(TRUTHFULQA)},
    "winogender": {"items": SENTENCES, "statistics": STATISTICS},
}
"""The texts of each benchmark's files, by role."""


def files(benchmark: Benchmark[Any], texts: Mapping[str, str], ending: str = "") -> dict[str, list[File]]:
    """A benchmark's files, each with the name that its role looks for."""
    found: dict[str, list[File]] = {role: [] for role in benchmark.files}
    for role, text in texts.items():
        kind = ending or (".tsv" if benchmark.name == "winogender" else ".jsonl")
        found[role] = [File(f"{benchmark.name}/{role}{kind}", text.encode())]
    return found


def load(benchmark: Benchmark[Any]) -> Dataset[Any]:
    """The small set of a benchmark."""
    return benchmark.load(files(benchmark, SMALL[benchmark.name]))
