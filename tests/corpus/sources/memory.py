"""The memory that a source needs to read a file, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_READ = """
import collections, importlib, json, pathlib, sys
kind, url, fields = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
from pydantic import TypeAdapter
from llama_core.corpus.recipe import Source
from llama_core.corpus.sources.raw import raw_file
module = importlib.import_module(f"llama_core.corpus.sources.{kind}")
source = TypeAdapter(Source).validate_python({"kind": kind, "urls": [url], **fields})
def peak():  # not ru_maxrss, which begins with that of the process that started this one
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
before = peak()
found = collections.Counter()
for outcome in module.read("web", source, raw_file(source, url)):
    name = next((getattr(outcome, n) for n in ("error", "reason", "kind") if hasattr(outcome, n)), "document")
    found[name] += 1
print(json.dumps([found, before * 1024, peak() * 1024]))
"""


def read_apart(kind: str, path: Path, **fields: Any) -> tuple[dict[str, int], int, int]:
    """Count outcomes by name; return that, and the peak resident bytes before and after reading."""
    command = [sys.executable, "-c", _READ, kind, f"file://{path}", json.dumps(fields)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    found, before, after = json.loads(done.stdout.splitlines()[-1])
    return found, before, after
