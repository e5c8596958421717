"""The corpus in a recipe: where each source is, and how its text is cleaned, deduplicated and checked."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from llama_core.corpus.code import languages
from llama_core.section import Execution, Identity, Section

# The 20 languages of Touvron et al. 2023, section 2.1.
LANGUAGES = "bg ca cs da de en es fr hr hu it nl pl pt ro ru sl sr sv uk".split()  # noqa: SIM905


# --- cleaning: decisions about documents after ingest


class Lines(Section):
    """Drops every copy of a line that occurs twice in a group of shards (CCNet, Wenzek et al. 2019)."""

    shards: Identity[int] = Field(1600, ge=1)
    """Number of shards that a crawl's files, sorted by name, are divided into. A crawl of fewer files has one
    shard for each. The default is CCNet's."""
    group_shards: Identity[int] = Field(50, ge=1)
    """Number of neighbouring shards whose lines are compared with one another. The default is CCNet's."""


class Language(Section):
    """Identifies the language of each whole text with a fastText model, and keeps some languages."""

    keep: Identity[list[str]] = ["en"]
    """Codes of the languages that are kept, as the model writes them."""
    min_score: Identity[float] = Field(0.5, ge=0, le=1)
    """Smallest probability of the best language: a document with a lower one is dropped. The paper gives no
    threshold; 0.5 is CCNet's."""
    model: Identity[str] = "lid.176.ftz"
    """`lid.176.ftz`, which comes with an installed package, or the URL of another fastText model, such as
    lid.176.bin."""
    sha256: Identity[str] = Field("", pattern="^([0-9a-f]{64})?$")
    """sha256 of the file that `model` points at, in hex digits. It is needed for a URL only."""

    @model_validator(mode="after")
    def _model_is_known(self) -> "Language":
        if self.model != "lid.176.ftz" and not self.sha256:
            raise ValueError(f"language.model {self.model} needs `sha256`: that of the file")
        return self


class LanguageModel(Section):
    """An n-gram model over SentencePiece unigram pieces, trained for each language that is kept."""

    train_on: Identity[str] = "wikipedia"
    """Name of the source that the models are trained on: each on the documents in its language."""
    articles: Identity[int] = Field(1_000_000, ge=1)
    """Largest number of articles that a model is trained on, drawn by keyed hash. The default is CCNet's."""
    opening_chars: Identity[int] = Field(1000, ge=1)
    """Characters of each article that are used: whole lines from its start, until there are at least this
    many. CCNet uses the lead section."""
    train_bytes: Identity[int] = Field(50_000_000, ge=1)
    """Largest number of bytes of text that a model is trained on. The trainer `counts` needs about 60 bytes
    of memory for each."""
    vocab_size: Identity[int] = Field(65_536, ge=16)
    """Number of pieces of each model. The default is CCNet's."""
    order: Identity[int] = Field(5, ge=2, le=6)
    """Number of pieces in the longest n-gram. The default is CCNet's."""
    trainer: Identity[Literal["counts", "lmplz"]] = "counts"
    """Program that trains the n-gram models: `counts` is our own, and `lmplz` is KenLM's, which must be on
    PATH or at the path in the environment variable LMPLZ."""
    seed: Identity[int] = 1
    """Seed of the draw of articles."""

    def model_identity(self) -> dict[str, Any]:
        """Return the settings that the models depend on, without those that say how perplexities are used."""
        return {name: value for name, value in self.identity().items() if name in LanguageModel.model_fields}


class Perplexity(LanguageModel):
    """Sorts the documents of each language into three buckets by their perplexity, and keeps some buckets."""

    keep: Identity[list[Literal["head", "middle", "tail"]]] = ["head", "middle"]
    """Buckets that are kept. The paper gives no cut-off; this choice is ours."""
    head: Identity[float] = Field(0.3, gt=0, lt=1)
    """Share of a language's documents that makes the bucket `head`: those of the lowest perplexity. The
    default is that of CCNet's code."""
    middle: Identity[float] = Field(0.6, gt=0, le=1)
    """Share of a language's documents that makes `head` and `middle` together; the others are `tail`. The
    default is that of CCNet's code."""

    @model_validator(mode="after")
    def _shares_grow(self) -> "Perplexity":
        if self.head >= self.middle:
            raise ValueError("perplexity.middle holds head too: it must be larger")
        return self


