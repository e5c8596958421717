"""A recipe: everything about a run, as typed fields. Each size is a short YAML file that extends a base."""

import difflib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal, get_args

import fsspec
import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from llama_core.corpus.recipe import Corpus, Source
from llama_core.errors import RecipeError
from llama_core.section import Execution, Identity, Section

RECIPES = resources.files("llama_core") / "recipes"
PRESETS = ("micro", "tiny", "7b", "13b", "33b", "65b", "llama-v1")


class TokenizerSection(Section):
    """SentencePiece BPE with the released tokenizer's flags."""

    vocab_size: Identity[int] = Field(32000, ge=300)
    sample_bytes: Identity[int] = Field(10_000_000_000, gt=0)
    """Text that the trainer sees, drawn by keyed hash and by the mixture; 11 bytes of memory a byte."""
    character_coverage: Identity[float] = Field(0.99995, gt=0, le=1)
    seed: Identity[int] = 1
    threads: Identity[int] = Field(2, ge=1)
    """Identity: the trainer's result may depend on it."""
    compare_with: Identity[str] = ""
    """Path or URL of another SentencePiece model, as the released one, to be reported beside this. What
    follows does not depend on it: a tokenizer is known by its pieces."""


class Model(Section):
    """Touvron et al. 2023, Table 2. The vocabulary's size comes from the tokenizer."""

    dim: Identity[int] = Field(gt=0)
    n_layers: Identity[int] = Field(gt=0)
    n_heads: Identity[int] = Field(gt=0)
    multiple_of: Identity[int] = Field(256, gt=0)
    """The SwiGLU hidden size, 2/3 of 4 dim, is rounded up to a multiple of this."""
    norm_eps: Identity[float] = 1e-6
    rope_theta: Identity[float] = 10000.0

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @property
    def ffn_dim(self) -> int:
        hidden = int(2 * (4 * self.dim) / 3)
        return self.multiple_of * -(-hidden // self.multiple_of)

    def n_params(self, vocab_size: int) -> int:
        """Parameters, embeddings included."""
        block = 4 * self.dim**2 + 3 * self.dim * self.ffn_dim + 2 * self.dim
        return 2 * vocab_size * self.dim + self.n_layers * block + self.dim

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> "Model":
        if self.dim % self.n_heads or self.head_dim % 2:
            raise ValueError(f"dim {self.dim} must be n_heads ({self.n_heads}) times an even head size")
        return self


class Train(Section):
    tokens: Identity[int] = Field(gt=0)
    """Tokens seen in the whole run."""
    seq_len: Identity[int] = Field(2048, gt=1)
    global_batch_tokens: Identity[int] = Field(4 * 1024 * 1024, gt=0)
    lr: Identity[float] = Field(gt=0)
    """Peak learning rate."""
    min_lr_ratio: Identity[float] = Field(0.1, ge=0, le=1)
    """The cosine ends at this share of the peak."""
    warmup_steps: Identity[int] = Field(2000, ge=0)
    beta1: Identity[float] = 0.9
    beta2: Identity[float] = 0.95
    adam_eps: Identity[float] = 1e-8
    weight_decay: Identity[float] = 0.1
    """On matrices; norms are not decayed (the paper does not say)."""
    grad_clip: Identity[float] = Field(1.0, gt=0)
    init_std: Identity[float] = Field(0.02, gt=0)
    document_mask: Identity[bool] = True
    """Attention stays inside a document (the paper does not say)."""
    precision: Identity[Literal["bf16", "fp32"]] = "bf16"
    """Of matrix products; parameters, optimizer and reductions are float32."""
    seed: Identity[int] = 1

    @property
    def batch_sequences(self) -> int:
        return self.global_batch_tokens // self.seq_len

    @property
    def steps(self) -> int:
        return max(1, self.tokens // self.global_batch_tokens)

    @model_validator(mode="after")
    def _batch_is_whole_sequences(self) -> "Train":
        if self.global_batch_tokens % self.seq_len:
            raise ValueError(
                f"global_batch_tokens {self.global_batch_tokens} must be a multiple of seq_len {self.seq_len}"
            )
        return self


class Evaluate(Section):
    heldout_bytes: Identity[int] = Field(2_000_000, gt=0)
    """Held-out text scored per source."""
    tasks: Identity[list[Literal["hellaswag", "arc_easy"]]] = ["hellaswag", "arc_easy"]
    data: Execution[str | None] = None
    """Folder with the benchmarks' files. What the files hold enters the address, not where they lie.
    Training text is compared with all of them (corpus.decontaminate)."""
    limit: Identity[int | None] = Field(None, ge=1)
    """Questions per task; null: all."""
    prompts: Identity[list[str]] = ["def main():", "The function returns"]
    """Continued by the model for the report."""
    batch_tokens: Execution[int] = Field(8192, gt=0)
    """Tokens scored at a time on one process."""


class Register(Section):
    model_name: Identity[str | None] = None
    """Name in the MLflow registry; null: `llama-<recipe name>`."""
    alias: Identity[str] = "candidate"


class Layout(Section):
    """How a model is spread over processes."""

    dp_replicate: Execution[int] = Field(1, ge=1)
    """Replicas of the sharded model (HSDP)."""
    micro_batch: Execution[int] = Field(1, ge=1)
    """Sequences per process in one forward pass."""
    activation_checkpointing: Execution[Literal["none", "full"]] = "none"
    compile: Execution[bool] = False
    attention: Execution[Literal["auto", "xformers", "sdpa"]] = "auto"
    """auto: xformers on CUDA, SDPA elsewhere."""


class Launch(Section):
    """Where training and evaluation run."""

    launcher: Execution[Literal["local", "slurm"]] = "local"
    nodes: Execution[int] = Field(1, ge=1)
    procs_per_node: Execution[int] = Field(1, ge=1)
    device: Execution[Literal["cpu", "cuda"]] = "cpu"
    time_limit: Execution[str] = "24:00:00"
    """slurm: of one job; the run goes on from its checkpoint in the next."""
    partition: Execution[str | None] = None
    max_restarts: Execution[int] = Field(2, ge=0)
    """Times that a failed job is started again from its last checkpoint."""

    @property
    def world_size(self) -> int:
        return self.nodes * self.procs_per_node


class RunSection(Section):
    engine: Execution[Literal["processes", "dask", "ray"]] = "processes"
    """Where the shards of the data stages are worked on: processes of this machine, or a cluster."""
    address: Execution[str | None] = None
    """Of the Dask scheduler or the Ray cluster; null: one is started on this machine."""
    workers: Execution[int] = Field(2, ge=1)
    """Processes of the data stages on this machine."""
    save_every: Execution[int] = Field(1000, ge=1)
    """Steps between checkpoints."""
    keep: Execution[int] = Field(2, ge=1)
    """Checkpoints kept beside the last one."""
    log_every: Execution[int] = Field(10, ge=1)
    """Steps between lines of the log."""


class Recipe(Section):
    name: Execution[str]
    store: Execution[str | None] = None
    """fsspec URL of all artifacts; null: the environment's LLAMA_STORE, else a folder in the home."""
    corpus: Corpus
    mixture: Identity[dict[str, float]]
    """Share of the training tokens that each source gives."""
    tokenizer: TokenizerSection = TokenizerSection()
    model: Model
    train: Train
    evaluate: Evaluate = Evaluate()
    register_: Annotated[Register, "section"] = Field(Register(), alias="register")
    layout: Layout = Layout()
    launch: Launch = Launch()
    run: RunSection = RunSection()

    @property
    def model_name(self) -> str:
        return self.register_.model_name or f"llama-{self.name}"

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
    def _batch_divides(self) -> "Recipe":
        parts = self.launch.world_size * self.layout.micro_batch
        if self.train.batch_sequences % parts:
            raise ValueError(
                f"a batch of {self.train.batch_sequences} sequences does not divide over "
                f"{self.launch.world_size} processes x layout.micro_batch {self.layout.micro_batch}"
            )
        if self.launch.world_size % self.layout.dp_replicate:
            raise ValueError(
                f"layout.dp_replicate {self.layout.dp_replicate} must divide "
                f"{self.launch.world_size} processes"
            )
        return self


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe `name` (a preset, or a path or URL of YAML), with dotted keys replaced.

    `overrides`: {"train.lr": 1e-3, "run.workers": 4}; a string value is read as YAML.
    Raises RecipeError.
    """
    values = _read(name)
    for key, value in (overrides or {}).items():
        _set(values, key, _parse(key, value) if isinstance(value, str) else value)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: " + "; ".join(_explain(e) for e in error.errors())) from None


def _parse(key: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"override {key}: {value!r} is not YAML: {error}") from None


def _read(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if name in seen:
        raise RecipeError(f"recipe {name} extends itself: {' -> '.join((*seen, name))}")
    try:
        if name.endswith((".yaml", ".yml")):
            with fsspec.open(name, "r") as file:
                values = yaml.safe_load(file)
        else:
            values = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    except FileNotFoundError:
        raise RecipeError(
            f"there is no recipe {name!r}: take one of {', '.join(PRESETS)}, or the path of a .yaml file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {name} is not YAML: {error}") from None
    except (OSError, ImportError, ValueError) as error:  # a folder, no permission, a protocol not installed
        raise RecipeError(f"cannot read the recipe {name}: {error}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"recipe {name} must be a mapping of sections")
    if base := values.pop("extends", None):
        if not isinstance(base, str):
            raise RecipeError(f"recipe {name}: extends must be a name or a path (given: {base!r})")
        values = _merge(_read(base, (*seen, name)), values)
    return values


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins, key by key; `sources` and `mixture` name a whole and are replaced as one.

    Groups to hold out are named among the sources, and choices are about them: they go with them.
    """
    merged = {k: v for k, v in base.items() if not (k in ("holdout", "choices") and "sources" in over)}
    for key, value in over.items():
        deep = isinstance(value, dict) and isinstance(base.get(key), dict)
        whole = key in ("sources", "mixture")
        merged[key] = _merge(base[key], value) if deep and not whole else value
    return merged


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for key in path:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise RecipeError(f"override {dotted}: {key} is a value, not a section")
    values[last] = value


def _explain(error: Any) -> str:
    """One pydantic error as a person would say it."""
    loc = _without_kind(error["loc"])
    key = ".".join(map(str, loc)) or "recipe"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(error["loc"][:-1])
        near = difflib.get_close_matches(str(loc[-1]), allowed, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"{key} is not a key{hint}; allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"].startswith("union_tag"):
        return f"{key}.kind must be one of {', '.join(_source_kinds())}"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if isinstance(error["input"], dict | Section) else f" (given: {error['input']!r})"
    return f"{key}: {message}{given}"


def _source_kinds() -> dict[str, type[Section]]:
    return {get_args(k.model_fields["kind"].annotation)[0]: k for k in get_args(get_args(Source)[0])}


def _without_kind(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """The place as it is written: pydantic puts a source's kind behind its name."""
    if len(loc) > 3 and loc[:2] == ("corpus", "sources"):
        return loc[:3] + loc[4:]
    return loc


def _allowed(path: tuple[Any, ...]) -> list[str]:
    """The keys of the section at a path that pydantic gave."""
    section: Any = Recipe
    if len(path) > 3 and path[:2] == ("corpus", "sources"):
        section, path = _source_kinds()[path[3]], path[4:]
    for key in path:
        field = next(f for n, f in section.model_fields.items() if key in (n, f.alias))
        candidates = (field.annotation, *get_args(field.annotation))  # `Section | None` among them
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return [f.alias or n for n, f in section.model_fields.items()]
