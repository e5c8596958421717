"""The whole data path over generated text of growing size: is it linear, and what would 5 TB take?

    python -m benchmarks.scale [--gb 0.8 8] [--workers 2] [--folder DIR]

JSONL.zst goes through ingest, line dedup, language, filters, dedup, the corpus, a tokenizer and the token
shards, as the flow `tokens` runs them, in worker processes on a local store. The output is seconds of wall
clock by stage and size, then CPU seconds of all processes and the use of the store, by size. The last line
is JSON: `ratio` is the time per GB at the smallest size over that at the largest: 1 is linear, more is better
than linear. The tokenizer is left out: it trains on a sample of fixed size.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
import zstandard

from benchmarks.count.sitecustomize import COUNTERS
from benchmarks.text import documents

COUNT = Path(__file__).parent / "count"
SHARD_BYTES = 100_000_000
TARGET_GB = 5_000
_STAGE = re.compile(r"  (\w+(?: \w+)?) +([\d.]+) s  ")


@dataclass(frozen=True)
class Measured:
    """The measurements of one run of the flow."""

    gb: float
    """GB of text that the run read."""
    stages: dict[str, float]
    """Wall-clock seconds by stage, as the flow labels it."""
    cpu: float
    """CPU seconds of all processes together."""
    stored: int
    """Bytes in the store after the run."""
    counts: dict[str, int]
    """Operations on the store and their bytes, by the names in COUNTERS."""

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all stages but the tokenizer, which trains on a sample of fixed size."""
        return sum(seconds for stage, seconds in self.stages.items() if stage != "tokenizer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gb", type=float, nargs="+", default=[0.8, 8.0], help="sizes, growing")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="for text and store; kept. Default: a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="llama-scale-"))
    try:
        texts = generate(folder / "text", max(options.gb), options.workers)
        measured = [run(folder, texts, gb, options.workers) for gb in options.gb]
    finally:
        if not options.folder:
            shutil.rmtree(folder)
    show(measured, options.workers)


def generate(folder: Path, gb: float, workers: int) -> list[Path]:
    """Generate `gb` GB of text in files of 100 MB, unless they exist, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"text-{i:04}.jsonl.zst" for i in range(round(gb * 1e9 / SHARD_BYTES))]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_write, [p for p in paths if not p.exists()]))
    return paths


def _write(path: Path) -> None:
    partial_path = path.with_suffix(".part")
    with partial_path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as out:
        for text in documents(SHARD_BYTES, seed=int(path.name[5:9])):
            out.write(json.dumps({"text": text}).encode() + b"\n")
    partial_path.rename(path)


def run(folder: Path, texts: list[Path], gb: float, workers: int) -> Measured:
    """Run the flow `tokens` over the first `gb` GB of the text, on an empty store, and measure it."""
    place = folder / f"run-{gb:g}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    chosen = texts[: round(gb * 1e9 / SHARD_BYTES)]
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe([str(p) for p in chosen], workers)))
    store = place / "store"
    command = [sys.executable, "-m", "flows", str(place / "recipe.yaml"), "--flow", "tokens"]
    counts = place / "counts"
    counts.mkdir()
    counting = {"LLAMA_COUNTS": str(counts), "PYTHONPATH": str(COUNT)}
    before = _cpu()
    done = subprocess.run(
        [*command, "--store", f"file://{store}"],
        env=os.environ | counting | {"LLAMA_HOME": str(place / "home"), "DO_NOT_TRACK": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    stages = {m[1]: float(m[2]) for line in done.stdout.splitlines() if (m := _STAGE.match(line))}
    files = [p for p in store.rglob("*") if p.is_file()]
    print(f"{gb:g} GB: {sum(stages.values()):,.0f} s", file=sys.stderr)
    return Measured(gb, stages, _cpu() - before, sum(p.stat().st_size for p in files), _tally(counts))


def _tally(folder: Path) -> dict[str, int]:
    """Return the sums of what the processes counted (see `benchmarks.count.sitecustomize`)."""
    rows = [np.fromfile(path, "<u8") for path in folder.glob("*.counts")]
    return dict(zip(COUNTERS, np.sum(rows, axis=0).tolist(), strict=True))


def recipe(urls: list[str], workers: int) -> dict[str, object]:
    """Return the recipe of a run over the files `urls`."""
    # The text has English letters and stop words, but its words are made up: a low score is enough.
    clean = {
        "lines": {"shards": len(urls), "group_shards": 50},
        "language": {"keep": ["en"], "min_score": 0.05},
        "filters": {"gopher_repetition": True, "gopher_quality": True, "c4": {}, "fineweb": True},
        "pii": {"email": True, "ip": True},
    }
    return {
        "extends": "micro",
        "name": "scale",
        "corpus": {
            "sources": {"web": {"kind": "files", "urls": urls, "clean": clean}},
            "holdout": [],
            "holdout_fraction": 0.001,
        },
        "mixture": {"web": 1.0},
        "tokenizer": {"vocab_size": 8000, "sample_bytes": 50_000_000},
        "run": {"workers": workers},
    }


def _cpu() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(measured: list[Measured], workers: int) -> None:
    """Print the measurements, what 5 TB would take at the rates of the largest size, and the JSON."""
    small, large = measured[0], measured[-1]
    sizes = "".join(f"{m.gb:>9g} GB" for m in measured)
    print(f"{'stage':<16}{sizes}   (wall seconds, {workers} workers)")
    for stage in large.stages:
        print(f"{stage:<16}" + "".join(f"{m.stages.get(stage, 0):>12.1f}" for m in measured))
    rows = {
        "seconds a GB": [m.seconds / m.gb for m in measured],
        "CPU seconds a GB": [m.cpu / m.gb for m in measured],
        "GB stored a GB": [m.stored / m.gb / 1e9 for m in measured],
        "store reads a GB": [m.counts["reads"] / m.gb for m in measured],
        "store writes a GB": [m.counts["writes"] / m.gb for m in measured],
        "GB shuffled a GB": [m.counts["bytes_shuffled"] / m.gb / 1e9 for m in measured],
    }
    for name, values in rows.items():
        print(f"{name:<16}" + "".join(f"{value:>12.2f}" for value in values))
    per_gb = {name: values[-1] for name, values in rows.items()}
    print(
        f"5 TB at these rates, in shards of {SHARD_BYTES / 1e6:.0f} MB: "
        f"{per_gb['CPU seconds a GB'] * TARGET_GB / 3600:,.0f} core-hours, "
        f"{per_gb['store reads a GB'] * TARGET_GB / 1e6:,.1f} M reads and "
        f"{per_gb['store writes a GB'] * TARGET_GB / 1e6:,.1f} M writes of the store, "
        f"{per_gb['GB shuffled a GB'] * TARGET_GB / 1e3:,.2f} TB of keys shuffled, "
        f"{per_gb['GB stored a GB'] * TARGET_GB / 1e3:,.1f} TB stored"
    )
    results = [
        {
            "what": f"{name} at {large.gb:g} GB against {small.gb:g} GB",
            "ours": round(values[-1], 3),
            "peer": "linear",
            "theirs": round(values[0], 3),
            "ratio": round(values[0] / values[-1], 3),
            "unit": name,
        }
        for name, values in list(rows.items())[:2]
    ]
    print(json.dumps({"name": "scale", "results": results}))


if __name__ == "__main__":
    main()