class References(Section):
    """Drops pages that a linear classifier takes for random ones, not for pages that Wikipedia cites."""

    wikipedia: Identity[str] = "wikipedia"
    """Name of the source whose articles tell the positive examples: the documents whose URLs they cite."""
    positives: Identity[str | None] = None
    """Name of a source whose documents are the positive examples instead: pages that Wikipedia cites."""
    threshold: Identity[float] = Field(0.25, ge=0, le=1)
    """Smallest probability of being a cited page: a document with a lower one is dropped. The paper gives no
    threshold; 0.25 is RedPajama's."""
    examples: Identity[int] = Field(300_000, ge=2)
    """Largest number of pages of each kind, cited and random, that the classifier is trained on. The default
    takes some 2 GB of memory."""
    min_examples: Identity[int] = Field(1000, ge=2)
    """Smallest number of pages of each kind: with fewer, the run stops."""
    seed: Identity[int] = 1
    """Seed of the draw of examples and of the training."""


class C4Filter(Section):
    """C4's rules for lines and pages (Raffel et al. 2020, section 2.2), with the values that made C4."""

    min_line_words: Identity[int] = Field(5, ge=1)
    """Smallest number of words in a line: a line with fewer is cut. The paper's first version said 3."""
    min_sentences: Identity[int] = Field(3, ge=1)
    """Smallest number of sentences in a page: a page with fewer is dropped. The paper's first version said
    5."""
    end_marks: Identity[bool] = True
    """Cut the lines that do not end in `.`, `?`, `!` or `"`. FineWeb does without this rule."""
    bad_words: Identity[list[str]] = []
    """Words and phrases that drop a page. C4 was made with a published list; here the default is none."""


class Filters(Section):
    """Published quality filters. A text that one of them refuses is dropped with the reason that it gives."""

    gopher_repetition: Identity[bool] = False
    """Drop texts that repeat themselves, by Gopher's limits (Rae et al. 2021, table A1)."""
    gopher_quality: Identity[bool] = False
    """Drop texts by Gopher's quality rules (Rae et al. 2021, appendix A.1.1). Their stop words are English,
    so texts in other languages are dropped."""
    c4: Identity[C4Filter | None] = None
    """Apply C4's rules, the only ones that also cut lines: `{}` takes the published values, null switches
    them off."""
    fineweb: Identity[bool] = False
    """Drop texts by FineWeb's own filters (Penedo et al. 2024, section 3.6)."""


class Pii(Section):
    """Replaces personal data with addresses that belong to nobody. The paper does not say that it did so."""

    email: Identity[bool] = False
    """Replace e-mail addresses."""
    ip: Identity[bool] = False
    """Replace public IPv4 and IPv6 addresses."""


class Clean(Section):
    """The decisions about a source's documents before they are compared with those of other sources."""

    lines: Identity[Lines | None] = None
    """Drop lines that a crawl repeats, first of all; null: keep them."""
    language: Identity[Language | None] = None
    """Keep some languages only; null: the language is not identified."""
    filters: Filters = Filters()
    """Drop texts by published quality filters, once their language is identified."""
    perplexity: Identity[Perplexity | None] = None
    """Drop texts that a language model finds unlikely, once they are filtered and masked; null: keep them.
    It needs `language`."""
    references: Identity[References | None] = None
    """Drop pages unlike those that Wikipedia cites, last of all; null: keep them."""
    pii: Pii = Pii()
    """Mask personal data in the text that the filters leave."""

    @model_validator(mode="after")
    def _language_is_known(self) -> "Clean":
        if self.perplexity and not self.language:
            raise ValueError(
                "clean.perplexity has a model for each language that clean.language keeps: set it"
            )
        return self

    @property
    def has_quality(self) -> bool:
        """True if anything is decided by a text's language, the filters or personal data."""
        return self.language is not None or self.filters != Filters() or self.pii != Pii()


# --- sources


class _Source(Section):
    """The settings that every kind of source has."""

    min_chars: Identity[int] = Field(200, ge=1)
    """Smallest number of characters of a document: one with fewer is dropped. The paper names no limit."""
    max_record_bytes: Identity[int] = Field(16 << 20, gt=0)
    """Largest number of bytes of a raw record: a longer one is quarantined. This bounds the memory that
    reading takes."""
    clean: Clean = Clean()
    """Cleaning of this source's documents after ingest."""


class _CodeRules(Section):
    """Limits for source code. The paper names the rules and not their values, which are RedPajama's."""

    max_line: Identity[int] = Field(1000, gt=0)
    """Largest number of characters in a line: a file with a longer line is dropped."""
    max_mean_line: Identity[float] = Field(100.0, gt=0)
    """Largest mean number of characters in a line: a file with a larger mean is dropped."""
    min_alphanumeric: Identity[float] = Field(0.25, ge=0, le=1)
    """Smallest share of letters and digits among the characters: a file with a smaller share is dropped."""


