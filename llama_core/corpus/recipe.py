"""The corpus in a recipe: where each source lies, how its text is cleaned, deduplicated and checked."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from llama_core.corpus.code import languages
from llama_core.section import Execution, Identity, Section

# The 20 languages of Touvron et al. 2023, section 2.1.
LANGUAGES = "bg ca cs da de en es fr hr hu it nl pl pt ro ru sl sr sv uk".split()  # noqa: SIM905


# --- cleaning: decisions about documents, made after they were ingested


class Lines(Section):
    """Lines seen twice in a group of shards are dropped with every copy (CCNet, Wenzek et al. 2019)."""

    shards: Identity[int] = Field(1600, ge=1)
    """A crawl's files, sorted by name, are dealt into this many shards (one a file, if there are fewer)."""
    group_shards: Identity[int] = Field(50, ge=1)
    """Shards, next to one another, whose lines are compared."""


class Language(Section):
    """fastText language identification on the whole text."""

    keep: Identity[list[str]] = ["en"]
    """Codes of the languages that stay."""
    min_score: Identity[float] = Field(0.5, ge=0, le=1)
    model: Identity[str] = "lid.176.ftz"
    """`lid.176.ftz` is inside a package; else the URL of a fastText model, as lid.176.bin."""
    sha256: Identity[str] = Field("", pattern="^([0-9a-f]{64})?$")
    """Of the model at that URL."""

    @model_validator(mode="after")
    def _model_is_known(self) -> "Language":
        if self.model != "lid.176.ftz" and not self.sha256:
            raise ValueError(f"language.model {self.model} needs `sha256`: that of the file")
        return self


class LanguageModel(Section):
    """SentencePiece unigram pieces and an n-gram model over them, one for each language to keep."""

    train_on: Identity[str] = "wikipedia"
    """Source whose documents, by their language, the models are trained on."""
    articles: Identity[int] = Field(1_000_000, ge=1)
    """Largest number of articles of a language, drawn by keyed hash (CCNet's)."""
    opening_chars: Identity[int] = Field(1000, ge=1)
    """Whole lines are taken from the start of an article until there are so many characters (CCNet takes
    the lead section)."""
    train_bytes: Identity[int] = Field(50_000_000, ge=1)
    """Largest amount of text of a language. Counting takes about 60 bytes of memory for one of these."""
    vocab_size: Identity[int] = Field(65_536, ge=16)
    order: Identity[int] = Field(5, ge=2, le=6)
    trainer: Identity[Literal["counts", "lmplz"]] = "counts"
    """`lmplz`: KenLM's program, on PATH or where the environment variable LMPLZ says."""
    seed: Identity[int] = 1

    def model_identity(self) -> dict[str, Any]:
        """What the models depend on: not how their perplexities are used."""
        return {name: value for name, value in self.identity().items() if name in LanguageModel.model_fields}


class Perplexity(LanguageModel):
    """Buckets by the perplexity of a model of the text's language."""

    keep: Identity[list[Literal["head", "middle", "tail"]]] = ["head", "middle"]
    head: Identity[float] = Field(0.3, gt=0, lt=1)
    """Share of a language's documents, the least perplexing, that makes `head` (CCNet's code)."""
    middle: Identity[float] = Field(0.6, gt=0, le=1)
    """Share that makes `head` and `middle` together."""

    @model_validator(mode="after")
    def _shares_grow(self) -> "Perplexity":
        if self.head >= self.middle:
            raise ValueError("perplexity.middle holds head too: it must be larger")
        return self


class References(Section):
    """A linear classifier of pages that Wikipedia cites against random pages; what it refuses is dropped."""

    wikipedia: Identity[str] = "wikipedia"
    """Source whose external references tell the positive examples among the documents."""
    positives: Identity[str | None] = None
    """Source whose documents are the positive examples instead: pages that Wikipedia cites."""
    threshold: Identity[float] = Field(0.25, ge=0, le=1)
    examples: Identity[int] = Field(300_000, ge=2)
    """Largest number of pages of each kind to train on. The default takes some 2 GB of memory."""
    min_examples: Identity[int] = Field(1000, ge=2)
    """With fewer pages of a kind, the run stops."""
    seed: Identity[int] = 1


class C4Filter(Section):
    """Lines and pages after Raffel et al. 2020, section 2.2. The values are those that C4 was made with."""

    min_line_words: Identity[int] = Field(5, ge=1)
    """Cut a line with fewer words (3 in the paper's first version)."""
    min_sentences: Identity[int] = Field(3, ge=1)
    """Drop a page with fewer sentences (5 in the paper's first version)."""
    end_marks: Identity[bool] = True
    """Cut a line that does not end in `.`, `?`, `!` or `"` (FineWeb keeps it)."""
    bad_words: Identity[list[str]] = []
    """Drop a page that holds one of these words or phrases (C4 has a list of its own)."""


