"""An export is served by what others use: `transformers serve` answers with our text."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pipeline import Pipeline, environment
from system.ceph import free_port

from llama_core.export.pyfunc_model import SUMS
from llama_core.generate.engine import Engine, Sampling
from llama_core.generate.load import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROMPTS = ("def main(args):\n", "The", "import os\nimport sys\n\n\nclass Reader")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has no network."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--device", "cpu"]
    env = environment() | {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=env,
            stdout=log,
            stderr=log,
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while not _is_healthy(url):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.3)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def test_transformers_serve_completes_a_prompt_as_our_engine_does(served: str, micro: Pipeline) -> None:
    export = micro.artifact("export")
    folder = export.store.path(export.shard("model").object(f"/{SUMS}").name.rpartition("/")[0])
    engine = Engine(*load(export.url))
    for prompt in PROMPTS:
        body = {"model": folder, "prompt": prompt, "max_tokens": 30, "temperature": 0}
        answer = httpx.post(f"{served}/v1/completions", json=body, timeout=120)
        assert answer.is_success, answer.text
        [ours] = engine.complete([prompt], Sampling(max_new_tokens=30, temperature=0.0))
        # It decodes the new tokens by themselves, and of a text's first piece that drops a space.
        assert answer.json()["choices"][0]["text"] == ours.removeprefix(" ")
