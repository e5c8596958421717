"""A recipe: everything about a run, as typed fields. Each size is a short YAML file that extends a base."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from llama_core.corpus.recipe import Corpus
from llama_core.evaluate import names
from llama_core.recipes import layouts
from llama_core.recipes.evaluation import MOST_HELDOUT, At, Tasks
from llama_core.recipes.running import Launch, Layout, RunSection
from llama_core.recipes.training import Model, Train
from llama_core.section import Execution, Identity, Section, Seed
from llama_core.url import Url, UrlOrNothing

PIECE = 16  # characters of a piece of a tokenizer at most


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


def model_name(name: str) -> str:
    """Return a name that a registered model may have. Raises ValueError.

    The rules are those of MLflow (`_validate_model_name` in mlflow/utils/validation.py), whose databases hold
    256 characters. Besides, the model must be found: by `models:/NAME@ALIAS`, where a `?` ends the name, and
    by a filter, which cannot quote both kinds of quotes.
    """
    _not_blank(name)
    if wrong := sorted({c for c in name if c in "/:?" or not c.isprintable()}):
        raise ValueError(f"the registry allows no {wrong[0]!r} in the name of a model")
    if name == "." or name.startswith(".."):
        raise ValueError("the registry takes it for a path")
    if "'" in name and '"' in name:
        raise ValueError("the registry cannot look for a name with both kinds of quotes")
    if len(name) > 256 - len("llama-"):
        raise ValueError("the registry allows 256 characters in the name of a model")
    return name


def model_alias(alias: str) -> str:
    """Return an alias that a version of a model may have. Raises ValueError.

    The rules are those of MLflow (`_validate_model_alias_name` and `_validate_model_alias_name_reserved` in
    mlflow/utils/validation.py).
    """
    if not re.fullmatch(r"[\w-]{1,255}", alias):
        raise ValueError("an alias is 1 to 255 letters, digits, - and _")
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        raise ValueError("the registry keeps this alias for itself: `latest`, and v with a number")
    return alias


Prompt = Annotated[str, AfterValidator(_not_blank)]
ModelName = Annotated[str, AfterValidator(model_name)]
Alias = Annotated[str, AfterValidator(model_alias)]


class TokenizerSection(Section):
    """The tokenizer: SentencePiece BPE, trained with the flags of the released one."""

    vocab_size: Identity[int] = Field(32000, ge=300, lt=2**31)
    """Number of pieces. The released tokenizer has 32,000."""
    sample_bytes: Identity[int] = Field(10_000_000_000, gt=0)
    """Bytes of text that the tokenizer is trained on, divided by the mixture and drawn by keyed hash. The
    training takes about 11 bytes of memory for each. The paper does not say how much text it used."""
    character_coverage: Identity[float] = Field(0.99995, ge=0.98, le=1)
    """Share of the characters in the sample that get a piece of their own; the others are written as bytes.
    The default is the released tokenizer's, and 0.98 the smallest that SentencePiece takes."""
    seed: Identity[Seed] = 1
    """Seed of the draw of the sample."""
    threads: Identity[int] = Field(2, ge=1, le=1024)
    """Threads of SentencePiece's trainer. They enter the address, since its result may depend on them."""
    imported: Identity[str | None] = Field(None, pattern=r"^tokenizer/[0-9a-f]{16}$")
    """Folder on the store, tokenizer/ID, of a tokenizer that is taken instead of training one, such as that
    of an imported model; null: one is trained."""
    compare_with: Identity[UrlOrNothing] = ""
    """Path or URL of another SentencePiece model, such as the released one, that is reported beside this one;
    empty: none. It is part of this step's address and not of later ones, which know a tokenizer by its
    pieces."""


class Evaluate(Section):
    """The evaluation: held-out text, benchmarks, and samples for the report."""

    heldout_bytes: Identity[int] = Field(2_000_000, gt=0, le=MOST_HELDOUT)
    """Largest number of bytes of held-out text that is scored for each source."""
    tasks: Identity[Tasks] = [names.PAPER]
    """Benchmarks that the model is scored on: `paper` for all of the paper's, a group of them (common_sense,
    closed_book, reading, mathematics, code, knowledge, bias), one such as `gsm8k` in all its ways, or one in
    one way, such as `nq_open:5-shot`."""
    data: Execution[Url | None] = None
    """Path or URL of the folder with the benchmarks' files; null: none is run. The address depends on what
    the files hold, not on where they are. Training text is compared with them (corpus.decontaminate)."""
    limit: Identity[int | None] = Field(None, ge=1)
    """Largest number of items of each benchmark, evenly spread over all of them; null: all."""
    samples: Identity[int | None] = Field(None, ge=1)
    """Largest number of texts that are drawn for an item: the k of maj1@k and pass@k is no larger; null: as
    many as the paper draws."""
    max_new_tokens: Identity[int | None] = Field(None, ge=1)
    """Largest number of tokens of a text that is an answer; null: what the benchmark needs."""
    prompts: Identity[list[Prompt]] = Field(["def main():", "The function returns"], min_length=1)
    """Texts that the model continues for the report."""
    batch_tokens: Execution[int] = Field(8192, gt=0)
    """Number of tokens that a process scores in one forward pass."""
    rows: Execution[int] = Field(32, ge=1)
    """Number of texts that a process continues at once."""
    at: Execution[At] = At()
    """The checkpoints that are evaluated while the training goes on."""
    launch: Execution[Launch | None] = None
    """Where evaluations run, in the keys of the section `launch`; those that are not given are as they are
    there. null: where the training runs. The model is spread over all processes of an evaluation (FSDP)."""


