"""torchtitan's side of `benchmarks.train`: its Trainer and its Llama 3 model, in a Python that has it.

It is the real `torchtitan.trainer.Trainer` of the released wheel: its model with as many keys and values as
heads, its `parallelize_llama` (each block compiled, FSDP2 for the precision), its compiled loss, its fused
AdamW, its `train` and `train_step`. Activation checkpointing, which its recipes turn on, is off, as on our
side. Only the data and the device are ours: batches of random ids, and a CPU, which torchtitan does not know
as a device. Its attention is its `ScaledDotProductAttention`, because the two that its language models choose
among (flex and varlen) have no backward pass on a CPU; on CUDA it tries cuDNN and then flash attention.
"""

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from benchmarks.train_turns import Setting, Turns, micro_batches

MANY = 100_000  # steps; the benchmark ends the training long before


def main() -> None:
    """Train as the benchmark asks."""
    setting = Setting.from_arguments()
    turns = Turns(setting)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(
        RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    if setting.device == "cpu":
        _know_the_cpu()
    from torchtitan.trainer import Trainer

    class TakeTurns(Trainer):
        """torchtitan's trainer, which waits for this process's turn before each step."""

        def train_step(self, data_iterator: Iterator[Any]) -> None:
            turns.next_step()
            super().train_step(data_iterator)

    with tempfile.TemporaryDirectory() as folder:
        trainer = TakeTurns(_config(TakeTurns, setting, folder))
        turns.built(sum(p.numel() for p in trainer.model_parts[0].parameters()))
        trainer.train()


def _know_the_cpu() -> None:
    """Tell torchtitan that the device is the CPU. Its memory is not watched."""
    import torch._utils

    torch._utils._get_available_device_type = lambda: "cpu"
    from torchtitan.components import metrics
    from torchtitan.distributed import utils

    nothing = metrics.DeviceMemStats(0, 0, 0, 0, 0, 0)
    metrics.build_device_memory_monitor = lambda: SimpleNamespace(
        device_name="CPU", get_peak_stats=lambda: nothing, reset_peak_stats=lambda: None
    )
    utils.set_pg_timeouts = lambda **others: None  # its barrier wants the number of a GPU


def _config(trainer: Any, setting: Setting, folder: str) -> Any:
    """Return the trainer's settings: those of torchtitan's Llama 3 recipes, but for what `setting` says."""
    from torchtitan.components.dataloader import BaseDataLoader
    from torchtitan.components.loss import CrossEntropyLoss
    from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw
    from torchtitan.components.tokenizer import BaseTokenizer
    from torchtitan.config.configs import CompileConfig, TrainingConfig

    class Batches(BaseDataLoader):
        """The benchmark's batches."""

        @dataclass(kw_only=True, slots=True)
        class Config(BaseDataLoader.Config):
            pass

        def __init__(self, config: Any, **others: Any):
            pass

        def __iter__(self) -> Iterator[Any]:
            for tokens in micro_batches(setting):
                yield {"input": tokens[:, :-1].contiguous()}, tokens[:, 1:].contiguous()

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            pass

    class NoTokenizer(BaseTokenizer):
        """Stands where a trainer wants a tokenizer: the batches are tokens already."""

        @dataclass(kw_only=True, slots=True)
        class Config(BaseTokenizer.Config):
            pass

        def __init__(self, config: Any, **others: Any):
            super().__init__()

        def encode(self, *args: Any, **others: Any) -> list[int]:
            raise NotImplementedError

        def decode(self, *args: Any, **others: Any) -> str:
            raise NotImplementedError

        def get_vocab_size(self) -> int:
            return setting.vocab

    half = setting.precision != "fp32"
    return trainer.Config(
        model_spec=_model(setting),
        dump_folder=folder,
        dataloader=Batches.Config(),
        tokenizer=NoTokenizer.Config(),
        loss=CrossEntropyLoss.Config(global_vocab_size=setting.vocab),
        optimizer=default_adamw(
            setting.lr, betas=(setting.beta1, setting.beta2), weight_decay=setting.weight_decay
        ),
        lr_scheduler=LRSchedulersContainer.Config(warmup_steps=100, decay_type="cosine", min_lr_factor=0.1),
        training=TrainingConfig(
            local_batch_size=setting.micro_batch,
            global_batch_size=setting.batch,
            seq_len=setting.seq_len,
            max_norm=setting.grad_clip,
            steps=MANY,
            mixed_precision_param="bfloat16" if half else "float32",
            disable_cuda_graphs=setting.device == "cpu",
        ),
        activation_checkpoint=None,
        compile=CompileConfig(enable=setting.compile),
    )


def _model(setting: Setting) -> Any:
    """Return torchtitan's Llama 3 in the shape of the setting, with the angles of LLaMA."""
    from torchtitan.models import llama3
    from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
    from torchtitan.models.common.attention import ScaledDotProductAttention

    llama3.get_attention_config = lambda backend: ScaledDotProductAttention.Config()
    norm = {"param_init": llama3._NORM_INIT, "normalized_shape": setting.dim, "eps": setting.norm_eps}
    config = llama3.Llama3Model.Config(
        dim=setting.dim,
        vocab_size=setting.vocab,
        tok_embeddings=Embedding.Config(
            num_embeddings=setting.vocab, embedding_dim=setting.dim, param_init=llama3._EMBEDDING_INIT
        ),
        norm=RMSNorm.Config(**norm),
        lm_head=Linear.Config(
            in_features=setting.dim,
            out_features=setting.vocab,
            param_init=llama3._output_linear_init(setting.dim),
        ),
        layers=llama3._build_llama3_layers(
            n_layers=setting.n_layers,
            dim=setting.dim,
            n_heads=setting.n_heads,
            hidden_dim=setting.ffn_dim,
            rope=ComplexRoPE.Config(
                dim=setting.dim // setting.n_heads, max_seq_len=setting.seq_len, theta=setting.rope_theta
            ),
            attn_backend="sdpa",
        ),
    )
    llama3.llama3_configs["benchmark"] = lambda **others: config
    converters = None
    if setting.precision == "float8":
        from torchtitan.components.quantization.float8 import Float8LinearConverter

        converters = [
            Float8LinearConverter.Config(filter_fqns=["lm_head"], model_compile_enabled=setting.compile)
        ]
    return llama3.model_registry("benchmark", converters=converters)


if __name__ == "__main__":
    main()