class Packages(_Source, _CodeRules):
    """Open-source Python packages that are installed here: a source that needs no network."""

    kind: Identity[Literal["packages"]]
    """Kind of the source."""
    packages: Identity[list[str]] = Field(min_length=1)
    """Names of the packages (distributions), as pip knows them."""
    part: Identity[Literal["code", "docs"]] = "code"
    """Part of each package that is read: `code` is its source files, `docs` its prose (docstrings, README
    and documentation files)."""


class _Urls(_Source):
    """The settings of a source whose raw files are at URLs."""

    urls: Identity[list[str]] = []
    """Paths or fsspec URLs of the raw files, with globs. `list+URL#GLOB` stands for the files in a published
    list that match GLOB. Such a list holds paths or checksums, or is an `ls -R`, archive.org's or arXiv's
    XML, or Wikimedia's dumpstatus.json."""
    license: Identity[str] = "unknown"
    """Licence of each document that does not state its own."""
    storage_options: Execution[dict[str, Any]] = {}
    """Options for fsspec's file system, such as {anon: true} for a public S3 bucket, or
    {requester_pays: true}. Credentials do not belong here but in the environment."""


class Files(_Urls):
    """Text files, or JSONL (.gz, .zst) or Parquet with a column `text`."""

    kind: Identity[Literal["files"]]
    """Kind of the source."""


class CommonCrawl(_Urls):
    """Common Crawl: WET text, or WARC pages, whose text is extracted from their HTML."""

    kind: Identity[Literal["commoncrawl"]]
    """Kind of the source."""
    min_chars: Identity[int] = Field(300, ge=1)
    """Smallest number of characters of a document: one with fewer is dropped. The default is CCNet's."""
    license: Identity[str] = "Common Crawl Terms of Use"
    """Licence of each document."""
    max_record_bytes: Identity[int] = Field(4 << 20, gt=0)
    """Largest number of bytes of a page or its text: a longer one is quarantined."""


class C4(_Urls):
    """C4 as its authors published it: JSONL with `text`, `timestamp` and `url`."""

    kind: Identity[Literal["c4"]]
    """Kind of the source."""
    min_chars: Identity[int] = Field(1, ge=1)
    """Smallest number of characters of a document. The default drops nothing: C4 is taken as published."""
    license: Identity[str] = "ODC-BY-1.0"
    """Licence of each document."""


class GitHub(_Urls, _CodeRules):
    """Source code from exports, archives or checkouts.

    An export is JSONL or Parquet with the columns of BigQuery (`content`, `path`, `repo_name`, `license`), of
    `codeparrot/github-code` or of The Stack. An archive is a .zip, .tar, .tar.gz, .tgz or .tar.zst, and a
    checkout a folder.
    """

    kind: Identity[Literal["github"]]
    """Kind of the source."""
    licenses: Identity[list[str]] = ["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"]
    """SPDX names of the licences whose files are kept. The paper keeps projects under Apache, BSD and MIT."""
    file_names: Identity[list[str]] = languages.NAMES
    """Endings (`.py`) and names (`makefile`) of the files that count as source code, in lower case. The paper
    has no such list and RedPajama one of 66; this one is our own and leaves out data such as .json, .csv and
    .svg."""
    vendored: Identity[bool] = False
    """Keep files in folders that hold other projects' code, such as `node_modules` and `third_party`."""
    generated: Identity[bool] = False
    """Keep files that say that a program wrote them, and minified files."""
    min_chars: Identity[int] = Field(100, ge=1)
    """Smallest number of characters of a file: one with fewer is dropped. The paper names no limit."""


class Wikipedia(_Urls):
    """Wikipedia's `pages-articles` dumps, as XML or XML packed with bzip2."""

    kind: Identity[Literal["wikipedia"]]
    """Kind of the source."""
    languages: Identity[list[str]] = LANGUAGES
    """Codes of the languages that dumps may be in; a dump states its language in its head, and one in another
    language is an error. The default is the paper's 20 languages."""
    license: Identity[str] = "CC-BY-SA-4.0"
    """Licence of each document."""


class Books(_Urls):
    """Texts of Project Gutenberg (.txt, .txt.utf-8, .zip), or any other books (text, JSONL, Parquet)."""

    kind: Identity[Literal["books"]]
    """Kind of the source."""
    license: Identity[str] = "public domain in the USA"
    """Licence of each document that does not state its own."""
    min_chars: Identity[int] = Field(1000, ge=1)
    """Smallest number of characters of a book: one with fewer is dropped. The paper names no limit."""
    max_record_bytes: Identity[int] = Field(64 << 20, gt=0)
    """Largest number of bytes of a book: a longer one is quarantined."""
    max_overlap: Identity[float] = Field(0.9, gt=0, le=1)
    """Largest share of a book's content that may be in another, longer book: with more, it is dropped. The
    paper removes books "with more than 90% content overlap"."""


