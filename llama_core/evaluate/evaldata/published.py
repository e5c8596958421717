"""The list of what the publishers of the benchmarks offer: addresses, sizes, checksums, licences.

Sizes and checksums are those of the list of TensorFlow Datasets (url_checksums, checksums.tsv), or of copies
in the publishers' repositories at the commits that the addresses name, or, for SIQA, MMLU, MATH, HumanEval
and what is in the archives of ARC and WinoGrande, those that other projects state of the same files. None is
one that nobody states.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Members:
    """Members of an archive that are unpacked, and where to."""

    inside: str
    """What their names begin with."""
    pattern: str
    """What the rest of a name is like (`fnmatch`); below `folder` it is the same."""
    folder: str
    """Where they lie below the folder of the benchmarks."""
    sha256: str | None = None
    """The checksum of the only one, where it is known."""
    shortened: "Shortened | None" = None
    """What is kept of the only one, of a tar; None: all of it."""

    def has(self, place: str) -> bool:
        """Tell whether a file at this place, below the folder of the benchmarks, is one of them."""
        return fnmatchcase(place, f"{self.folder}/{self.pattern}")


@dataclass(frozen=True)
class Shortened:
    """What is kept of a JSON object with a long list, from which nothing else is needed."""

    key: str
    """The list's."""
    keys: tuple[str, ...]
    """The keys of each value that are kept."""
    first: int | None = None
    """How many values are kept; None: all."""


@dataclass(frozen=True)
class Published:
    """A file that a publisher offers."""

    benchmarks: tuple[str, ...]
    """What it is for."""
    url: str
    licence: str
    target: str
    """Where it lies below the folder of the benchmarks; an archive, while it is unpacked."""
    size: int | None = None
    """Bytes."""
    sha256: str | None = None
    members: tuple[Members, ...] = ()
    """What is unpacked of an archive; empty: it is none."""
    most: int = 256 << 20
    """Bytes that the members may have together."""
    by_hand: str = ""
    """Why a person must fetch it; empty: it is fetched."""

    @property
    def is_known_inside(self) -> bool:
        """True if it is an archive, and the checksums of all that is unpacked of it are known."""
        return bool(self.members) and all(members.sha256 for members in self.members)


GITHUB = "https://raw.githubusercontent.com"
WINOGENDER = f"{GITHUB}/rudinger/winogender-schemas/master/data"
GSM8K = f"{GITHUB}/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data"
PIQA = f"{GITHUB}/ybisk/ybisk.github.io/21edab439af693b961be2f069e8690a88d3b4e37/piqa/data"
NQ_OPEN = (
    f"{GITHUB}/google-research-datasets/natural-questions/a7a113c9fdc2d9986d624bd43b8a18d6d5779eaa/nq_open"
)
ARC = "ARC-V1-Feb2018-2/"

