"""transformers' side of `benchmarks.train`: its LlamaForCausalLM under its Trainer, in a process of its own.

It is the real `transformers.Trainer` with the settings that it has by default for a training in bf16 with
`torch_compile`: accelerate's autocast, the whole model compiled, SDPA, `adamw_torch_fused`, clipping, cosine.
A callback tells when a step ends; the time of a step is all that the Trainer does between two of them.
"""

import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.train_turns import Setting, Turns, micro_batches

MANY = 100_000  # steps; the benchmark ends the training long before


class Sequences(IterableDataset):
    """The sequences of the batches, one by one."""

    def __init__(self, setting: Setting):
        self._setting = setting

    def __iter__(self) -> Iterator[Tensor]:
        for tokens in micro_batches(self._setting):
            yield from tokens


class TakeTurns(TrainerCallback):
    """Waits for this process's turn before the first step and after each one."""

    def __init__(self, turns: Turns):
        self._turns = turns

    def on_train_begin(self, *args: Any, **others: Any) -> None:
        """Wait for the first turn."""
        self._turns.next_step()

    def on_step_end(self, *args: Any, **others: Any) -> None:
        """Tell that a step has ended, with the deletion of its gradients."""
        self._turns.next_step()


def collate(sequences: list[Tensor]) -> dict[str, Tensor]:
    """Return inputs and targets, int64 (B, S). The targets are shifted already, as ours are."""
    tokens = torch.stack(sequences)
    targets = tokens[:, 1:].contiguous()
    return {"input_ids": tokens[:, :-1].contiguous(), "labels": targets, "shift_labels": targets}


def main() -> None:
    """Train as the benchmark asks."""
    setting = Setting.from_arguments()
    turns = Turns(setting)
    config = LlamaConfig(
        vocab_size=setting.vocab, hidden_size=setting.dim, intermediate_size=setting.ffn_dim,
        num_hidden_layers=setting.n_layers, num_attention_heads=setting.n_heads,
        max_position_embeddings=setting.seq_len, rms_norm_eps=setting.norm_eps, use_cache=False,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": setting.rope_theta},
    )  # fmt: skip
    with torch.device(setting.device):
        model = LlamaForCausalLM(config)
    turns.built(sum(p.numel() for p in model.parameters()))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=MANY, per_device_train_batch_size=setting.micro_batch,
            gradient_accumulation_steps=setting.batch // setting.micro_batch,
            bf16=setting.precision == "bf16", torch_compile=setting.compile, learning_rate=setting.lr,
            adam_beta1=setting.beta1, adam_beta2=setting.beta2, weight_decay=setting.weight_decay,
            max_grad_norm=setting.grad_clip, lr_scheduler_type="cosine", warmup_steps=100,
            use_cpu=setting.device == "cpu", save_strategy="no", report_to="none", disable_tqdm=True,
            remove_unused_columns=False, dataloader_pin_memory=setting.device == "cuda",
        )  # fmt: skip
        trainer = Trainer(model, arguments, collate, Sequences(setting), callbacks=[TakeTurns(turns)])
        trainer.train()


if __name__ == "__main__":
    main()
