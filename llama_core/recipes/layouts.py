"""Which layouts a recipe's processes, model and batches allow, and which are near one that they do not."""

import math
from collections.abc import Callable

from llama_core.recipes.running import Launch, Layout
from llama_core.recipes.training import Model, Train

SEARCH = 10_000  # numbers that are looked at on either side of one that does not work


def check(layout: Layout, launch: Launch, model: Model, train: Train, vocab_size: int) -> None:
    """Check that a layout can be had. Raises ValueError, with the numbers and the nearest ones that can."""
    _check_options(layout, launch)
    _check_tp(layout.tp, model, vocab_size)
    _check_pp(layout, model.n_layers)
    _check_sequence(layout, train.seq_len)
    _check_world(layout, launch.world_size)
    _check_batches(layout, launch.world_size, train.batches)


def _check_options(layout: Layout, launch: Launch) -> None:
    """Refuse options that would have no effect."""
    for name in ("loss_parallel", "async_tp"):
        if getattr(layout, name) and layout.tp == 1:
            raise ValueError(f"layout.{name} is of no use with layout.tp 1: raise that, or set it to false")
    if layout.pp_schedule != "1f1b" and layout.pp == 1:
        raise ValueError(
            f"layout.pp_schedule {layout.pp_schedule} is of no use with layout.pp 1: raise that, or remove it"
        )
    if layout.async_tp and launch.device != "cuda":
        raise ValueError(
            f"layout.async_tp needs GPUs, and launch.device is {launch.device}: set layout.async_tp to false"
        )
    if layout.async_tp and not layout.compile:
        raise ValueError("layout.async_tp is made by the compiler: set layout.compile to true as well")


def _check_world(layout: Layout, world: int) -> None:
    names = ("pp", "dp_replicate", "cp", "tp")
    sizes = {name: getattr(layout, name) for name in names}
    product = math.prod(sizes.values())
    if world % product == 0:
        return
    said = " x ".join(f"layout.{name} {size}" for name, size in sizes.items() if size > 1)
    said += f" = {product}" if said.count("layout") > 1 else ""
    ways = []
    for name, size in sizes.items():
        rest, odd = divmod(world, product // size)
        if size > 1 and not odd:
            ways.append(f"layout.{name} {_either(near(size, rest, _divides(rest)))}")
    multiples = [n for n in (world // product * product, (world // product + 1) * product) if n]
    ways.append(f"{_either(multiples)} processes")
    raise ValueError(f"{said} does not divide {world} processes: {', or '.join(ways)} would do")


def _check_tp(tp: int, model: Model, vocab_size: int) -> None:
    shared = {
        "heads (model.n_heads)": model.n_heads,
        "hidden units of a feed-forward layer (model.multiple_of)": model.ffn_dim,
        "pieces (tokenizer.vocab_size)": vocab_size,
    }
    for name, size in shared.items():
        if size % tp:
            works = near(tp, model.n_heads, _divides(math.gcd(*shared.values())))
            raise ValueError(f"layout.tp {tp} does not divide {size} {name}: {_do(works)}")


def _check_pp(layout: Layout, n_layers: int) -> None:
    pp, stages = layout.pp, layout.n_stages
    if n_layers % pp:
        works = near(pp, n_layers, _divides(n_layers))
        raise ValueError(f"layout.pp {pp} does not divide {n_layers} blocks (model.n_layers): {_do(works)}")
    if n_layers < stages:
        raise ValueError(
            f"layout.pp {pp} with layout.pp_schedule {layout.pp_schedule} makes {stages} stages of "
            f"{n_layers} blocks (model.n_layers): 1f1b makes half as many"
        )


def _check_sequence(layout: Layout, seq_len: int) -> None:
    """Check that the cp processes have two whole chunks each, and the tp processes whole parts of them."""
    tp, cp = layout.tp, layout.cp

    def works(tp: int, cp: int) -> bool:
        return seq_len % (2 * cp if cp > 1 else 1) == 0 and seq_len // cp % tp == 0

    if works(tp, cp):
        return
    if not works(1, cp):
        fitting = near(cp, seq_len, lambda n: works(1, n))
        raise ValueError(
            f"layout.cp {cp} does not cut train.seq_len {seq_len} into {2 * cp} equal chunks: {_do(fitting)}"
        )
    fitting = near(tp, seq_len, lambda n: works(n, cp))
    a_process = f" / layout.cp {cp}" if cp > 1 else ""
    raise ValueError(f"layout.tp {tp} does not divide train.seq_len {seq_len}{a_process}: {_do(fitting)}")


def _check_batches(layout: Layout, world: int, batches: list[int]) -> None:
    """Check that every batch of the ramp divides. `batches`: their numbers of sequences."""
    others = layout.pp * layout.cp * layout.tp
    data, common = world // others, math.gcd(*batches)
    if wrong := [sequences for sequences in batches if sequences % data]:
        fitting = [others * n for n in near(data, common, _divides(common))]
        raise ValueError(
            f"a batch of {wrong[0]} sequences does not divide over {data} data-parallel processes "
            f"({world} in all): {_either(fitting)} in all would do"
        )
    if wrong := [sequences for sequences in batches if sequences // data % layout.micro_batch]:
        fitting = near(layout.micro_batch, common // data, _divides(common // data))
        raise ValueError(
            f"a batch of {wrong[0]} sequences does not divide over {data} processes x layout.micro_batch "
            f"{layout.micro_batch}: {_do(fitting)}"
        )
    # What one turn of the schedule takes; without a pipeline, anything.
    turn = layout.n_stages if layout.pp_schedule == "zbv_zero_bubble" else layout.pp

    def fills(micro_batch: int) -> bool:
        return all(sequences // data % (micro_batch * turn) == 0 for sequences in batches)

    if not fills(layout.micro_batch):
        if not fills(1):
            raise ValueError(
                f"{common // data} sequences a data-parallel process are not a multiple of {turn}, which "
                f"layout.pp {layout.pp} with layout.pp_schedule {layout.pp_schedule} takes at once: lower pp"
            )
        raise ValueError(
            f"{common // data} sequences a data-parallel process in micro-batches of layout.micro_batch "
            f"{layout.micro_batch} are not a multiple of {turn} micro-batches, which layout.pp {layout.pp} "
            f"with layout.pp_schedule {layout.pp_schedule} takes at once: "
            f"{_do(near(layout.micro_batch, common // data, fills))}"
        )


def near(wanted: int, most: int, works: Callable[[int], bool]) -> list[int]:
    """Return the next smaller and the next larger number that works, from 1 to `most`, of those there are.

    1 always works. The search ends far from `wanted`, since a recipe may hold any number.
    """
    below = min(wanted - 1, most)
    smaller = next((n for n in range(below, max(0, below - SEARCH), -1) if works(n)), min(1, below))
    larger = next((n for n in range(wanted + 1, min(most, wanted + SEARCH) + 1) if works(n)), 0)
    return [n for n in (smaller, larger) if n]


def _divides(number: int) -> Callable[[int], bool]:
    return lambda n: number % n == 0


def _either(numbers: list[int]) -> str:
    return " or ".join(map(str, numbers))


def _do(numbers: list[int]) -> str:
    return f"{_either(numbers)} {'do' if len(numbers) > 1 else 'does'}"
