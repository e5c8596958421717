"""How much of the device's peak a training uses: model FLOPs utilization (MFU), by two formulas.

Both count 6 operations for each parameter and token (Kaplan et al. 2020). For attention `mfu` adds 12 L d s a
token, as PaLM does (Chowdhery et al. 2022, appendix B), which counts each position as if it saw all others;
`mfu_causal` adds 6 L d s, as it sees only the earlier ones. The input embedding is looked up, and not counted
among the parameters; nor do recomputed activations count.
"""

import torch

from llama_core.recipe import Recipe

# Dense operations a second with bf16 inputs, as the makers publish them; the first name that fits is taken.
PEAK = {
    "GB200": 2.5e15,
    "B200": 2.25e15,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
}


def peak_of(device: torch.device, precision: str) -> float | None:
    """Return the peak of a device in operations a second, or None where it is unknown, as that of a CPU is.

    `precision`: as in `train.precision`. Only bf16 has a published peak that applies.
    """
    if device.type != "cuda" or precision != "bf16":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK.items() if part in name), None)


def flops_per_token(recipe: Recipe, vocab_size: int, attention: int = 12) -> float:
    """Return the operations that a token takes in training, forward and backward.

    `attention`: the factor of L d s, 12 for PaLM's formula and 6 where causal attention counts once.
    """
    model = recipe.model
    of_attention = attention * model.n_layers * model.dim * recipe.train.seq_len
    return 6 * (model.n_params(vocab_size) - vocab_size * model.dim) + of_attention


class Utilization:
    """MFU of a training on devices of one kind."""

    def __init__(self, recipe: Recipe, vocab_size: int, peak: float | None):
        self._peak = peak
        self._flops = {
            "mfu": flops_per_token(recipe, vocab_size),
            "mfu_causal": flops_per_token(recipe, vocab_size, 6),
        }

    def at(self, tokens_per_s: float) -> dict[str, float | None]:
        """Return `mfu` and `mfu_causal` at a number of tokens a second and device; None: no peak is known."""
        peak = self._peak
        return {k: round(f * tokens_per_s / peak, 4) if peak else None for k, f in self._flops.items()}
