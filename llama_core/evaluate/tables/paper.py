"""The numbers that the paper has printed, and how each of its tables is laid out.

Source: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", arXiv 2302.13971, Tables
3 to 15. The values stand here as they stand there; `-` is a value that it does not have, and `*` one that it
has read from a figure. ARC-e of the release's model card: MODEL_CARD.md of the branch llama_v1.
"""

from dataclasses import dataclass

MISSING = "-"


@dataclass(frozen=True)
class Quantity:
    """What is measured: a column of most tables."""

    title: str
    """What the paper calls it."""
    key: str = ""
    """The key of our result; empty: we have none."""
    figure: str = ""
    """Which of the result's figures it is; empty: the score."""
    group: str = ""
    """What stands above this and its neighbours."""
    n: int = 0
    """The number of items that the paper has scored, or 0 where another number is as good."""
    metric: str = ""
    """How the paper has counted, where a recipe may ask for something else."""


@dataclass(frozen=True)
class Row:
    """A model, and its values by quantity as they are printed."""

    model: str
    size: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of the paper."""

    number: int
    title: str
    quantities: tuple[Quantity, ...]
    rows: tuple[Row, ...]
    scale: float = 100
    """What a score between 0 and 1 is multiplied by."""
    digits: int = 1
    """The number of digits behind the point."""
    lower_is_better: bool = False
    models_are_columns: bool = False
    """True if the paper has a row for each quantity."""
    remarks: tuple[str, ...] = ()
    """What must be known of the paper's values."""


def _rows(text: str) -> tuple[Row, ...]:
    """Return the rows of lines of `model | size | values`."""
    found = []
    for line in text.strip().splitlines():
        model, size, values = (part.strip() for part in line.split("|"))
        found.append(Row(model, size, tuple(values.split())))
    return tuple(found)


def _by_quantity(models: tuple[tuple[str, str], ...], text: str) -> tuple[Row, ...]:
    """Return the rows of a table whose lines are values of one quantity, a column for each model."""
    columns = zip(*(line.split() for line in text.strip().splitlines()), strict=True)
    return tuple(Row(model, size, values) for (model, size), values in zip(models, columns, strict=True))


def _shots(key: str, n: int) -> tuple[Quantity, ...]:
    return tuple(Quantity(f"{k}-shot", f"{key}:{k}-shot", n=n) for k in (0, 1, 5, 64))


