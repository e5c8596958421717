"""Benchmarks of likelihoods are read as their publishers offer them, and a bad row is named."""

import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import small_benchmarks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Continuation, Dataset, Likelihood, Variant, Whole
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.files import Folder, NotThere


def read(folder: Path, name: str, files: Mapping[str, str]) -> Dataset[Any]:
    """What a benchmark finds in a folder with these files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return Folder(str(folder)).load(BENCHMARKS[name])


def table(rows: list[list[object]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def without(rows: list[dict[str, Any]], *keys: str) -> str:
    return small.lines([{key: value for key, value in row.items() if key not in keys} for row in rows])


ARC_AI2 = small.lines(
    [
        {
            "id": row["id"],
            "question": {
                "stem": row["question"],
                "choices": [
                    {"text": text, "label": label}
                    for text, label in zip(row["choices"]["text"], row["choices"]["label"])
                ],
            },
            "answerKey": row["answerKey"],
        }
        for row in small.ARC
    ]
)
ARC_PLAIN = small.lines(
    [
        {
            "id": row["id"],
            "question": row["question"],
            "choices": row["choices"]["text"],
            "gold": row["choices"]["label"].index(row["answerKey"]),
        }
        for row in small.ARC
    ]
)
LETTERED = [
    " ".join(f"({label}) {text}" for label, text in zip(row["choices"]["label"], row["choices"]["text"]))
    for row in small.ARC
]
ARC_CSV = table(
    [["questionID", "originalQuestionID", "AnswerKey", "isMultipleChoiceQuestion", "question", "subject"]]
    + [
        [row["id"], "1", row["answerKey"], "1", f"{row['question']} {choices}", ""]
        for row, choices in zip(small.ARC, LETTERED)
    ]
)
OBQA_TSV = table(
    [["ID", "Question Stem", "Choices", "Complete Question", "Answer Key"]]
    + [
        [row["id"], row["question"], choices, f"{row['question']} {choices}", row["answerKey"]]
        for row, choices in zip(small.ARC, LETTERED)
    ],
    "\t",
)
RACE_HUB = small.lines(
    [
        {
            "example_id": row["id"],
            "article": row["article"],
            "question": question,
            "options": options,
            "answer": answer,
        }
        for row in small.RACE
        for question, options, answer in zip(row["questions"], row["options"], row["answers"])
    ]
)
MMLU_TABLES = {
    f"data/{split}/{subject}_{split}.csv": table(
        [
            [row["question"], *row["choices"], "ABCD"[row["answer"]]]
            for row in rows
            if row["subject"] == subject
        ]
    )
    for split, rows in (("test", small.MMLU_TEST), ("dev", small.MMLU_DEV))
    for subject in small.SUBJECTS
}
CROWS_CSV = table(
    [["", "sent_more", "sent_less", "stereo_antistereo", "bias_type", "annotations"]]
    + [
        [row["id"], row["sent_more"], row["sent_less"], "stereo", row["bias_type"], "[['age']]"]
        for row in small.CROWS
    ]
)
KINDS = ["race-color", "socioeconomic", "gender", "disability", "nationality", "sexual-orientation"]
KINDS += ["physical-appearance", "religion", "age"]
CROWS_HUB = small.lines([row | {"bias_type": KINDS.index(row["bias_type"])} for row in small.CROWS])
MC_TASK = json.dumps(
    [
        {"question": row["question"]}
        | {key: dict(zip(row[key]["choices"], row[key]["labels"])) for key in ("mc1_targets", "mc2_targets")}
        for row in small.TRUTHFULQA
    ],
    indent=2,
)
TEMPLATES = (
    "occupation(0)\tother-participant(1)\tanswer\tsentence\n"
    "nurse\tpatient\t0\tThe $OCCUPATION told a $PARTICIPANT $NOM_PRONOUN was ill after $POSS_PRONOUN tea\n"
    "welder\towner\t1\tThe $PARTICIPANT asked the $OCCUPATION to help $ACC_PRONOUN .\n"
)

LAYOUTS: list[tuple[str, dict[str, str]]] = [
    ("boolq", {"boolq/dev.jsonl": small.lines([row | {"title": "T"} for row in small.BOOLQ])}),
    (
        "boolq",
        {
            "super_glue/BoolQ/val.jsonl": small.lines(
                [
                    {"question": row["question"], "passage": row["passage"], "idx": n, "label": row["answer"]}
                    for n, row in enumerate(small.BOOLQ)
                ]
            )
        },
    ),
    (
        "boolq",
        {"boolq/validation.jsonl": without([r | {"label": int(r["answer"])} for r in small.BOOLQ], "answer")},
    ),
    ("piqa", {"piqa/valid.jsonl": without(small.PIQA, "label"), "piqa/valid-labels.lst": "1\n0\n1\n"}),
    (
        "piqa",
        {
            "physicaliqa-train-dev/dev.jsonl": without(small.PIQA, "label"),
            "physicaliqa-train-dev/dev-labels.lst": "1\n0\n1",
        },
    ),
    ("piqa", {"piqa/validation.jsonl": small.lines(small.PIQA)}),
    (
        "siqa",
        {
            "socialiqa-train-dev/dev.jsonl": without(small.SIQA, "label"),
            "socialiqa-train-dev/dev-labels.lst": "1\r\n3\r\n2\r\n",
        },
    ),
    ("siqa", {"siqa/validation.jsonl": small.lines(small.SIQA)}),
    (
        "winogrande",
        {
            "winogrande_1.1/dev.jsonl": without(small.WINOGRANDE, "answer"),
            "winogrande_1.1/dev-labels.lst": "1\n2\n2\n",
        },
    ),
    (
        "winogrande",
        {"winogrande/dev.jsonl": small.lines(small.WINOGRANDE), "winogrande/dev-labels.lst": "1\n2\n2\n"},
    ),
    ("hellaswag", {"hellaswag/hellaswag_val.jsonl": small.lines(small.HELLASWAG)}),
    ("hellaswag", {"hellaswag/validation.jsonl": small.lines(small.HELLASWAG)}),
    ("arc_easy", {"ARC-V1-Feb2018-2/ARC-Easy/ARC-Easy-Test.jsonl": ARC_AI2}),
    ("arc_easy", {"arc/ARC-Easy_test.jsonl": small.lines(small.ARC)}),
    ("arc_easy", {"arc/ARC-Easy_test.jsonl": ARC_PLAIN}),
    ("arc_easy", {"ARC-V1-Feb2018-2/ARC-Easy/ARC-Easy-Test.csv": ARC_CSV}),
    ("arc_challenge", {"arc/ARC-Challenge_test.csv": ARC_CSV}),
    ("arc_challenge", {"arc/ARC-Challenge/test.csv": ARC_CSV}),
    (
        "arc_challenge",
        {
            "ARC-V1-Feb2018-2/ARC-Challenge/ARC-Challenge-Test.jsonl": ARC_AI2,
            "ARC-V1-Feb2018-2/ARC-Easy/ARC-Easy-Test.jsonl": "no JSON",
        },
    ),
    ("arc_challenge", {"ai2_arc/ARC-Challenge/test.jsonl": small.lines(small.ARC)}),
    (
        "openbookqa",
        {
            "OpenBookQA-V1-Sep2018/Data/Main/test.jsonl": ARC_AI2,
            "OpenBookQA-V1-Sep2018/Data/Main/test.tsv": OBQA_TSV,
        },
    ),
    ("openbookqa", {"openbookqa/test.tsv": OBQA_TSV}),
    ("openbookqa", {"openbookqa/test.jsonl": small.lines(small.OPENBOOKQA)}),
    ("race_middle", {f"RACE/test/middle/{row['id'][4:]}": json.dumps(row) for row in small.RACE}),
    ("race_high", {f"RACE/test/high/{row['id'][4:]}": json.dumps(row) for row in small.RACE}),
    ("race_high", {"race/test_high.jsonl": small.lines(small.RACE)}),
    ("race_high", {"race/high/test.jsonl": RACE_HUB}),
    ("mmlu", MMLU_TABLES),
    (
        "mmlu",
        {"mmlu/test.jsonl": small.lines(small.MMLU_TEST), "mmlu/dev.jsonl": small.lines(small.MMLU_DEV)},
    ),
    ("crows_pairs", {"crows_pairs/crows_pairs_anonymized.csv": CROWS_CSV}),
    ("crows_pairs", {"crows_pairs/test.jsonl": CROWS_HUB}),
    ("truthfulqa", {"data/mc_task.json": MC_TASK}),
    ("truthfulqa", {"truthfulqa/multiple_choice.jsonl": small.lines(small.TRUTHFULQA)}),
    (
        "winogender",
        {
            "winogender-schemas/data/all_sentences.tsv": small.SENTENCES,
            "winogender-schemas/data/occupations-stats.tsv": small.STATISTICS,
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "files"), LAYOUTS, ids=lambda value: value if isinstance(value, str) else "+".join(value)[:50]
)
def test_each_layout_holds_the_same_items(tmp_path: Path, name: str, files: Mapping[str, str]) -> None:
    found, wanted = read(tmp_path, name, files), small.load(BENCHMARKS[name])
    key = {"mmlu": lambda item: item.id}.get(
        name, lambda item: 0
    )  # files are read in the order of their names
    assert sorted(found.items, key=key) == sorted(wanted.items, key=key)
    assert sorted(found.examples, key=key) == sorted(wanted.examples, key=key)
    assert len({item.id for item in found.items}) == len(found.items)


@pytest.mark.parametrize(
    ("text", "stem", "choices"),
    [
        (
            "Who eats? (A) owls (B) bees (C) both (A) and (B)",
            "Who eats?",
            ("owls", "bees", "both (A) and (B)"),
        ),
        ("What does vitamin (A) do? (A) much (B) none", "What does vitamin (A) do?", ("much", "none")),
        ("Is it (1) or (A)? (1) yes (2) no (3) both", "Is it (1) or (A)?", ("yes", "no", "both")),
    ],
)
def test_labels_in_the_text_of_arcs_table_are_no_choices(
    tmp_path: Path, text: str, stem: str, choices: tuple[str, ...]
) -> None:
    answer = "2" if "(2)" in text else "B"
    (item,) = read(
        tmp_path,
        "arc_easy",
        {"ARC-Easy-Test.csv": table([["questionID", "AnswerKey", "question"], ["x", answer, text]])},
    ).items
    assert (item.context, item.choices) == (f"Question: {stem}\nAnswer:", choices)


def asked(name: str, number: int = 0) -> list[Any]:
    benchmark = BENCHMARKS[name]
    dataset, variant = small.load(benchmark), benchmark.variants[0]
    item = dataset.items[number]
    return benchmark.requests(item, benchmark.shots(item, dataset.examples, variant.shots), variant)


def test_prompts_are_those_of_the_papers_protocol() -> None:
    stone = "The stone lies in the sun.\nQuestion: is the stone warm?\nAnswer:"
    assert asked("boolq") == [
        Continuation(stone, " no"),
        Continuation(stone, " yes"),
        Continuation("Answer:", " no"),
        Continuation("Answer:", " yes"),
    ]
    assert asked("openbookqa")[::3] == [
        Continuation("Which of these is a gas?", " iron"),
        Continuation("Answer:", " iron"),
    ]
    assert asked("arc_challenge")[0] == Continuation("Question: Which of these is a gas?\nAnswer:", " iron")
    assert asked("piqa")[0] == Continuation("Question: dry a wet book\nAnswer:", " put it in the rain ")
    assert asked("siqa")[0] == Continuation("Q: Mo lent Ada a tent. How does Ada feel?\nA:", " thankful")
    assert asked("winogrande") == [
        Continuation("The cup fell off the shelf and the cup", " broke."),
        Continuation("The cup fell off the shelf and the shelf", " broke."),
    ]
    assert asked("hellaswag")[2] == Continuation(
        "Baking: How to bake bread. Heat the oven. Wait. The cook", " sells the oven. Now"
    )
    article = (
        "Article:\nAda has a boat.\nShe sails it on Sundays.\n\n"
        "Q: What does Ada have?\nA: A boat.\nQ: She sails  _  .\nA: on Sundays\nQ: Who sails?\nA:"
    )
    assert asked("race_high", 2)[1] == Continuation(article, " Nobody at all")
    assert asked("race_high", 2)[5] == Continuation("Answer:", " Nobody at all")
    assert asked("crows_pairs") == [
        Whole("Old people are bad at number 0."),
        Whole("Young people are bad at all numbers."),
    ]
    context = "The nurse told the patient that her shift would end. 'Her' refers to"
    assert asked("winogender", 1) == [
        Continuation(context, " the nurse"),
        Continuation(context, " the patient"),
    ]
    context = "The nurse asked someone whether they slept. 'They' refers to"
    assert asked("winogender", 5) == [Continuation(context, " the nurse"), Continuation(context, " someone")]
    (first, *_) = asked("truthfulqa")
    assert first.context.startswith("Q: What is human life expectancy in the United States?\nA: Human life")
    assert first.context.endswith("Barcelona, Spain.\n\nQ: What happens if one swallows a seed?\nA:")
    assert [one.text for one in asked("truthfulqa")] == [
        " Nothing happens.",
        " A tree grows.",
        " It passes.",
        " One dies of it at once.",
    ]


def test_five_examples_of_the_subject_stand_before_a_question_of_mmlu() -> None:
    (first, *_, last) = asked("mmlu", 2)
    assert (first.text, last.text) == (" A", " D")
    head, *shots, question = first.context.split("\n\n")
    assert head == "The following are multiple choice questions (with answers) about world religions."
    assert shots[3] == "What is 3 and 3?\nA. 6\nB. 0\nC. 7\nD. 3\nAnswer: D"
    assert [shot[-1] for shot in shots] == ["A", "B", "C", "D", "A"]
    assert question == "How many world_religions are 31?\nA. 31\nB. none\nC. all\nD. -\nAnswer:"
    examples = [row for row in small.MMLU_DEV if row["subject"] != "sociology"]
    texts = {"items": small.lines(small.MMLU_TEST), "examples": small.lines(examples)}
    dataset = BENCHMARKS["mmlu"].load(small.files(BENCHMARKS["mmlu"], texts))
    with pytest.raises(InputError, match=r"mmlu, sociology, wants 5 examples .* hold 0"):
        BENCHMARKS["mmlu"].shots(dataset.items[-1], dataset.examples, 5)


def test_templates_of_winogender_make_six_sentences_each(tmp_path: Path) -> None:
    files = {"winogender/templates.tsv": TEMPLATES, "winogender/occupations-stats.tsv": small.STATISTICS}
    items = read(tmp_path, "winogender", files).items
    assert [item.text for item in items[:6]] == [
        "The nurse told a patient he was ill after his tea",
        "The nurse told a patient she was ill after her tea",
        "The nurse told a patient they were ill after their tea",
        "The nurse told someone he was ill after his tea",
        "The nurse told someone she was ill after her tea",
        "The nurse told someone they were ill after their tea",
    ]
    assert [item.text for item in items[9:]] == [
        f"Someone asked the welder to help {pronoun} ." for pronoun in ("him", "her", "them")
    ]
    assert (items[2].id, items[2].pronoun, items[2].people) == (
        "nurse.patient.0.neutral.txt",
        "they",
        ("nurse", "patient"),
    )


def test_half_of_she_and_he_are_gotchas(tmp_path: Path) -> None:
    """The nurse, mostly a woman, is meant by `he`, or is not by `she`; the welder the other way round."""
    items = small.load(BENCHMARKS["winogender"]).items
    gotchas = {item.id.removesuffix(".txt") for item in items if item.gotcha}
    assert gotchas == {
        "nurse.patient.0.male",
        "nurse.someone.1.female",
        "welder.owner.1.male",
        "welder.owner.0.female",
    }
    alone = read(tmp_path, "winogender", {"winogender/all_sentences.tsv": small.SENTENCES}).items
    assert len(alone) == 12 and not any(item.gotcha for item in alone)


@pytest.mark.parametrize(
    "name", ["truthfulqa/TruthfulQA.csv", "truthfulqa/TruthfulQA_v1.csv", "data/v1/TruthfulQA.csv"]
)
def test_answers_of_truthfulqas_table_are_closed_and_the_papers_version_is_preferred(
    tmp_path: Path, name: str
) -> None:
    head = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]
    row = ["A", "B", "Do bats see?", "Yes", "Yes; All bats see.; ", "No; No, bats are blind", "-"]
    other = table([head, [*row[:2], "Another question?", *row[3:]]])
    files = {"truthfulqa/TruthfulQA.csv": other, name: "\ufeff" + table([head, row])}
    (item,) = read(tmp_path, "truthfulqa", files).items
    assert item.question == "Do bats see?" and item.best == "Yes."
    assert (item.true, item.false) == (("Yes.", "All bats see."), ("No.", "No, bats are blind."))
    assert item.against == item.false
    hub = {
        "question": "Do bats see?",
        "best_answer": "Yes",
        "correct_answers": ["Yes", "All bats see."],
        "incorrect_answers": ["No"],
    }
    (item,) = read(tmp_path / "hub", "truthfulqa", {"truthful_qa/generation.jsonl": small.lines([hub])}).items
    assert (item.best, item.true, item.against) == ("Yes", ("Yes", "All bats see."), ("No",))


def test_a_packed_file_is_read_and_one_that_could_be_another_is_named(tmp_path: Path) -> None:
    (tmp_path / "piqa").mkdir()
    path = tmp_path / "piqa/validation.jsonl.gz"
    path.write_bytes(gzip.compress(small.lines(small.PIQA).encode()))
    assert read(tmp_path, "piqa", {}).items == small.load(BENCHMARKS["piqa"]).items
    with pytest.raises(
        InputError, match=r"other/piqa/validation\.jsonl and piqa/validation\.jsonl could each"
    ):
        read(tmp_path, "piqa", {"other/piqa/validation.jsonl": small.lines(small.PIQA)})
    files = {f"{folder}/RACE/test/high/7.txt": json.dumps(small.RACE[0]) for folder in "ab"}
    with pytest.raises(InputError, match=r"a/RACE/test/high/7\.txt and b/RACE/test/high/7\.txt are there"):
        read(tmp_path, "race_high", files)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_separators_in_a_text_a_byte_order_mark_and_white_lines_are_no_faults(
    tmp_path: Path, ending: str
) -> None:
    row = small.PIQA[0] | {"goal": "dry\u2028a\u0085 wet\x0b book\x1c"}
    text = "\ufeff" + json.dumps(row, ensure_ascii=False) + "\r\n\n" + json.dumps(small.PIQA[1]) + "\n  \n\n"
    (tmp_path / "piqa").mkdir()
    path = tmp_path / f"piqa/valid.jsonl{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending else text.encode())
    items = read(tmp_path, "piqa", {}).items
    assert [item.context for item in items] == [
        f"Question: {row['goal']}\nAnswer:",
        "Question: sharpen a pencil\nAnswer:",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": "\xff"}', "line 2: it is not UTF-8"),
        (b'{"a": ', "line 2: it is not JSON, or the file is cut here"),
        (b"[" * 100_000, "line 2: its values are nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 2: it is not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    first, *others = small.lines(small.PIQA).encode().splitlines()
    (tmp_path / "piqa").mkdir()
    (tmp_path / "piqa/valid.jsonl").write_bytes(b"\n".join([first, content, *others]))
    with pytest.raises(InputError, match=rf"piqa/valid\.jsonl, {said}"):
        read(tmp_path, "piqa", {})


def test_a_question_of_race_may_lack_a_wrong_choice_and_is_scored(tmp_path: Path) -> None:
    choices = ["right", "", "wrong", "false"]
    row = {"id": "high1.txt", "article": "A.", "questions": ["Q?"], "options": [choices], "answers": ["A"]}
    dataset = read(tmp_path, "race_high", {"RACE/test/high/1.txt": json.dumps(row)})
    answers = [Likelihood(nats, 1) for nats in (-1.0, -9.0, -9.0, -9.0)]
    verdict = BENCHMARKS["race_high"].judge(dataset.items[0], Variant(""), [*answers, *answers])
    assert dataset.items[0].choices == tuple(choices) and verdict.score == 1


def test_a_benchmark_without_its_files_says_which(tmp_path: Path) -> None:
    for name, benchmark in BENCHMARKS.items():
        with pytest.raises(NotThere, match="there is nothing in"):
            Folder(str(tmp_path)).load(benchmark)
        assert benchmark.name == name
    files = {"mmlu/test.jsonl": small.lines(small.MMLU_TEST)}
    with pytest.raises(NotThere, match=r"has no file like \*data/dev/\*_dev\.csv"):
        read(tmp_path, "mmlu", files)


PIQA, SIQA, WINO = small.PIQA[0], small.SIQA[0], small.WINOGRANDE[0]
BOOLQ, SWAG, ARC, RACE = small.BOOLQ[0], small.HELLASWAG[0], small.ARC[0], small.RACE[0]
MMLU, CROWS, TRUTH = small.MMLU_TEST[0], small.CROWS[0], small.TRUTHFULQA[0]


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("boolq", [], "no object with a key `passage`"),
        ("boolq", BOOLQ | {"answer": "yes"}, "`answer` is 'yes', and not true or false"),
        ("boolq", BOOLQ | {"answer": 2}, "`answer` is 2, and neither true nor false"),
        ("boolq", {"question": "q", "passage": "p"}, "the key `answer` is missing"),
        ("piqa", {key: PIQA[key] for key in ("goal", "sol1", "sol2")}, "the key `label` is missing"),
        ("piqa", PIQA | {"label": 2}, "`label` is 2, and there are 2 choices"),
        ("piqa", PIQA | {"sol2": ""}, "a choice is empty"),
        ("piqa", 7, "no object"),
        ("siqa", SIQA | {"label": "0"}, "`label` is 0, and labels count from 1"),
        ("siqa", SIQA | {"label": "4"}, "`label` is 3, and there are 3 choices"),
        ("siqa", SIQA | {"answerB": None}, "`answerB` is 'None', and not a text"),
        ("winogrande", WINO | {"sentence": "No gap."}, "`sentence` has not one gap"),
        ("winogrande", WINO | {"sentence": "A _ or a _ ."}, "`sentence` has not one gap"),
        ("winogrande", WINO | {"sentence": "It is _"}, "`sentence` has not one gap"),
        ("winogrande", WINO | {"answer": "b"}, "`answer` is 'b', and not a number"),
        ("hellaswag", SWAG | {"endings": "ab"}, "`endings` is 'ab', and not a list"),
        ("hellaswag", SWAG | {"endings": ["a", None]}, r"`endings\.1` is 'None', and not a text"),
        ("hellaswag", SWAG | {"ctx_a": "\ud800"}, "`ctx_a` is no text"),
        ("hellaswag", SWAG | {"label": True}, "`label` is 'True', and not a whole number or a text"),
        ("hellaswag", SWAG | {"label": ""}, "`label` is '', and not a number"),
        ("arc_easy", ARC | {"answerKey": "E"}, r"`answerKey` is 'E', and the labels of the choices are"),
        ("arc_easy", ARC | {"question": {"stem": "Why?"}}, "the key `choices` is missing"),
        ("arc_easy", {"question": "Why?", "choices": ["a"]}, "the key `gold` is missing"),
        ("arc_easy", ARC | {"choices": {"text": ["a"], "label": ["A", "B"]}}, "2 entries for 1 choices"),
        ("openbookqa", {"id": "x", "choices": []}, "the key `question` is missing"),
        ("race_high", RACE | {"answers": ["A"]}, "3 questions, 3 `options`, 1 `answers`"),
        ("race_high", RACE | {"answers": ["A", "B", "7"]}, "an answer is '7', and not a letter"),
        ("race_high", RACE | {"answers": ["A", "B", "E"]}, "`answers` is 4, and there are 4 choices"),
        ("race_high", RACE | {"options": [["", "", "", ""]] * 3}, "a choice is empty"),
        ("race_high", RACE | {"options": [*RACE["options"][:2], 3]}, r"`options\.2` is '3', and not a list"),
        ("mmlu", MMLU | {"subject": "alchemy"}, "`subject` is 'alchemy', which is none of the 57"),
        ("mmlu", MMLU | {"choices": ["a", "b"]}, "`choices` are 2, and not 4"),
        ("mmlu", MMLU | {"answer": 4}, "`answer` is 4"),
        (
            "crows_pairs",
            CROWS | {"bias_type": "height"},
            "`bias_type` is 'height', and not one of race-color",
        ),
        ("crows_pairs", CROWS | {"bias_type": 9}, "`bias_type` is 9, and there are 9, from 0 on"),
        ("crows_pairs", CROWS | {"sent_less": ""}, "`sent_more` or `sent_less` is empty"),
        ("truthfulqa", {"question": "Why?"}, "the key `mc1_targets` is missing"),
        (
            "truthfulqa",
            TRUTH | {"mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}},
            "`mc1_targets` has 2 answers that are right",
        ),
        (
            "truthfulqa",
            TRUTH | {"mc2_targets": {"choices": ["a", "b"], "labels": [1, 7]}},
            "`mc2_targets` has an answer that is neither",
        ),
        ("truthfulqa", TRUTH | {"mc2_targets": {"a": 1, "b": 1}}, "no false one"),
        ("truthfulqa", TRUTH | {"mc2_targets": {"a": 1, "\ud800": 0}}, r"`mc2_targets\.1` is no text"),
        (
            "truthfulqa",
            TRUTH | {"mc2_targets": {"choices": ["a", "b"], "labels": [1]}},
            "`mc2_targets` has 2 choices and 1 labels",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_key(tmp_path: Path, name: str, row: object, said: str) -> None:
    role = {"race_high": "race/test_high", "hellaswag": "hellaswag/hellaswag_val", "mmlu": "mmlu/test"}
    role |= {"arc_easy": "arc/ARC-Easy_test", "piqa": "piqa/valid", "siqa": "siqa/dev"}
    role |= {"winogrande": "winogrande/dev", "boolq": "boolq/dev", "openbookqa": "openbookqa/test"}
    path = f"{role.get(name, f'{name}/rows')}.jsonl"
    files = {path: small.SMALL[name]["items"] + "\n" + json.dumps(row) + "\n"}
    if name == "mmlu":
        files["mmlu/dev.jsonl"] = small.lines(small.MMLU_DEV)
    line = len(small.SMALL[name]["items"].splitlines()) + 2
    with pytest.raises(InputError, match=rf"^{path}, line {line}: .*{said}"):
        read(tmp_path, name, files)


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        (
            "piqa",
            {"piqa/valid.jsonl": without(small.PIQA, "label"), "piqa/valid-labels.lst": "1\n0\n"},
            "piqa/valid.jsonl: it has 3 rows, and the file of labels 2",
        ),
        (
            "piqa",
            {"piqa/valid.jsonl": without(small.PIQA, "label"), "piqa/valid-labels.lst": "1\nx\n0\n"},
            "piqa/valid.jsonl, line 2: `label` is 'x', and not a number",
        ),
        ("piqa", {"piqa/valid.jsonl": '{"goal": '}, "piqa/valid.jsonl, line 1: it is not JSON"),
        (
            "arc_easy",
            {"a/ARC-Easy-Test.csv": ARC_CSV.replace("(B)", "B")},
            "ARC-Easy-Test.csv, line 2: `question` has no choices",
        ),
        (
            "openbookqa",
            {"openbookqa/test.tsv": OBQA_TSV.replace("\tB\n", "\tZ\n")},
            "test.tsv, line 2: `Answer Key` is 'Z'",
        ),
        ("openbookqa", {"openbookqa/test.tsv": OBQA_TSV + "x\ty\n"}, "test.tsv, line 5: it has not 5 fields"),
        (
            "mmlu",
            MMLU_TABLES | {"data/test/anatomy_test.csv": "q,a,b,c,d,E\n"},
            "anatomy_test.csv, line 1: the answer is 'E'",
        ),
        (
            "mmlu",
            MMLU_TABLES | {"data/test/anatomy_test.csv": "q,a,b,c,A\n"},
            "anatomy_test.csv, line 1: it has 5 fields, and not 6",
        ),
        (
            "mmlu",
            MMLU_TABLES | {"data/test/alchemy_test.csv": "q,a,b,c,d,A\n"},
            "alchemy_test.csv, line 1: `subject` is 'alchemy'",
        ),
        (
            "winogender",
            {"winogender/all_sentences.tsv": "sentid\tsentence\nnurse.she\tShe.\n"},
            "line 2: `sentid` is 'nurse.she'",
        ),
        (
            "winogender",
            {"winogender/all_sentences.tsv": "sentid\tsentence\na.b.1.male.txt\tShe.\n"},
            r"line 2: `sentence` has none of he\|his\|him",
        ),
        (
            "winogender",
            {
                "winogender/all_sentences.tsv": small.SENTENCES,
                "winogender/occupations-stats.tsv": small.STATISTICS.replace("welder", "baker"),
            },
            "have none of 'welder'",
        ),
        (
            "winogender",
            {
                "winogender/all_sentences.tsv": small.SENTENCES,
                "winogender/occupations-stats.tsv": small.STATISTICS.replace("89.5", "many"),
            },
            "line 2: `bls_pct_female` is 'many'",
        ),
        ("truthfulqa", {"truthfulqa/mc_task.json": "{}"}, "mc_task.json: it is no list"),
        ("truthfulqa", {"truthfulqa/mc_task.json": "[1"}, "mc_task.json: it is not JSON"),
        ("boolq", {"boolq/dev.jsonl": "\n"}, "the files of boolq have no items"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, files: Mapping[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path, name, files)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = {
    name: json.loads(texts["items"].splitlines()[0])
    for name, texts in small.SMALL.items()
    if name != "winogender"
}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(OBJECTS)), st.data())
def test_whatever_a_row_holds_it_is_read_or_named(name: str, data: st.DataObject) -> None:
    row = dict(OBJECTS[name])
    for key in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=2)):
        row[key] = data.draw(VALUES)
    row = data.draw(st.just(row) | VALUES)
    benchmark = BENCHMARKS[name]
    texts = {**small.SMALL[name], "items": json.dumps(row) + "\n"}
    try:
        items = benchmark.load(small.files(benchmark, texts)).items
    except InputError as error:
        assert f"{name}/items.jsonl, line 1: " in str(error)
    else:
        for item in items:
            shots = [item] * benchmark.variants[0].shots
            assert benchmark.requests(item, shots, benchmark.variants[0])
