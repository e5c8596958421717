"""The corpus in a recipe: its sources, and what is decided about the documents of all of them together."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from llama_core.corpus.clean.recipe import Clean
from llama_core.corpus.code import languages
from llama_core.section import Execution, Identity, Section, Seed
from llama_core.url import ListUrl, Url, refuse_secrets

# The 20 languages of Touvron et al. 2023, section 2.1.
LANGUAGES = "bg ca cs da de en es fr hr hu it nl pl pt ro ru sl sr sv uk".split()  # noqa: SIM905
MOST_VALUES = 10_000  # of a MinHash signature; the longest that is published has 9,000


class Limit(Section):
    """How much of a source a trial reads: its first files by the order of their names, or documents."""

    files: Identity[int | None] = Field(None, ge=1)
    """Number of raw files (packages, checkouts) that are read; null: all."""
    documents: Identity[int | None] = Field(None, ge=1)
    """Number of documents after which reading ends; null: all. With it, files are read one after another."""

    @model_validator(mode="before")
    @classmethod
    def _says_of_what(cls, values: Any) -> Any:
        if isinstance(values, int | str):
            raise ValueError("limit is of documents or of files: write it as {documents: 1000}")
        return values

    @model_validator(mode="after")
    def _limits_something(self) -> "Limit":
        if self.files is None and self.documents is None:
            raise ValueError("limit names neither files nor documents: set one of them, or limit to null")
        return self


class _Source(Section):
    """The settings that every kind of source has."""

    limit: Identity[Limit | None] = None
    """How much is read in a trial, before the recipe is let loose on all of the source; null: all of it."""

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


def canonical(name: str) -> str:
    """Return the name of a package in the one spelling that counts as its name."""
    return re.sub(r"[-_.]+", "-", name).lower()


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

    urls: Identity[list[ListUrl]] = []
    """Paths or fsspec URLs of the raw files, with globs. `list+URL#GLOB` stands for the files in a published
    list that match GLOB. Such a list holds paths or checksums, or is an `ls -R`, archive.org's or arXiv's
    XML, or Wikimedia's dumpstatus.json."""
    license: Identity[str] = "unknown"
    """Licence of each document that does not state its own."""
    storage_options: Execution[dict[str, Any]] = {}
    """Options for fsspec's file system, such as {anon: true} for a public S3 bucket, or
    {requester_pays: true}. Credentials are refused: they belong in the environment."""

    @field_validator("storage_options")
    @classmethod
    def _holds_no_secrets(cls, options: dict[str, Any]) -> dict[str, Any]:
        refuse_secrets(options, options=True)
        return options


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
    licenses: Identity[list[str]] = Field(["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"], min_length=1)
    """SPDX names of the licences whose files are kept. The paper keeps projects under Apache, BSD and MIT."""
    file_names: Identity[list[str]] = Field(languages.NAMES, min_length=1)
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
    languages: Identity[list[str]] = Field(LANGUAGES, min_length=1)
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
    path: Identity[Url]
    """Name of a dataset on the Hugging Face hub, path of a folder, or a format (json, parquet, csv and so on)
    whose files `data_files` names."""
    name: Identity[str | None] = None
    """Name of the dataset's configuration; null: its default."""
    split: Identity[str] = Field("train", min_length=1)
    """Name of the split that is read."""
    revision: Identity[str | None] = None
    """Commit, branch or tag on the hub; null: the newest. The state of the data files enters the address of
    the step in any case."""
    data_files: Identity[Url | list[Url] | dict[str, Url | list[Url]] | None] = None
    """Paths, URLs or globs of the data files, for each split if need be; null: those of the dataset."""
    column: Identity[str] = Field("text", min_length=1)
    """Name of the column that holds the text."""
    license: Identity[str] = "unknown"
    """Licence of each document that does not state its own."""


Source = Annotated[
    Packages | Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange | Dataset,
    Field(discriminator="kind"),
]
UrlSource = Files | CommonCrawl | C4 | GitHub | Wikipedia | Books | Arxiv | StackExchange


class Dedup(Section):
    """Removes near-duplicates by MinHash over word shingles. Exact duplicates are removed in any case."""

    shingle_words: Identity[int] = Field(5, ge=1, le=1000)
    """Number of words in a shingle. With the defaults of `bands` and `rows` it is FineWeb's (Penedo et al.
    2024)."""
    bands: Identity[int] = Field(14, ge=1, le=1000)
    """Number of bands of a signature: texts that agree in a whole band are compared."""
    rows: Identity[int] = Field(8, ge=1, le=1000)
    """Number of MinHash values in a band."""
    threshold: Identity[float] = Field(0.63, gt=0, le=1)
    """Smallest estimated Jaccard similarity of near-duplicates. An estimate from 112 values scatters by 0.04,
    so 0.63 refuses hardly any pair that the bands have found and whose similarity is 0.7 or more."""
    seed: Identity[Seed] = 1
    """Seed of the MinHash functions and of the draw of held-out groups."""
    unit_bytes: Execution[int] = Field(1 << 30, gt=0)
    """Bytes of text in a unit: the ingest shards that are read and signed together."""
    partition_bytes: Execution[int] = Field(256 << 20, gt=0)
    """Bytes of a partition of the keys, which is held in memory. A process takes about five times this."""

    @model_validator(mode="after")
    def _signature_fits_into_memory(self) -> "Dedup":
        if self.bands * self.rows > MOST_VALUES:
            raise ValueError(f"bands {self.bands} x rows {self.rows} are more than {MOST_VALUES} values")
        return self


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
        # A source's name begins the names of shards, where a dot follows it, and which are names of files.
        if wrong := [name for name in self.sources if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]:
            raise ValueError(
                f"sources: {wrong[0]!r} is no name: 1 to 64 letters, digits, - and _ are allowed"
            )
        return self

    @model_validator(mode="after")
    def _holdout_names_packages(self) -> "Corpus":
        # Only of packages is it known here which groups there are.
        lists = [source.packages for source in self.sources.values() if isinstance(source, Packages)]
        groups = {canonical(name) for names in lists for name in names}
        unknown = [name for name in self.holdout if name not in groups]
        if unknown and len(lists) == len(self.sources):
            there = ", ".join(sorted(groups)[:20])
            raise ValueError(
                f"holdout names {unknown[0]!r}, which is no package of a source; there are: {there}"
            )
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