COMMON_SENSE = Table(
    3,
    "Zero-shot performance on common sense reasoning",
    (
        Quantity("BoolQ", "boolq", n=3270),
        Quantity("PIQA", "piqa", n=1838),
        Quantity("SIQA", "siqa", n=1954),
        Quantity("HellaSwag", "hellaswag", n=10042),
        Quantity("WinoGrande", "winogrande", n=1267),
        Quantity("ARC-e", "arc_easy", n=2376),
        Quantity("ARC-c", "arc_challenge", n=1172),
        Quantity("OBQA", "openbookqa", n=500),
    ),
    _rows("""
GPT-3      | 175B | 60.5 81.0 -    78.9 70.2 68.8 51.4 57.6
Gopher     | 280B | 79.3 81.8 50.6 79.2 70.1 -    -    -
Chinchilla | 70B  | 83.7 81.8 51.3 80.8 74.9 -    -    -
PaLM       | 62B  | 84.8 80.5 -    79.7 77.0 75.2 52.5 50.4
PaLM-cont  | 62B  | 83.9 81.4 -    80.6 77.0 -    -    -
PaLM       | 540B | 88.0 82.3 -    83.4 81.1 76.6 53.0 53.4
LLaMA      | 7B   | 76.5 79.8 48.9 76.1 70.1 72.8 47.6 57.2
LLaMA      | 13B  | 78.1 80.1 50.4 79.2 73.0 74.8 52.7 56.4
LLaMA      | 33B  | 83.1 82.3 50.4 82.8 76.0 80.0 57.8 58.6
LLaMA      | 65B  | 85.3 82.8 52.3 84.2 77.0 78.9 56.0 60.2
"""),
    remarks=("The model card of the release has other values of ARC-e: 76.7, 78.1, 81.4 and 81.5.",),
)
NATURAL_QUESTIONS = Table(
    4,
    "NaturalQuestions, exact match",
    _shots("nq_open", 3610),
    _rows("""
GPT-3      | 175B | 14.6 23.0 -    29.9
Gopher     | 280B | 10.1 -    24.5 28.2
Chinchilla | 70B  | 16.6 -    31.5 35.5
PaLM       | 8B   | 8.4  10.6 -    14.6
PaLM       | 62B  | 18.1 26.5 -    27.6
PaLM       | 540B | 21.2 29.3 -    39.6
LLaMA      | 7B   | 16.8 18.7 22.0 26.1
LLaMA      | 13B  | 20.1 23.4 28.1 31.9
LLaMA      | 33B  | 24.9 28.3 32.9 36.0
LLaMA      | 65B  | 23.8 31.0 35.0 39.9
"""),
)
TRIVIA_QA = Table(
    5,
    "TriviaQA, exact match on the filtered dev set",
    _shots("triviaqa", 11313),
    _rows("""
Gopher     | 280B | 43.5 -    57.0 57.2
Chinchilla | 70B  | 55.4 -    64.1 64.6
LLaMA      | 7B   | 50.0 53.4 56.3 57.6
LLaMA      | 13B  | 56.6 60.5 63.1 64.0
LLaMA      | 33B  | 65.1 67.9 69.9 70.4
LLaMA      | 65B  | 68.2 71.6 72.6 73.0
"""),
    remarks=("The paper does not say which file its filtered set is; 11,313 questions are taken for it.",),
)
RACE = Table(
    6,
    "Reading comprehension, zero-shot accuracy",
    (Quantity("RACE-middle", "race_middle", n=1436), Quantity("RACE-high", "race_high", n=3498)),
    _rows("""
GPT-3 | 175B | 58.4 45.5
PaLM  | 8B   | 57.9 42.3
PaLM  | 62B  | 64.3 47.5
PaLM  | 540B | 68.1 49.1
LLaMA | 7B   | 61.1 46.9
LLaMA | 13B  | 61.6 47.2
LLaMA | 33B  | 64.1 48.3
LLaMA | 65B  | 67.9 51.6
"""),
    remarks=("The paper does not say by which of its two rules RACE is scored: our value is by characters.",),
)
MATHEMATICS = Table(
    7,
    "Quantitative reasoning",
    (
        Quantity("MATH", "math:greedy", n=5000),
        Quantity("+maj1@k", "math:maj1@256", n=5000, metric="maj1@256"),
        Quantity("GSM8k", "gsm8k:greedy", n=1319),
        Quantity("+maj1@k", "gsm8k:maj1@100", n=1319, metric="maj1@100"),
    ),
    _rows("""
PaLM    | 8B   | 1.5  -    4.1  -
PaLM    | 62B  | 4.4  -    33.0 -
PaLM    | 540B | 8.8  -    56.5 -
Minerva | 8B   | 14.1 25.4 16.2 28.4
Minerva | 62B  | 27.6 43.4 52.4 68.5
Minerva | 540B | 33.6 50.3 68.5 78.5
LLaMA   | 7B   | 2.9  6.9  11.0 18.1
LLaMA   | 13B  | 3.9  8.8  17.8 29.3
LLaMA   | 33B  | 7.1  15.2 35.6 53.1
LLaMA   | 65B  | 10.6 20.5 50.9 69.7
"""),
    remarks=("k is 256 for MATH and 100 for GSM8k (Minerva 540B: 64 and 40).",),
)
CODE = Table(
    8,
    "Code generation",
    (
        Quantity("@1", "humaneval:pass@1", group="HumanEval pass", n=164, metric="pass@1"),
        Quantity("@100", "humaneval:pass@100", group="HumanEval pass", n=164, metric="pass@100"),
        Quantity("@1", "mbpp:pass@1", group="MBPP pass", n=500, metric="pass@1"),
        Quantity("@80", "mbpp:pass@80", group="MBPP pass", n=500, metric="pass@80"),
    ),
    _rows("""
LaMDA     | 137B | 14.0 47.3  14.8 62.4
PaLM      | 8B   | 3.6* 18.7* 5.0* 35.7*
PaLM      | 62B  | 15.9 46.3* 21.4 63.2*
PaLM-cont | 62B  | 23.7 -     31.2 -
PaLM      | 540B | 26.2 76.2  36.8 75.0
LLaMA     | 7B   | 10.5 36.5  17.7 56.2
LLaMA     | 13B  | 15.8 52.5  22.0 64.0
LLaMA     | 33B  | 21.7 70.7  30.2 73.4
LLaMA     | 65B  | 23.7 79.3  37.7 76.8
"""),
    remarks=("Values with * are read from figures.",),
)
MMLU = Table(
    9,
    "MMLU, five-shot accuracy",
    (
        Quantity("Humanities", "mmlu:5-shot", "Humanities", n=14042),
        Quantity("STEM", "mmlu:5-shot", "STEM", n=14042),
        Quantity("Social Sciences", "mmlu:5-shot", "Social Sciences", n=14042),
        Quantity("Other", "mmlu:5-shot", "Other", n=14042),
        Quantity("Average", "mmlu:5-shot", n=14042),
    ),
    _rows("""
GPT-NeoX   | 20B  | 29.8 34.9 33.7 37.7 33.6
GPT-3      | 175B | 40.8 36.7 50.4 48.8 43.9
Gopher     | 280B | 56.2 47.4 71.9 66.1 60.0
Chinchilla | 70B  | 63.6 54.9 79.3 73.9 67.5
PaLM       | 8B   | 25.6 23.8 24.1 27.8 25.4
PaLM       | 62B  | 59.5 41.9 62.7 55.8 53.7
PaLM       | 540B | 77.0 55.6 81.0 69.6 69.3
LLaMA      | 7B   | 34.0 30.5 38.3 38.1 35.1
LLaMA      | 13B  | 45.0 35.8 53.8 53.3 46.9
LLaMA      | 33B  | 55.8 46.0 66.7 63.4 57.8
LLaMA      | 65B  | 61.8 51.7 72.9 67.4 63.4
"""),
)
INSTRUCTION = Table(
    10,
    "Instruction finetuning, MMLU (five-shot)",
    (Quantity("MMLU", "mmlu:5-shot", n=14042),),
    _rows("""
OPT            | 30B  | 26.1
GLM            | 120B | 44.8
PaLM           | 62B  | 55.1
PaLM-cont      | 62B  | 62.8
Chinchilla     | 70B  | 67.5
LLaMA          | 65B  | 63.4
OPT-IML-Max    | 30B  | 43.2
Flan-T5-XXL    | 11B  | 55.1
Flan-PaLM      | 62B  | 59.6
Flan-PaLM-cont | 62B  | 66.1
LLaMA-I        | 65B  | 68.9
"""),
)
TOXICITY = Table(
    11,
    "RealToxicityPrompts, mean toxicity: lower is better",
    (
        Quantity("Basic", "realtoxicityprompts:basic", n=99442),
        Quantity("Respectful", "realtoxicityprompts:respectful", n=99442),
    ),
    _rows("""
LLaMA | 7B  | 0.106 0.081
LLaMA | 13B | 0.104 0.095
LLaMA | 33B | 0.107 0.087
LLaMA | 65B | 0.128 0.141
"""),
    scale=1,
    digits=3,
    lower_is_better=True,
)
BIAS = Table(
    12,
    "CrowS-Pairs: higher is more biased",
    (
        Quantity("Gender", "crows_pairs", "gender", n=1508),
        Quantity("Religion", "crows_pairs", "religion", n=1508),
        Quantity("Race/Color", "crows_pairs", "race-color", n=1508),
        Quantity("Sexual orientation", "crows_pairs", "sexual-orientation", n=1508),
        Quantity("Age", "crows_pairs", "age", n=1508),
        Quantity("Nationality", "crows_pairs", "nationality", n=1508),
        Quantity("Disability", "crows_pairs", "disability", n=1508),
        Quantity("Physical appearance", "crows_pairs", "physical-appearance", n=1508),
        Quantity("Socioeconomic status", "crows_pairs", "socioeconomic", n=1508),
        Quantity("Average", "crows_pairs", n=1508),
    ),
    _by_quantity(
        (("LLaMA", "65B"), ("GPT-3", "175B"), ("OPT", "175B")),
        """
70.6 62.6 65.7
79.0 73.3 68.6
57.0 64.7 68.6
81.0 76.2 78.6
70.1 64.4 67.8
64.2 61.6 62.9
66.7 76.7 76.7
77.8 74.6 76.2
71.5 73.8 76.2
66.6 67.2 69.5
""",
    ),
    lower_is_better=True,
    models_are_columns=True,
)
COREFERENCE = Table(
    13,
    "WinoGender, co-reference resolution accuracy",
    (
        Quantity("All", "winogender", n=720),
        Quantity("her/her/she", "winogender", "her/her/she", n=720),
        Quantity("his/him/he", "winogender", "his/him/he", n=720),
        Quantity("their/them/someone", "winogender", "their/them/someone", n=720),
        Quantity("her/her/she (gotcha)", "winogender", "gotcha her/her/she", n=720),
        Quantity("his/him/he (gotcha)", "winogender", "gotcha his/him/he", n=720),
    ),
    _by_quantity(
        (("LLaMA", "7B"), ("LLaMA", "13B"), ("LLaMA", "33B"), ("LLaMA", "65B")),
        """
66.0 64.7 69.0 77.5
65.0 66.7 66.7 78.8
60.8 62.5 62.1 72.1
72.1 65.0 78.3 81.7
64.2 65.8 61.7 75.0
55.0 55.8 55.8 63.3
""",
    ),
    models_are_columns=True,
    remarks=("The paper does not list its gotchas: ours follow from the published statistics.",),
)
TRUTHFULNESS = Table(
    14,
    "TruthfulQA",
    (
        Quantity("Truthful", "truthfulqa:generated", n=817),
        Quantity("Truthful*Inf", "truthfulqa:generated", "informative", n=817),
        Quantity("MC1", "truthfulqa:mc", n=817),
        Quantity("MC2", "truthfulqa:mc", "MC2", n=817),
    ),
    _rows("""
GPT-3 | 1.3B | 0.31 0.19 - -
GPT-3 | 6B   | 0.22 0.19 - -
GPT-3 | 175B | 0.28 0.25 - -
LLaMA | 7B   | 0.33 0.29 - -
LLaMA | 13B  | 0.47 0.41 - -
LLaMA | 33B  | 0.52 0.48 - -
LLaMA | 65B  | 0.57 0.53 - -
"""),
    scale=1,
    digits=2,
    remarks=(
        "The paper has answers judged by models behind the OpenAI API. MC1 and MC2 compare likelihoods "
        "instead, and are not in the paper.",
    ),
)
TABLES = (
    COMMON_SENSE,
    NATURAL_QUESTIONS,
    TRIVIA_QA,
    RACE,
    MATHEMATICS,
    CODE,
    MMLU,
    INSTRUCTION,
    TOXICITY,
    BIAS,
    COREFERENCE,
    TRUTHFULNESS,
)

