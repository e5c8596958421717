"""Figures that the paper publishes follow from its own smaller ones, by our averages."""

from collections.abc import Sequence
from typing import Any

import pytest

from llama_core.evaluate.benchmark import Result, Verdict
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.benchmarks.choices import Question
from llama_core.evaluate.benchmarks.crows_pairs import Pair
from llama_core.evaluate.benchmarks.mmlu import GROUPS, LETTERS
from llama_core.evaluate.benchmarks.winogender import Sentence

# LLaMA 7B in the paper's table 16, in percent, and the number of the subject's questions.
SUBJECTS = {
    "abstract_algebra": (29.0, 100),
    "anatomy": (37.0, 135),
    "astronomy": (33.6, 152),
    "business_ethics": (40.0, 100),
    "clinical_knowledge": (35.1, 265),
    "college_biology": (37.5, 144),
    "college_chemistry": (32.0, 100),
    "college_computer_science": (29.0, 100),
    "college_mathematics": (33.0, 100),
    "college_medicine": (30.6, 173),
    "college_physics": (26.5, 102),
    "computer_security": (45.0, 100),
    "conceptual_physics": (36.6, 235),
    "econometrics": (23.7, 114),
    "electrical_engineering": (26.9, 145),
    "elementary_mathematics": (24.3, 378),
    "formal_logic": (27.0, 126),
    "global_facts": (29.0, 100),
    "high_school_biology": (34.5, 310),
    "high_school_chemistry": (28.1, 203),
    "high_school_computer_science": (31.0, 100),
    "high_school_european_history": (44.2, 165),
    "high_school_geography": (34.3, 198),
    "high_school_government_and_politics": (44.6, 193),
    "high_school_macroeconomics": (35.4, 390),
    "high_school_mathematics": (24.8, 270),
    "high_school_microeconomics": (31.9, 238),
    "high_school_physics": (26.5, 151),
    "high_school_psychology": (47.3, 545),
    "high_school_statistics": (35.2, 216),
    "high_school_us_history": (39.7, 204),
    "high_school_world_history": (40.9, 237),
    "human_aging": (40.8, 223),
    "human_sexuality": (36.6, 131),
    "international_law": (51.2, 121),
    "jurisprudence": (38.9, 108),
    "logical_fallacies": (39.3, 163),
    "machine_learning": (23.2, 112),
    "management": (35.0, 103),
    "marketing": (46.6, 234),
    "medical_genetics": (43.0, 100),
    "miscellaneous": (42.4, 783),
    "moral_disputes": (40.2, 346),
    "moral_scenarios": (24.3, 895),
    "nutrition": (37.6, 306),
    "philosophy": (39.9, 311),
    "prehistory": (36.1, 324),
    "professional_accounting": (25.9, 282),
    "professional_law": (30.2, 1534),
    "professional_medicine": (44.5, 272),
    "professional_psychology": (35.1, 612),
    "public_relations": (40.9, 110),
    "security_studies": (31.8, 245),
    "sociology": (46.8, 201),
    "us_foreign_policy": (46.0, 100),
    "virology": (30.1, 166),
    "world_religions": (50.9, 171),
}
CROWS = {
    "gender": (185, 262, 70.6),
    "religion": (83, 105, 79.0),
    "race-color": (294, 516, 57.0),
    "sexual-orientation": (68, 84, 81.0),
    "age": (61, 87, 70.1),
    "nationality": (102, 159, 64.2),
    "disability": (40, 60, 66.7),
    "physical-appearance": (49, 63, 77.8),
    "socioeconomic": (123, 172, 71.5),
}


def figures(name: str, judged: Sequence[tuple[Any, Verdict]]) -> Result:
    return BENCHMARKS[name].figures(BENCHMARKS[name].variants[0], judged)


def test_mmlu_is_the_mean_over_all_questions_and_not_over_subjects() -> None:
    judged = [
        (
            Question(f"{subject}/{n}", "", tuple(LETTERS), 0, subject),
            Verdict(percent / 100),
        )
        for subject, (percent, questions) in SUBJECTS.items()
        for n in range(questions)
    ]
    result = figures("mmlu", judged)
    assert result.n == 14042 and SUBJECTS.keys() == GROUPS.keys()
    assert round(100 * result.score, 3) == 35.147
    assert round(100 * result.figures["Humanities"], 2) == 34.02
    groups = {name: round(100 * result.figures[name], 1) for name in set(GROUPS.values())}
    assert groups == {"Humanities": 34.0, "STEM": 30.5, "Social Sciences": 38.3, "Other": 38.1}
    assert result.figures["virology"] == pytest.approx(0.301)


def test_crows_pairs_is_the_mean_over_all_pairs() -> None:
    judged = [
        (Pair(f"{category}/{n}", "", "", category), Verdict(float(n < preferred), {"by_total": 0.0}))
        for category, (preferred, pairs, _) in CROWS.items()
        for n in range(pairs)
    ]
    result = figures("crows_pairs", judged)
    assert result.n == 1508 and result.score == pytest.approx(1005 / 1508, abs=1e-12)
    for category, (_, _, percent) in CROWS.items():
        assert round(100 * result.figures[category], 1) == percent


def test_winogender_is_the_mean_over_all_sentences_and_gotchas_are_half_of_she_and_he() -> None:
    counts = {  # right, and right among the gotchas
        "female": (156, 77),
        "male": (146, 66),
        "neutral": (173, 0),
    }
    judged = []
    for gender, (right, gotchas) in counts.items():
        for n in range(240):
            gotcha = gender != "neutral" and n < 120
            score = n < gotchas if gotcha else n - 120 * (gender != "neutral") < right - gotchas
            item = Sentence(f"{gender}/{n}", "", "", ("nurse", "patient"), 0, gender, gotcha)
            judged.append((item, Verdict(float(score), {"by_total": 0.0})))
    result = figures("winogender", judged)
    assert result.n == 720 and result.score == pytest.approx(475 / 720, abs=1e-12)
    percent = {name: round(100 * value, 1) for name, value in result.figures.items()}
    assert percent == {
        "her/her/she": 65.0,
        "his/him/he": 60.8,
        "their/them/someone": 72.1,
        "gotcha her/her/she": 64.2,
        "gotcha his/him/he": 55.0,
        "accuracy by total likelihood": 0.0,
    }
