"""A recipe: everything about a run, as typed fields. Each size is a short YAML file that extends a base."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from llama_core.corpus.recipe import Corpus
from llama_core.recipes.time_limit import TimeLimit
from llama_core.section import Execution, Identity, Section, Seed
from llama_core.url import Address, Url, UrlOrNothing

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
    compare_with: Identity[UrlOrNothing] = ""
    """Path or URL of another SentencePiece model, such as the released one, that is reported beside this one;
    empty: none. It is part of this step's address and not of later ones, which know a tokenizer by its
    pieces."""


class Model(Section):
    """The size of the model (Touvron et al. 2023, Table 2). The vocabulary's size is the tokenizer's."""

    dim: Identity[int] = Field(gt=0)
    """Width of the residual stream: 4096, 5120, 6656 or 8192 in the paper."""
    n_layers: Identity[int] = Field(gt=0)
    """Number of transformer blocks: 32, 40, 60 or 80 in the paper."""
    n_heads: Identity[int] = Field(gt=0)
    """Number of attention heads in a block: 32, 40, 52 or 64 in the paper. It must divide `dim` into even
    sizes."""
    multiple_of: Identity[int] = Field(256, gt=0)
    """Factor of the SwiGLU hidden size, which is 2/3 of 4 dim (section 2.2) rounded up to a multiple of it.
    The default is the released code's."""
    norm_eps: Identity[float] = Field(1e-6, gt=0)
    """Number that RMSNorm adds to the mean square. The default is that of the released 7B model; the paper
    does not say."""
    rope_theta: Identity[float] = Field(10000.0, gt=0)
    """Base of the angles of the rotary positions, after Su et al. 2021."""

    @property
    def head_dim(self) -> int:
        """The size of a head."""
        return self.dim // self.n_heads

    @property
    def ffn_dim(self) -> int:
        """The hidden size of the SwiGLU feed-forward layer."""
        hidden = int(2 * (4 * self.dim) / 3)
        return self.multiple_of * -(-hidden // self.multiple_of)

    def n_params(self, vocab_size: int) -> int:
        """Return the number of parameters, those of the embeddings included."""
        block = 4 * self.dim**2 + 3 * self.dim * self.ffn_dim + 2 * self.dim
        return 2 * vocab_size * self.dim + self.n_layers * block + self.dim

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> "Model":
        if self.dim % self.n_heads or self.head_dim % 2:
            raise ValueError(f"dim {self.dim} must be n_heads ({self.n_heads}) times an even head size")
        return self


class Train(Section):
    """The training: its length, its batches, the optimizer and the learning rate."""

    tokens: Identity[int] = Field(gt=0)
    """Number of tokens that the model sees in the whole run: 1.0T for 7B and 13B, 1.4T for 33B and 65B
    (Table 2)."""
    seq_len: Identity[int] = Field(2048, gt=1)
    """Number of tokens in a sequence, and so the longest context. The default is the released models'."""
    global_batch_tokens: Identity[int] = Field(4 * 1024 * 1024, gt=0)
    """Number of tokens in a batch, over all processes: 4M in the paper (Table 2). It must be a multiple of
    `seq_len`."""
    lr: Identity[float] = Field(gt=0)
    """Peak learning rate: 3.0e-4 for 7B and 13B, 1.5e-4 for 33B and 65B (Table 2)."""
    min_lr_ratio: Identity[float] = Field(0.1, ge=0, le=1)
    """Share of the peak learning rate at which the cosine schedule ends: 0.1 in the paper (section 2.3)."""
    warmup_steps: Identity[int] = Field(2000, ge=0)
    """Number of steps in which the learning rate rises to its peak: 2,000 in the paper (section 2.3)."""
    beta1: Identity[float] = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the mean of the gradients, per step: 0.9 in the paper (section 2.3)."""
    beta2: Identity[float] = Field(0.95, ge=0, lt=1)
    """AdamW's decay of the mean of their squares, per step: 0.95 in the paper (section 2.3)."""
    adam_eps: Identity[float] = Field(1e-8, gt=0)
    """Number that AdamW adds to the divisor. The paper does not say; the default is PyTorch's."""
    weight_decay: Identity[float] = Field(0.1, ge=0)
    """AdamW's weight decay: 0.1 in the paper (section 2.3). It applies to matrices alone; whether it also
    applies to the weights of the norms, the paper does not say."""
    grad_clip: Identity[float] = Field(1.0, gt=0)
    """Largest global norm of the gradients; larger ones are scaled down to it. It is 1.0 in the paper
    (section 2.3)."""
    init_std: Identity[float] = Field(0.02, gt=0)
    """Standard deviation of the initial weights. The paper does not say; the default is GPT-2's."""
    document_mask: Identity[bool] = True
    """Keep attention inside a document when several share a sequence. The paper does not say."""
    precision: Identity[Literal["bf16", "fp32"]] = "bf16"
    """Precision of the matrix products and of the exported weights; parameters, optimizer and reductions are
    float32 in training."""
    seed: Identity[Seed] = 1
    """Seed of the initial weights and of the order of the training text."""

    @property
    def batch_sequences(self) -> int:
        """The number of sequences in a batch, over all processes."""
        return self.global_batch_tokens // self.seq_len

    @property
    def steps(self) -> int:
        """The number of updates in the whole run, at least one."""
        return max(1, self.tokens // self.global_batch_tokens)

    @model_validator(mode="after")
    def _batch_is_whole_sequences(self) -> "Train":
        if self.global_batch_tokens % self.seq_len:
            raise ValueError(
                f"global_batch_tokens {self.global_batch_tokens} must be a multiple of seq_len {self.seq_len}"
            )
        return self


class Evaluate(Section):
    """The evaluation: held-out text, benchmarks, and samples for the report."""

    heldout_bytes: Identity[int] = Field(2_000_000, gt=0)
    """Largest number of bytes of held-out text that is scored for each source."""
    tasks: Identity[list[Literal["hellaswag", "arc_easy"]]] = ["hellaswag", "arc_easy"]
    """Benchmarks that the model is scored on, of those in the paper's section 3.1."""
    data: Execution[Url | None] = None
    """Path or URL of the folder with the benchmarks' files; null: none is run. The address depends on what
    the files hold, not on where they are. Training text is compared with them (corpus.decontaminate)."""
    limit: Identity[int | None] = Field(None, ge=1)
    """Largest number of questions of each benchmark, from the first on; null: all."""
    prompts: Identity[list[Prompt]] = Field(["def main():", "The function returns"], min_length=1)
    """Texts that the model continues for the report."""
    batch_tokens: Execution[int] = Field(8192, gt=0)
    """Number of tokens, padding included, that a process scores in one forward pass."""


class Register(Section):
    """The model's entry in the MLflow registry."""

    model_name: Identity[ModelName | None] = None
    """Name of the registered model; null: `llama-<recipe name>`."""
    alias: Identity[Alias] = "candidate"
    """Alias that points at the version which the run registers."""


class Layout(Section):
    """How a model and its batches are spread over processes."""

    dp_replicate: Execution[int] = Field(1, ge=1)
    """Number of replicas of the sharded model (HSDP). It must divide the number of processes; 1 shards the
    model over all of them (FSDP)."""
    micro_batch: Execution[int] = Field(1, ge=1)
    """Number of sequences that a process takes in one forward pass."""
    activation_checkpointing: Execution[Literal["none", "full"]] = "none"
    """`full`: keep only the input of each block, and compute the rest again in the backward pass. This takes
    less memory and more time."""
    compile: Execution[bool] = False
    """Compile each block and the loss with torch.compile."""
    attention: Execution[Literal["auto", "xformers", "sdpa"]] = "auto"
    """Implementation of attention; `auto` is xformers on CUDA and PyTorch's SDPA elsewhere."""


class Launch(Section):
    """Where training and evaluation run."""

    launcher: Execution[Literal["local", "slurm"]] = "local"
    """What starts the processes: `local` on this machine, or `slurm` on a cluster."""
    nodes: Execution[int] = Field(1, ge=1)
    """Number of machines."""
    procs_per_node: Execution[int] = Field(1, ge=1)
    """Number of processes on each machine, one for each GPU if there are any."""
    device: Execution[Literal["cpu", "cuda"]] = "cpu"
    """Device that each process computes on."""
    time_limit: Execution[TimeLimit] = "24:00:00"
    """Time limit of one Slurm job, such as hours:minutes:seconds or UNLIMITED: any of Slurm's forms. The next
    job goes on from the checkpoint that is saved before the limit."""
    partition: Execution[str | None] = Field(None, pattern=r"^\w[\w.,@+-]*$", max_length=255)
    """Name of the Slurm partition, or several with commas between; null: the cluster's default."""
    max_restarts: Execution[int] = Field(2, ge=0)
    """Number of times that a failed job is started again from its last checkpoint."""

    @property
    def world_size(self) -> int:
        """The number of processes on all nodes."""
        return self.nodes * self.procs_per_node


class RunSection(Section):
    """How a run works: the processes of its data stages, its checkpoints and its log."""

    engine: Execution[Literal["processes", "dask", "ray"]] = "processes"
    """Where the shards of the data stages are worked on: in processes of this machine, or on a cluster."""
    address: Execution[Address | None] = None
    """Address of the Dask scheduler or the Ray cluster; null: one is started on this machine."""
    workers: Execution[int] = Field(2, ge=1, le=10_000)
    """Number of processes of the data stages on this machine."""
    save_every: Execution[int] = Field(1000, ge=1)
    """Number of training steps between two checkpoints."""
    keep: Execution[int] = Field(2, ge=1)
    """Number of checkpoints that are kept besides the newest."""
    log_every: Execution[int] = Field(10, ge=1)
    """Number of training steps between two lines of the log."""

    @model_validator(mode="after")
    def _address_has_an_engine(self) -> "RunSection":
        if self.address and self.engine == "processes":
            raise ValueError(f"run.address {self.address} is of no use without run.engine dask or ray")
        host, colon, port = (self.address or "").rpartition(":")
        is_port = re.fullmatch(r"[0-9]{1,5}", port) is not None and 0 < int(port) < 2**16
        wants_port = self.address and self.engine == "dask" and not self.address.startswith("inproc://")
        if (wants_port or (colon and port[:1].isdigit())) and not (host and is_port):
            raise ValueError(f"run.address {self.address} has no port: write it as host:port")
        return self


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
    """Where training and evaluation run."""
    run: RunSection = RunSection()
    """How the run works."""

    @property
    def model_name(self) -> str:
        """The name of the registered model."""
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
    def _sample_has_bytes_of_each_source(self) -> "Recipe":
        for name, share in self.mixture.items():
            if share > 0 and int(share * self.tokenizer.sample_bytes) < 1:
                raise ValueError(
                    f"tokenizer.sample_bytes {self.tokenizer.sample_bytes} has no byte for "
                    f"mixture.{name} {share:g}"
                )
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