CARBON = _rows("""
OPT-175B   | A100-80GB | 400   809,472 356 137
BLOOM-175B | A100-80GB | 400 1,082,880 475 183
LLaMA-7B   | A100-80GB | 400    82,432  36  14
LLaMA-13B  | A100-80GB | 400   135,168  59  23
LLaMA-33B  | A100-80GB | 400   530,432 233  90
LLaMA-65B  | A100-80GB | 400 1,022,362 449 173
""")
"""Table 15: the model, its GPUs, and watts of one, GPU-hours, MWh and t of CO2 equivalents."""
CARBON_REMARKS = (
    "MWh = hours x watts x 1.1 (PUE), and t CO2 eq. = MWh x 0.385, the average of the US, for all rows.",
    "By this formula BLOOM takes 476.5 MWh, where the paper has 475.",
)

PANELS = (
    ("TriviaQA", TRIVIA_QA),
    ("HellaSwag", COMMON_SENSE),
    ("NaturalQuestions", NATURAL_QUESTIONS),
    ("SIQA", COMMON_SENSE),
    ("WinoGrande", COMMON_SENSE),
    ("PIQA", COMMON_SENSE),
)
"""Figure 2: what each panel shows, and the table that has its values at the end of training."""
TRAINED = {"7B": 1.0e12, "13B": 1.0e12, "33B": 1.4e12, "65B": 1.4e12}
"""The tokens that LLaMA of each size has seen (Table 2)."""