class Filters(Section):
    """Published quality filters; a text that one refuses is dropped under the filter's own name."""

    gopher_repetition: Identity[bool] = False
    """Rae et al. 2021, table A1."""
    gopher_quality: Identity[bool] = False
    """Rae et al. 2021, appendix A.1.1. Its stop words are English: it refuses text of other languages."""
    c4: Identity[C4Filter | None] = None
    """`{}`: with the published values. The only filter that also cuts lines."""
    fineweb: Identity[bool] = False
    """Penedo et al. 2024, section 3.6."""


class Pii(Section):
    """Masks put in the place of personal data."""

    email: Identity[bool] = False
    ip: Identity[bool] = False
    """Public IPv4 and IPv6 addresses."""


class Clean(Section):
    """What is decided about a source's documents, in this order."""

    lines: Identity[Lines | None] = None
    language: Identity[Language | None] = None
    filters: Filters = Filters()
    perplexity: Identity[Perplexity | None] = None
    references: Identity[References | None] = None
    pii: Pii = Pii()

    @model_validator(mode="after")
    def _language_is_known(self) -> "Clean":
        if self.perplexity and not self.language:
            raise ValueError(
                "clean.perplexity has a model for each language that clean.language keeps: set it"
            )
        return self

    @property
    def has_quality(self) -> bool:
        """Whether anything is decided by a text's language, the filters or personal data."""
        return self.language is not None or self.filters != Filters() or self.pii != Pii()


# --- sources


class _Source(Section):
    min_chars: Identity[int] = Field(200, ge=1)
    """Drop a document with fewer characters."""
    max_record_bytes: Identity[int] = Field(16 << 20, gt=0)
    """Quarantine a longer record; bounds the memory of reading."""
    clean: Clean = Clean()


class _CodeRules(Section):
    max_line: Identity[int] = Field(1000, gt=0)
    """Drop a file with a longer line (characters)."""
    max_mean_line: Identity[float] = Field(100.0, gt=0)
    """Drop a file with a longer mean line (characters)."""
    min_alphanumeric: Identity[float] = Field(0.25, ge=0, le=1)
    """Drop a file with a smaller share of letters and digits."""


class Packages(_Source, _CodeRules):
    """Open-source Python packages as installed here: the corpus that needs no network."""

    kind: Identity[Literal["packages"]]
    packages: Identity[list[str]] = Field(min_length=1)
    """Distribution names, in the order that they are read."""
    part: Identity[Literal["code", "docs"]] = "code"
    """Source files, or their prose (docstrings, README and documentation files)."""


class _Urls(_Source):
    urls: Identity[list[str]] = []
    """Paths or fsspec URLs, globs allowed. `list+URL#GLOB` stands for the files that a published list names:
    paths, checksums, `ls -R`, archive.org's and arXiv's XML, Wikimedia's dumpstatus.json."""
    license: Identity[str] = "unknown"
    """Written on each document that does not say its own."""
    storage_options: Execution[dict[str, Any]] = {}
    """Given to fsspec: {anon: true} for public S3 buckets, {requester_pays: true}. No credentials."""


class Files(_Urls):
    """Text, JSONL (.gz, .zst) or Parquet with a `text` column."""

    kind: Identity[Literal["files"]]


class CommonCrawl(_Urls):
    """WET text, or WARC pages whose HTML is extracted. One shard a file."""

    kind: Identity[Literal["commoncrawl"]]
    min_chars: Identity[int] = Field(300, ge=1)
    """CCNet's own limit."""
    license: Identity[str] = "Common Crawl Terms of Use"
    max_record_bytes: Identity[int] = Field(4 << 20, gt=0)


class C4(_Urls):
    """C4 as published: JSONL of `text`, `timestamp`, `url`."""

    kind: Identity[Literal["c4"]]
    min_chars: Identity[int] = Field(1, ge=1)
    """As published: nothing is dropped."""
    license: Identity[str] = "ODC-BY-1.0"


class GitHub(_Urls, _CodeRules):
    """Source code: exports (JSONL or Parquet) with the columns of BigQuery (`content`, `path`, `repo_name`,
    `license`), of `codeparrot/github-code` or of The Stack, archives (.zip, .tar, .tar.gz, .tgz, .tar.zst) or
    checkouts (a folder)."""

    kind: Identity[Literal["github"]]
    licenses: Identity[list[str]] = ["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"]
    """The paper keeps Apache, BSD and MIT projects."""
    file_names: Identity[list[str]] = languages.NAMES
    """Endings (`.py`) and names (`makefile`) of the files that are source code, in lower case. A choice of
    ours: the paper has none, RedPajama 66. Left out is what is data, as .json, .csv or .svg."""
    vendored: Identity[bool] = False
    """Keep files in folders of other projects' code (`node_modules`, `third_party`)."""
    generated: Identity[bool] = False
    """Keep files that say that a program wrote them, and minified ones."""
    min_chars: Identity[int] = Field(100, ge=1)


