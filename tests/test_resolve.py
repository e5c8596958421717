"""What people call a model by: paths and URLs as they are, names of a registry by who offers to find them."""

import subprocess
import sys
from pathlib import Path

import pytest
from pipeline import ROOT

from llama_core.errors import InputError
from llama_core.resolve import resolve

PLAIN = (
    "var/store",
    "/a b/models:/x",
    "./models:x",
    "s3://bucket/export/0123",
    "file:///a%20b",
    "hf://x/y",
    "",
)


@pytest.mark.parametrize("text", PLAIN)
def test_a_path_or_a_url_is_what_it_is(text: str) -> None:
    assert resolve(text) == text


def installed(site: Path, points: str) -> None:
    """Make a folder in which this project counts as installed, with these entry points."""
    info = site / "llama_pretrain-0.1.0.dist-info"  # it hides one that is really installed
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llama-pretrain\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(points)


def said(site: Path, name: str, before: str = "") -> str:
    """What a fresh Python, where only `site` says what is installed, prints of a name."""
    program = f"""
import sys
sys.path[:0] = [{str(site)!r}, {str(ROOT)!r}]
{before}
from llama_core.resolve import resolve
try:
    print(resolve({name!r}))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=site, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_whoever_offers_a_scheme_finds_its_names(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        "def find(name):\n    return 's3://bucket/' + name.partition(':')[2]\n"
    )
    installed(tmp_path, "[llama_core.names]\nzoo = theirs:find\n")
    assert said(tmp_path, "zoo:lion") == "s3://bucket/lion"
    assert said(tmp_path, "zoo") == "zoo"


def test_without_the_pipeline_the_error_says_what_to_install(tmp_path: Path) -> None:
    advice = "pip install 'llama-pretrain[pipeline]'"
    installed(tmp_path / "none", "")
    found = said(tmp_path / "none", "models:/llama-tiny@candidate")
    assert found.startswith("InputError to find models:/llama-tiny@candidate, ") and advice in found
    installed(tmp_path / "bare", "[llama_core.names]\nmodels = tasks.registry.names:resolve\n")
    found = said(tmp_path / "bare", "models:/llama-tiny/3", "sys.modules['mlflow'] = None")
    assert found.startswith("InputError ") and "mlflow" in found and advice in found


def test_the_pipeline_offers_the_names_of_mlflows_registry(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.registry import names

    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    with pytest.raises(InputError, match="has no model nothing: nothing is registered"):
        names.resolve("models:/nothing@all")