class Arxiv(_Urls):
    """arXiv's LaTeX sources: the bulk tars (arXiv_src_*.tar), or single bundles (.tar.gz, .gz, .tex)."""

    kind: Identity[Literal["arxiv"]]
    """Kind of the source."""
    license: Identity[str] = "arXiv"
    """Licence of each document."""


class StackExchange(_Urls):
    """Stack Exchange's official dumps: a site's .7z or its Posts.xml, one document for each question."""

    kind: Identity[Literal["stackexchange"]]
    """Kind of the source."""
    license: Identity[str] = "CC-BY-SA-4.0"
    """Licence of each document that does not state its own."""
    min_chars: Identity[int] = Field(100, ge=1)
    """Smallest number of characters of a document: one with fewer is dropped. The paper names no limit."""


class Dataset(_Source):
    """Any dataset that the library `datasets` streams from data files."""

    kind: Identity[Literal["dataset"]]
    """Kind of the source."""
    path: Identity[str]
    """Name of a dataset on the Hugging Face hub, path of a folder, or a format (json, parquet, csv and so on)
    whose files `data_files` names."""
    name: Identity[str | None] = None
    """Name of the dataset's configuration; null: its default."""
    split: Identity[str] = "train"
    """Name of the split that is read."""
    revision: Identity[str | None] = None
    """Commit, branch or tag on the hub; null: the newest. The state of the data files enters the address of
    the step in any case."""
    data_files: Identity[str | list[str] | dict[str, str | list[str]] | None] = None
    """Paths, URLs or globs of the data files, for each split if need be; null: those of the dataset."""
    column: Identity[str] = "text"
    """Name of the column that holds the text."""
    license: Identity[str] = "unknown"
    """Licence of each document that does not state its own."""


Source = Annotated[
    Packages | Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange | Dataset,
    Field(discriminator="kind"),
]
UrlSource = Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange


# --- the whole corpus


class Dedup(Section):
    """Removes near-duplicates by MinHash over word shingles. Exact duplicates are removed in any case."""

    shingle_words: Identity[int] = Field(5, ge=1)
    """Number of words in a shingle. With the defaults of `bands` and `rows` it is FineWeb's (Penedo et al.
    2024)."""
    bands: Identity[int] = Field(14, ge=1)
    """Number of bands of a signature: texts that agree in a whole band are compared."""
    rows: Identity[int] = Field(8, ge=1)
    """Number of MinHash values in a band."""
    threshold: Identity[float] = Field(0.63, gt=0, le=1)
    """Smallest estimated Jaccard similarity of near-duplicates. An estimate from 112 values scatters by 0.04,
    so 0.63 refuses hardly any pair that the bands have found and whose similarity is 0.7 or more."""
    seed: Identity[int] = 1
    """Seed of the MinHash functions and of the draw of held-out groups."""
    unit_bytes: Execution[int] = Field(1 << 30, gt=0)
    """Bytes of text in a unit: the ingest shards that are read and signed together."""
    partition_bytes: Execution[int] = Field(256 << 20, gt=0)
    """Bytes of a partition of the keys, which is held in memory. A process takes about five times this."""


class Decontaminate(Section):
    """Keeps documents that share a run of words with an evaluation set out of training."""

    ngram: Identity[int] = Field(13, ge=1)
    """Number of words in a shared run. The default is that of Brown et al. 2020, appendix C; the paper does
    not say that it compared its training text."""


class Corpus(Section):
    """The corpus: its sources, and what is decided about their documents together."""

    sources: Identity[dict[str, Source]]
    """The sources by name. A name is made of letters, digits, `-` and `_`."""
    choices: Execution[list[str]] = []
    """What the recipe decides where the paper that it follows says nothing, in words: one choice a line, as
    the dataset card prints them. They are about these sources: a recipe that names others inherits none."""
    holdout: Identity[list[str]] = []
    """Names of the groups (packages) that are kept out of training and used for evaluation."""
    holdout_fraction: Identity[float] = Field(0.0, ge=0, lt=1)
    """Share of the other groups that is held out too, drawn by keyed hash. A document without a group is
    drawn by itself."""
    dedup: Dedup = Dedup()
    """Removal of duplicates among the documents of all sources."""
    decontaminate: Identity[Decontaminate | None] = Decontaminate()
    """Comparison of the training text with the evaluation sets in `evaluate.data`; null: there is none."""

    @model_validator(mode="after")
    def _sources_are_names(self) -> "Corpus":
        # A source's name begins the names of shards, where a dot follows it.
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
