"""The memory that a source needs to read files, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_READ = """
import collections, importlib, json, pathlib, sys
kind, fields, *urls = sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:]
from pydantic import TypeAdapter
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.raw import raw_file
module = importlib.import_module(f"llama_core.corpus.sources.{kind}")
source = TypeAdapter(Source).validate_python({"kind": kind, "urls": urls, **fields})
def peak():  # not ru_maxrss, which begins with that of the process that started this one
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
before = peak()
found = [collections.Counter() for url in urls]
for url, counts in zip(urls, found):
    for outcome in module.read("web", source, raw_file(source, url)):
        kinds = (getattr(outcome, n) for n in ("error", "reason", "kind") if hasattr(outcome, n))
        counts[next(kinds, "document")] += 1
print(json.dumps([found, (peak() - before) * 1024]))
"""


def read_apart(kind: str, *paths: Path, **fields: Any) -> tuple[list[dict[str, int]], int]:
    """Read files one after another: the outcomes of each by name, and by how many bytes the peak grew."""
    command = [sys.executable, "-c", _READ, kind, json.dumps(fields), *(f"file://{path}" for path in paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    found, grown = json.loads(done.stdout.splitlines()[-1])
    return found, grown
