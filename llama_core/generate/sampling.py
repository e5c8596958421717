"""What may be asked of the engine. It is here so that wrong values are found before torch is imported."""

from llama_core.errors import InputError

LARGEST_SEED = 2**63 - 1


def check_sampling(max_new_tokens: int, temperature: float, top_p: float, seed: int) -> None:
    """Raise InputError, which names the value and what is allowed, unless `generate` can work with these."""
    if max_new_tokens < 1:
        raise InputError(f"the number of new tokens is {max_new_tokens}: give 1 or more")
    if not 0 <= temperature < float("inf"):
        raise InputError(f"the temperature is {temperature}: give 0 (always the most likely token) or more")
    if not 0 < top_p <= 1:
        raise InputError(f"top-p is {top_p}: give more than 0, and at most 1")
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed is {seed}: give 0 or more, at most {LARGEST_SEED}")
