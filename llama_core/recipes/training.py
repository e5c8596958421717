"""The sections of a recipe that say what is trained, and how: `model` and `train`."""

from typing import Literal

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
    float8: Identity[Literal["none", "tensorwise", "rowwise"]] = "none"
    """Matrix products of the blocks in float8 by torchao (the extra `float8`), with one scale for each tensor
    or for each row; they need `precision: bf16` and a Hopper or newer GPU. The paper used none."""
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
    def _float8_has_bf16(self) -> "Train":
        if self.float8 != "none" and self.precision != "bf16":
            raise ValueError(f"float8 {self.float8} needs precision bf16, not {self.precision}")
        return self

    @model_validator(mode="after")
    def _batch_is_whole_sequences(self) -> "Train":
        if self.global_batch_tokens % self.seq_len:
            raise ValueError(
                f"global_batch_tokens {self.global_batch_tokens} must be a multiple of seq_len {self.seq_len}"
            )
        return self