class Register(Section):
    """The model's entry in the MLflow registry."""

    model_name: Identity[ModelName | None] = None
    """Name of the registered model; null: `llama-<recipe name>`."""
    alias: Identity[Alias] = "candidate"
    """Alias that points at the version which the run registers."""
    champion: Execution[Alias | None] = "champion"
    """Alias of the best version so far. It moves to the version that the run registers where that is not
    worse on what `gate` names; null: it never moves."""
    gate: Execution[list[str] | None] = None
    """Benchmarks of `evaluate.tasks` on which a version is compared with the champion, by NAME or, for one of
    several ways, NAME:VARIANT; `heldout` for the bits per byte of held-out text; null: all that both were
    asked in the same way."""


class Recipe(Section):
    """A whole run: where its text comes from, the model and its training, and where all of it is done."""

    name: Execution[ModelName]
    """Name of the recipe. The report shows it, and the registered model is named after it."""
    store: Execution[Url | None] = None
    """fsspec URL of the folder of all artifacts; null: the environment variable LLAMA_STORE, or else a folder
    of the project's home."""
    corpus: Corpus
    """The text and how it is cleaned."""
    mixture: Identity[dict[str, float]]
    """Share of the training tokens that each source gives. The shares add up to 1."""
    tokenizer: TokenizerSection = TokenizerSection()
    """The tokenizer and its training."""
    model: Model
    """The size of the model."""
    train: Train
    """The training of the model."""
    evaluate: Evaluate = Evaluate()
    """The evaluation of the trained model."""
    register_: Annotated[Register, "section"] = Field(Register(), alias="register")
    """The entry of the model in the registry; its key in a recipe is `register`."""
    layout: Layout = Layout()
    """How the model is spread over processes."""
    launch: Launch = Launch()
    """Where training, export and evaluation run (see `evaluate.launch`)."""
    run: RunSection = RunSection()
    """How the run works."""

    @property
    def model_name(self) -> str:
        """The name of the registered model."""
        return self.register_.model_name or f"llama-{self.name}"

    @property
    def evaluation_launch(self) -> Launch:
        """Where evaluations run."""
        return self.evaluate.launch or self.launch

    @model_validator(mode="before")
    @classmethod
    def _evaluations_run_as_the_training_but_for_what_they_name(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        evaluate, launch = values.get("evaluate"), values.get("launch", {})
        if not isinstance(evaluate, dict) or not isinstance(launch, dict):
            return values
        own = evaluate.get("launch")
        return values | {"evaluate": evaluate | {"launch": launch | own}} if isinstance(own, dict) else values

    @model_validator(mode="after")
    def _mixture_names_the_sources(self) -> "Recipe":
        if set(self.mixture) != set(self.corpus.sources):
            raise ValueError(
                f"mixture names {sorted(self.mixture)}, corpus.sources has {sorted(self.corpus.sources)}"
            )
        if any(w < 0 for w in self.mixture.values()) or abs(sum(self.mixture.values()) - 1) > 1e-6:
            raise ValueError(f"mixture must be shares that add up to 1, not {sum(self.mixture.values()):g}")
        return self

    @model_validator(mode="after")
    def _sample_has_bytes_of_each_source(self) -> "Recipe":
        for name, share in self.mixture.items():
            if share > 0 and int(share * self.tokenizer.sample_bytes) < 1:
                raise ValueError(
                    f"tokenizer.sample_bytes {self.tokenizer.sample_bytes} has no byte for "
                    f"mixture.{name} {share:g}"
                )
        return self

    @model_validator(mode="after")
    def _profiled_steps_are_trained(self) -> "Recipe":
        if self.run.profile and self.run.profile[-1] > self.train.steps:
            raise ValueError(f"run.profile {self.run.profile}: the training has {self.train.steps} steps")
        return self

    @model_validator(mode="after")
    def _gate_names_what_is_scored(self) -> "Recipe":
        keys = names.keys(self.evaluate.tasks)
        known = list(dict.fromkeys(["heldout", *map(names.name_of, keys), *keys]))
        if unknown := [name for name in self.register_.gate or [] if name not in known]:
            raise ValueError(f"register.gate names {unknown[0]!r}: {', '.join(known)} are scored")
        return self

    @model_validator(mode="after")
    def _prompts_fit(self) -> "Recipe":
        longest = PIECE * self.train.seq_len
        if too_long := [prompt for prompt in self.evaluate.prompts if len(prompt) > longest]:
            raise ValueError(
                f"evaluate.prompts: {too_long[0][:30]!r}... has more than {longest} characters, and so more "
                f"tokens than train.seq_len {self.train.seq_len}"
            )
        return self

    @model_validator(mode="after")
    def _float8_can_be_had(self) -> "Recipe":
        if self.train.float8 != "none":
            for key, launch in (("launch", self.launch), ("evaluate.launch", self.evaluation_launch)):
                if launch.device == "cpu":
                    raise ValueError(f"train.float8 {self.train.float8} needs {key}.device cuda")
        if self.train.float8 != "none" and self.layout.tp > 1:
            raise ValueError(
                f"train.float8 {self.train.float8} is not made for matrices that layout.tp {self.layout.tp} "
                "shares: set one of them to its default"
            )
        return self

    @model_validator(mode="after")
    def _layout_can_be_had(self) -> "Recipe":
        layouts.check(self.layout, self.launch, self.model, self.train, self.tokenizer.vocab_size)
        return self
