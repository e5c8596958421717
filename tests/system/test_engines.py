"""The corpus of seven sources has the same bytes, whatever engine its shards were worked on by."""

from pathlib import Path

import pytest
import seven_sources
from pipeline import Pipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_processes_dask_and_ray_make_byte_identical_corpora(prefect_url: str, tmp_path: Path) -> None:
    recipe = seven_sources.write_recipe(tmp_path / "raw")
    digests, objects = {}, {}
    for engine in ("processes", "dask", "ray"):
        home = tmp_path / engine
        pipeline = Pipeline(home, f"file://{home}/store", {"PREFECT_API_URL": prefect_url})
        output = pipeline.ok("--flow", "corpus", f"run.engine={engine}", recipe=str(recipe))
        assert pipeline.ends(within=20) == []
        digests[engine] = pipeline.digests()
        corpus = pipeline.artifact("corpus")
        assert corpus.url in output and "corpus.html" in output, "where it lies is said"
        objects[engine] = [(o.name.split("/", 1)[1], o.sha256) for s in corpus.shards for o in s.objects]
    assert digests["processes"] == digests["dask"] == digests["ray"]
    assert objects["processes"] == objects["dask"] == objects["ray"] != []
