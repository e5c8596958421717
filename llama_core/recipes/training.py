"""The sections of a recipe that say what is trained, and how: `model` and `train`."""

import itertools
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from llama_core.section import Identity, Section, Seed


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
    """Number that RMSNorm adds to the mean square. The paper does not say; the default is that of the
    `params.json` of the released 7B, 13B and 33B. For 65B, copies of it disagree: some have 1e-5."""
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


class StartFrom(Section):
    """A checkpoint of another training on the same store, which may be unfinished or have diverged.

    A training that starts from it saves it as its own first checkpoint, before its first step. Until then the
    other training must keep it (see `run.keep`); afterwards that may be deleted.
    """

    step: Identity[str] = Field(pattern=r"^train/[0-9a-f]{16}$")
    """Folder of the other training on the store, train/ID."""
    at: Identity[int] = Field(ge=0)
    """Number of steps after which the checkpoint was saved."""
    optimizer: Identity[bool] = True
    """Take the moments of the optimizer, too; otherwise they start as zeros."""
    anew: Identity[bool] = False
    """Count steps and tokens, and read the data, from the start. Otherwise both go on from the checkpoint, as
    one wants after a spike of the loss: then the tokens, the mixture, `seq_len`, `seed` and all batches
    before it must be those of the other training, and `train.tokens` counts what that has seen."""

    @property
    def checkpoint(self) -> str:
        """The checkpoint as lineage names it, train/ID@step."""
        return f"{self.step}@{self.at}"


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
    batch_ramp: Identity[list[list[int]]] = []
    """Smaller batches at the start, after Brown et al. 2020 (appendix B): pairs of a number of tokens and a
    size in tokens. Batches have the size until the model has seen that many tokens, and those after the last
    pair have `global_batch_tokens`. So [[1_000_000_000, 1_048_576]] makes batches of 1M tokens out of the
    first billion. The paper says nothing of a ramp."""
    lr: Identity[float] = Field(gt=0)
    """Peak learning rate: 3.0e-4 for 7B and 13B, 1.5e-4 for 33B and 65B (Table 2)."""
    min_lr_ratio: Identity[float] = Field(0.1, ge=0, le=1)
    """Share of the peak learning rate at which the schedule ends: 0.1 in the paper (section 2.3)."""
    warmup_steps: Identity[int] = Field(2000, ge=0)
    """Number of steps in which the learning rate rises to its peak: 2,000 in the paper (section 2.3)."""
    schedule: Identity[Literal["cosine", "wsd"]] = "cosine"
    """How the learning rate falls after its warm-up, by the tokens that the model has seen: as a `cosine` to
    the end, as in the paper (section 2.3), or not before the end, `wsd`: warm-up, stable, decay (Hu et al.
    2024). A training whose rate is stable can go on with more tokens (see `start_from`)."""
    decay_tokens: Identity[int | None] = Field(None, gt=0)
    """Number of tokens, the last ones, in which `wsd` lets the learning rate fall; null: a tenth of the
    training's, as Hu et al. 2024 find enough."""
    decay_shape: Identity[Literal["1-sqrt", "linear"]] = "1-sqrt"
    """How the learning rate falls there: as one minus the root of the share that is done, which Haegele et
    al. 2024 find best, or linearly."""
    beta1: Identity[float] = Field(0.9, ge=0, lt=1)
    """AdamW's decay of the mean of the gradients, per step: 0.9 in the paper (section 2.3)."""
    beta2: Identity[float] = Field(0.95, ge=0, lt=1)
    """AdamW's decay of the mean of their squares, per step: 0.95 in the paper (section 2.3)."""
    adam_eps: Identity[float] = Field(1e-8, gt=0)
    """Number that AdamW adds to the divisor. The paper does not say; the default is PyTorch's, and GPT-3's
    (Brown et al. 2020, appendix B)."""
    weight_decay: Identity[float] = Field(0.1, ge=0)
    """AdamW's weight decay: 0.1 in the paper (section 2.3). It applies to matrices alone; whether it also
    applies to the weights of the norms, the paper does not say."""
    grad_clip: Identity[float] = Field(1.0, gt=0)
    """Largest global norm of the gradients; larger ones are scaled down to it. It is 1.0 in the paper
    (section 2.3)."""
    spike_norm: Identity[float | None] = Field(10.0, gt=1)
    """A step makes no update if the norm of its gradients, before they are clipped, is more than so many
    times the rolling mean of the updates before it; null: however large it is. One that is not finite never
    makes one."""
    spike_loss: Identity[float | None] = Field(10.0, gt=1)
    """A step makes no update if its loss is above the rolling mean by more than so many times what the loss
    changes from one update to the next, by the rolling mean, or so many hundredths of the loss where it
    changes less; null: however large it is."""
    spike_window: Identity[int] = Field(100, ge=1)
    """Number of updates of these rolling means, and of those at the start that are not compared with them."""
    most_skipped: Identity[int] = Field(10, ge=0)
    """Number of steps in a row that may make no update. After one more, the training goes back to a
    checkpoint before the first of them, and passes over the batches around them (Chowdhery et al. 2022,
    section 5.1)."""
    spike_margin: Identity[int] = Field(100, ge=0)
    """Number of batches before those of such steps that are passed over with them, and the least number of
    steps from the checkpoint to them, where there is one so old: PaLM went back some 100 steps, and passed
    over 200 to 500 batches in all."""
    most_returns: Identity[int] = Field(3, ge=0)
    """Number of times that a training goes back in this way; the next time, the run ends."""
    init_std: Identity[float] = Field(0.02, gt=0)
    """Standard deviation of the initial weights. The paper does not say; the default is GPT-2's."""
    document_mask: Identity[bool] = True
    """Keep attention inside a document when several share a sequence. The paper does not say."""
    precision: Identity[Literal["bf16", "fp32"]] = "bf16"
    """Precision of the matrix products and of the exported weights; parameters, optimizer and reductions are
    float32 in training."""
    float8: Identity[Literal["none", "tensorwise", "rowwise"]] = "none"
    """Matrix products of the blocks in float8 by torchao (the extra `float8`), with one scale for each tensor
    or for each row; they need `precision: bf16` and a Hopper or newer GPU. The paper used none."""
    seed: Identity[Seed] = 1
    """Seed of the initial weights and of the order of the training text."""
    start_from: Identity[StartFrom | None] = None
    """Checkpoint of another training that this one starts from, for another learning rate after a spike, for
    more tokens, or on other data; null: from weights drawn by `seed`."""
    imported: Identity[str | None] = Field(None, pattern=r"^train/[0-9a-f]{16}$")
    """Folder on the store, train/ID, of an imported model, which is taken instead of training one, to be
    evaluated and registered; null: one is trained."""

    @property
    def batch_sequences(self) -> int:
        """The number of sequences in a batch, over all processes, once the ramp is over."""
        return self.global_batch_tokens // self.seq_len

    @property
    def batches(self) -> list[int]:
        """Every number of sequences that a batch may have, over all processes, in the order of the ramp."""
        return [stage.size for stage in self._stages()]

    @property
    def steps(self) -> int:
        """The number of updates in the whole run, at least one."""
        last = self._stages()[-1]
        left = self.tokens - last.sequences * self.seq_len
        return max(1, last.steps + left // self.global_batch_tokens)

    def sequences_before(self, step: int) -> int:
        """Return the number of sequences in all batches before that of update `step` (1 is the first)."""
        stage = self._stage_of(step)
        return stage.sequences + (step - 1 - stage.steps) * stage.size

    def sequences_at(self, step: int) -> int:
        """Return the number of sequences in the batch of update `step` (1 is the first)."""
        return self._stage_of(step).size

    def tokens_before(self, step: int) -> int:
        """Return the number of tokens that the model has seen before update `step` (1 is the first)."""
        return self.sequences_before(step) * self.seq_len

    def tokens_at(self, step: int) -> int:
        """Return the number of tokens in the batch of update `step` (1 is the first)."""
        return self.sequences_at(step) * self.seq_len

    @property
    def tokens_of_decay(self) -> int:
        """The number of tokens, the last ones, in which `wsd` lets the learning rate fall."""
        return self.decay_tokens or max(1, self.tokens_before(self.steps + 1) // 10)

    def _stages(self) -> list["_Stage"]:
        """Return the stages of the ramp, and what comes after it."""
        stages, steps, sequences = [], 0, 0
        for until, size in ((until, tokens // self.seq_len) for until, tokens in self.batch_ramp):
            stages.append(_Stage(steps, sequences, size))
            more = -(-(until - sequences * self.seq_len) // (size * self.seq_len))
            steps, sequences = steps + more, sequences + more * size
        return [*stages, _Stage(steps, sequences, self.batch_sequences)]

    def _stage_of(self, step: int) -> "_Stage":
        return next(stage for stage in reversed(self._stages()) if stage.steps < step)

    @model_validator(mode="after")
    def _float8_has_bf16(self) -> "Train":
        if self.float8 != "none" and self.precision != "bf16":
            raise ValueError(f"float8 {self.float8} needs precision bf16, not {self.precision}")
        return self

    @model_validator(mode="after")
    def _batches_are_whole_sequences_and_grow(self) -> "Train":
        if wrong := [pair for pair in self.batch_ramp if len(pair) != 2 or min(pair) < 1]:
            raise ValueError(f"batch_ramp: {wrong[0]} is no pair of tokens and of the size of a batch")
        sizes = [("batch_ramp", size) for _, size in self.batch_ramp]
        for key, size in [*sizes, ("global_batch_tokens", self.global_batch_tokens)]:
            if size % self.seq_len:
                raise ValueError(f"{key} {size} must be a multiple of seq_len {self.seq_len}")
        if any(a >= b for a, b in itertools.pairwise(self.batches)):
            raise ValueError(
                "batch_ramp: each size must be larger than the one before, and all be smaller "
                f"than global_batch_tokens {self.global_batch_tokens}"
            )
        starts = [stage.steps for stage in self._stages()]
        if any(a >= b for a, b in itertools.pairwise(starts)):
            raise ValueError(
                "batch_ramp: each number of tokens must be larger than what the batches before it add up to"
            )
        if self.batch_ramp and self.steps <= starts[-1]:
            raise ValueError(
                f"batch_ramp: {self.tokens} tokens leave no batch after it: set train.tokens higher"
            )
        return self

    @model_validator(mode="after")
    def _decay_has_its_tokens(self) -> "Train":
        if self.schedule == "cosine":
            if self.decay_tokens is not None or self.decay_shape != "1-sqrt":
                raise ValueError("decay_tokens and decay_shape are of no use without schedule: wsd")
        elif (most := self.tokens_before(self.steps + 1) - self.tokens_before(self.warmup_steps + 1)) < (
            wanted := self.tokens_of_decay
        ):
            raise ValueError(
                f"decay_tokens {wanted} do not fit: after warmup_steps {self.warmup_steps} there are "
                f"{max(0, most)} tokens"
            )
        return self

    @model_validator(mode="after")
    def _something_is_left_to_train(self) -> "Train":
        start = self.start_from
        if start and not start.anew and start.at >= self.steps:
            raise ValueError(
                f"start_from.at {start.at} leaves nothing of {self.steps} steps: set train.tokens higher, or "
                "start_from.anew to count from the start"
            )
        return self


class _Stage(NamedTuple):
    """A part of a training in which all batches have one size."""

    steps: int
    """The number of updates before it."""
    sequences: int
    """The number of sequences before it."""
    size: int
    """The number of sequences in each of its batches."""
