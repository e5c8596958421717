"""The cleaning in a recipe: what is decided about the documents of one source, after ingest."""

from typing import Any, Literal

from pydantic import Field, model_validator

from llama_core.section import Identity, Section, Seed
from llama_core.url import Url


class Lines(Section):
    """Drops every copy of a line that occurs twice in a group of shards (CCNet, Wenzek et al. 2019)."""

    shards: Identity[int] = Field(1600, ge=1)
    """Number of shards that a crawl's files, sorted by name, are divided into. A crawl of fewer files has one
    shard for each. The default is CCNet's."""
    group_shards: Identity[int] = Field(50, ge=1)
    """Number of neighbouring shards whose lines are compared with one another. The default is CCNet's."""


class Language(Section):
    """Identifies the language of each whole text with a fastText model, and keeps some languages."""

    keep: Identity[list[str]] = Field(["en"], min_length=1)
    """Codes of the languages that are kept, as the model writes them."""
    min_score: Identity[float] = Field(0.5, ge=0, le=1)
    """Smallest probability of the best language: a document with a lower one is dropped. The paper gives no
    threshold; 0.5 is CCNet's."""
    model: Identity[Url] = "lid.176.ftz"
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
    """Largest number of bytes of text that a model is trained on. Training needs about 60 bytes of memory for
    each."""
    vocab_size: Identity[int] = Field(65_536, ge=16, lt=2**31)
    """Number of pieces of each model. The default is CCNet's."""
    order: Identity[int] = Field(5, ge=2, le=6)
    """Number of pieces in the longest n-gram. The default is CCNet's."""
    trainer: Identity[Literal["counts"]] = "counts"
    """How the n-gram models are trained: `counts` is the only way. The key stays because the addresses of
    models, and the records of runs, name it."""
    seed: Identity[Seed] = 1
    """Seed of the draw of articles."""

    def model_identity(self) -> dict[str, Any]:
        """Return the settings that the models depend on, without those that say how perplexities are used."""
        return {name: value for name, value in self.identity().items() if name in LanguageModel.model_fields}


class Perplexity(LanguageModel):
    """Sorts the documents of each language into three buckets by their perplexity, and keeps some buckets."""

    keep: Identity[list[Literal["head", "middle", "tail"]]] = Field(["head", "middle"], min_length=1)
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
    seed: Identity[Seed] = 1
    """Seed of the draw of examples and of the training."""

    @model_validator(mode="after")
    def _enough_are_drawn(self) -> "References":
        if self.examples < self.min_examples:
            raise ValueError(
                f"references.examples {self.examples} is fewer than references.min_examples "
                f"{self.min_examples}"
            )
        return self


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