class Wikipedia(_Urls):
    """`pages-articles` dumps (XML, .bz2 or not). One shard a dump file."""

    kind: Identity[Literal["wikipedia"]]
    languages: Identity[list[str]] = LANGUAGES
    """A dump of another language is an error; its language is read off its head."""
    license: Identity[str] = "CC-BY-SA-4.0"


class Books(_Urls):
    """Project Gutenberg texts (.txt, .txt.utf-8, .zip) or any books of yours (text, JSONL, Parquet)."""

    kind: Identity[Literal["books"]]
    license: Identity[str] = "public domain in the USA"
    min_chars: Identity[int] = Field(1000, ge=1)
    max_record_bytes: Identity[int] = Field(64 << 20, gt=0)
    max_overlap: Identity[float] = Field(0.9, gt=0, le=1)
    """Drop a book more of whose content than this is in another, longer one."""


class Arxiv(_Urls):
    """LaTeX sources: the bulk tars (arXiv_src_*.tar), or single bundles (.tar.gz, .gz, .tex)."""

    kind: Identity[Literal["arxiv"]]
    license: Identity[str] = "arXiv"


class StackExchange(_Urls):
    """Official dumps: .7z of a site, or its Posts.xml. One document a question with its answers."""

    kind: Identity[Literal["stackexchange"]]
    license: Identity[str] = "CC-BY-SA-4.0"
    min_chars: Identity[int] = Field(100, ge=1)


class Dataset(_Source):
    """Anything that the library `datasets` streams from data files. One shard a data file."""

    kind: Identity[Literal["dataset"]]
    path: Identity[str]
    """A dataset of the Hugging Face hub, a folder, or a format with `data_files`: json, parquet, csv ..."""
    name: Identity[str | None] = None
    """Of the configuration."""
    split: Identity[str] = "train"
    revision: Identity[str | None] = None
    """Commit, branch or tag on the hub. What the data files are is part of their identity in any case."""
    data_files: Identity[str | list[str] | dict[str, str | list[str]] | None] = None
    column: Identity[str] = "text"
    license: Identity[str] = "unknown"
    """Written on each document that does not say its own."""


Source = Annotated[
    Packages | Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange | Dataset,
    Field(discriminator="kind"),
]
UrlSource = Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange


# --- the whole corpus


class Dedup(Section):
    """MinHash LSH over word shingles; exact duplicates are always removed."""

    shingle_words: Identity[int] = Field(5, ge=1)
    bands: Identity[int] = Field(14, ge=1)
    rows: Identity[int] = Field(8, ge=1)
    threshold: Identity[float] = Field(0.63, gt=0, le=1)
    """Smallest estimated Jaccard similarity of a pair that counts as near-duplicate. An estimate from 112
    values scatters by 0.04: 0.63 hardly refuses a pair from 0.7 on that the bands have found."""
    seed: Identity[int] = 1
    unit_bytes: Execution[int] = Field(1 << 30, gt=0)
    """Text of the shards that are signed together."""
    partition_bytes: Execution[int] = Field(256 << 20, gt=0)
    """Keys that are grouped at a time: the memory of a global step is about five times this."""


class Decontaminate(Section):
    """Documents that share a run of words with an evaluation set are kept out of training."""

    ngram: Identity[int] = Field(13, ge=1)
    """Words (Brown et al. 2020, appendix C)."""


class Corpus(Section):
    sources: Identity[dict[str, Source]]
    choices: Execution[list[str]] = []
    """What the recipe decides where the paper that it follows is silent, in words: a line each, printed on
    the dataset card. They are about these sources: a recipe that names others has none of them."""
    holdout: Identity[list[str]] = []
    """Groups (packages) that are kept out of training and used for evaluation."""
    holdout_fraction: Identity[float] = Field(0.0, ge=0, lt=1)
    """Share of the remaining groups that is held out, chosen by keyed hash."""
    dedup: Dedup = Dedup()
    decontaminate: Identity[Decontaminate | None] = Decontaminate()
    """null: training text is not compared with the evaluation sets."""

    @model_validator(mode="after")
    def _sources_are_names(self) -> "Corpus":
        # They stand in the names of shards, behind which a dot comes.
        if wrong := [name for name in self.sources if not re.fullmatch(r"[A-Za-z0-9_-]+", name)]:
            raise ValueError(f"sources: {wrong[0]!r} is no name: letters, digits, - and _ are allowed")
        return self

    @model_validator(mode="after")
    def _models_name_sources(self) -> "Corpus":
        for name, source in self.sources.items():
            clean = source.clean
            named = {
                "perplexity.train_on": clean.perplexity and clean.perplexity.train_on,
                "references.wikipedia": clean.references
                and not clean.references.positives
                and clean.references.wikipedia,
                "references.positives": clean.references and clean.references.positives,
            }
            for key, other in named.items():
                if other and other not in self.sources:
                    raise ValueError(
                        f"sources.{name}.clean.{key} names {other!r}, which is no source: "
                        f"there are {', '.join(self.sources)}"
                    )
        return self