PUBLISHED = (
    Published(
        ("boolq",),
        "https://storage.googleapis.com/boolq/dev.jsonl",
        "CC BY-SA 3.0",
        "boolq/dev.jsonl",
        2_238_726,
        "ebc29ea3808c5c611672384b3de56e83349fe38fc1fe876fd29b674d81d0a80a",
    ),
    Published(
        ("piqa",),
        f"{PIQA}/valid.jsonl",
        "AFL 3.0",
        "piqa/valid.jsonl",
        495_929,
        "93503cc97c679e459b065c3d13e848282e44b2a25213985bed3e5d458abef72d",
    ),
    Published(
        ("piqa",),
        f"{PIQA}/valid-labels.lst",
        "AFL 3.0",
        "piqa/valid-labels.lst",
        3_676,
        "b4192dc3a2a0363d9d60ccf79800cbbe2f32ebb17726efdde6970e0b8131bceb",
    ),
    Published(
        ("siqa",),
        "https://storage.googleapis.com/ai2-mosaic/public/socialiqa/socialiqa-train-dev.zip",
        "CC BY 4.0",
        "downloads/socialiqa-train-dev.zip",
        2_198_056,
        "ee073914a0fc33265cfbcfc50ec20df9b2e07809c3f420f599138d1f394ef5c3",
        (
            Members("socialiqa-train-dev/", "dev.jsonl", "siqa"),
            Members("socialiqa-train-dev/", "dev-labels.lst", "siqa"),
        ),
    ),
    Published(
        ("hellaswag",),
        f"{GITHUB}/rowanz/hellaswag/a29ff8e9a04bba4bd6588223785ce105328adc57/data/hellaswag_val.jsonl",
        "MIT",
        "hellaswag/hellaswag_val.jsonl",
        12_246_618,
        "0aa3b88843990f3f10a97b9575c94d7b71fb2205240ba04ae4884d9e9c992588",
    ),
    Published(
        ("winogrande",),
        "https://storage.googleapis.com/ai2-mosaic/public/winogrande/winogrande_1.1.zip",
        "CC BY 2.0",
        "downloads/winogrande_1.1.zip",
        # The publisher has packed it anew since it was listed first; what is in it has stayed.
        members=(
            Members(
                "winogrande_1.1/",
                "dev.jsonl",
                "winogrande",
                "1aeac79cf46a3dcbe59a71ca7e5372a1490cde2b4ae2387dc56f00378104d2e8",
            ),
            Members(
                "winogrande_1.1/",
                "dev-labels.lst",
                "winogrande",
                "5ae1e30f52a50b880515685dcfae7d57649cce256d375947cdd02f687de7e6ba",
            ),
        ),
    ),
    Published(
        ("arc_easy", "arc_challenge"),
        "https://ai2-public-datasets.s3.amazonaws.com/arc/ARC-V1-Feb2018.zip",
        "CC BY-SA 4.0",
        "downloads/ARC-V1-Feb2018.zip",
        680_841_265,
        "6d2d5ab50b2ceec6ba5f79c921be77cf2de712ea25a2b3f4fff3acc101cecfa0",
        (
            Members(
                ARC,
                "ARC-Easy/ARC-Easy-Test.jsonl",
                "arc",
                "ce32a0774b4beb1977d2c6b16dda5dd2b24fdc9c7f506882c452678676bd09be",
            ),
            Members(
                ARC,
                "ARC-Challenge/ARC-Challenge-Test.jsonl",
                "arc",
                "9fa8ffb3e3a1f88cb302d53dd95aae81e39209ad9bcf974376b319d8fd35717c",
            ),
        ),
    ),
    Published(
        ("openbookqa",),
        "https://s3-us-west-2.amazonaws.com/ai2-website/data/OpenBookQA-V1-Sep2018.zip",
        "Apache 2.0",
        "downloads/OpenBookQA-V1-Sep2018.zip",
        1_446_098,
        "82368cf05df2e3b309c17d162e10b888b4d768fad6e171e0a041954c8553be46",
        (Members("OpenBookQA-V1-Sep2018/Data/Main/", "test.jsonl", "openbookqa"),),
    ),
    Published(
        ("nq_open",),
        f"{NQ_OPEN}/NQ-open.dev.jsonl",
        "Apache 2.0",
        "nq_open/NQ-open.dev.jsonl",
        391_316,
        "f15567f38099f3615f5b8a685c0aef449c11ad90d3da3735e8d1b98115b40616",
    ),
    Published(
        ("nq_open",),
        f"{NQ_OPEN}/NQ-open.train.jsonl",
        "Apache 2.0",
        "nq_open/NQ-open.train.jsonl",
        8_522_298,
        "0c93aaf13b12f855628489665e4ef85ffb8573ad444646f11f4fabdc57a0aabf",
    ),
    Published(
        ("triviaqa",),
        "https://nlp.cs.washington.edu/triviaqa/data/triviaqa-unfiltered.tar.gz",
        "none stated",
        "downloads/triviaqa-unfiltered.tar.gz",
        632_549_060,
        "7f0c94207fd0a1eb7bba3d52cdfe0735c98de850b9e5aa4e75f2776ef9a531d0",
        # Gigabytes of what a search engine has found for each question are left out, and of the examples for
        # prompts a thousand are enough.
        (
            Members(
                "triviaqa-unfiltered/",
                "unfiltered-web-dev.json",
                "triviaqa",
                shortened=Shortened("Data", ("Question", "QuestionId", "Answer")),
            ),
            Members(
                "triviaqa-unfiltered/",
                "unfiltered-web-train.json",
                "triviaqa",
                shortened=Shortened("Data", ("Question", "QuestionId", "Answer"), first=1000),
            ),
        ),
    ),
    Published(
        ("race_middle", "race_high"),
        "http://www.cs.cmu.edu/~glai1/data/race/RACE.tar.gz",
        "non-commercial research alone",
        "downloads/RACE.tar.gz",
        25_443_609,
        "b2769cc9fdc5c546a693300eb9a966cec6870bd349fbc44ed5225f8ad33006e5",
        (Members("RACE/", "test/middle/*.txt", "race"), Members("RACE/", "test/high/*.txt", "race")),
        by_hand="who takes it agrees to its publisher's terms, on https://www.cs.cmu.edu/~glai1/data/race/",
    ),
    Published(
        ("math",),
        "https://people.eecs.berkeley.edu/~hendrycks/MATH.tar",
        "MIT, as its publisher states; the owner of some problems objects",
        "downloads/MATH.tar",
        None,
        "0fbe4fad0df66942db6c221cdcc95b298cc7f4595a2f0f518360cce84e90d9ac",
        (Members("MATH/", "test/*/*.json", "math"),),
        by_hand="its publisher offers it no longer, since the owner of some of its problems has objected",
    ),
    Published(
        ("gsm8k",),
        f"{GSM8K}/test.jsonl",
        "MIT",
        "gsm8k/test.jsonl",
        749_738,
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    Published(
        ("humaneval",),
        f"{GITHUB}/openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d/data/HumanEval.jsonl.gz",
        "MIT",
        "humaneval/HumanEval.jsonl.gz",
        None,
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
    Published(
        ("mbpp",),
        f"{GITHUB}/google-research/google-research/master/mbpp/mbpp.jsonl",
        "CC BY 4.0",
        "mbpp/mbpp.jsonl",
        563_743,
        "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    ),
    Published(
        ("mmlu",),
        "https://people.eecs.berkeley.edu/~hendrycks/data.tar",
        "MIT",
        "downloads/mmlu-data.tar",
        None,
        "bec563ba4bac1d6aaf04141cd7d1605d7a5ca833e38f994051e818489592989b",
        (Members("data/", "test/*_test.csv", "mmlu"), Members("data/", "dev/*_dev.csv", "mmlu")),
    ),
    Published(
        ("realtoxicityprompts",),
        "https://ai2-public-datasets.s3.amazonaws.com/realtoxicityprompts/realtoxicityprompts-data.tar.gz",
        "Apache 2.0",
        "downloads/realtoxicityprompts-data.tar.gz",
        3_715_984_281,
        "97e742e6d6f5bc35ba2f503ebcce4c846651005c97a50021c6b82e618db0be46",
        (Members("realtoxicityprompts-data/", "prompts.jsonl", "realtoxicityprompts"),),
    ),
    Published(
        ("crows_pairs",),
        f"{GITHUB}/nyu-mll/crows-pairs/8aaac11c485473159ec9328a65253a5be9a479dc/data/crows_pairs_anonymized.csv",
        "CC BY-SA 4.0",
        "crows_pairs/crows_pairs_anonymized.csv",
        437_764,
        "dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c",
    ),
    Published(
        ("winogender",),
        f"{WINOGENDER}/all_sentences.tsv",
        "none stated",
        "winogender/all_sentences.tsv",
    ),
    Published(
        ("winogender",),
        f"{WINOGENDER}/occupations-stats.tsv",
        "none stated",
        "winogender/occupations-stats.tsv",
    ),
    Published(
        ("truthfulqa",),
        f"{GITHUB}/sylinrl/TruthfulQA/main/data/v1/TruthfulQA.csv",
        "Apache 2.0",
        "truthfulqa/TruthfulQA_v1.csv",
        476_230,
        "f9bd9e859cc102cb1f647f1064da7e009be752c416845cf9fa56e6eaae403a7d",
    ),
)
