"""Somebody else's model is evaluated, exported and registered by the flow, as one that was trained here."""

from pathlib import Path

import pytest
from chaos.kills import versions
from pipeline import Pipeline, how_made

from llama_core.export.convert import convert
from llama_core.weights.open import open_weights


@pytest.mark.slow
def test_an_imported_model_goes_through_the_flow_to_the_registry(
    micro: Pipeline, pipeline: Pipeline, tmp_path: Path
) -> None:
    trained = micro.artifact("train")
    convert(trained.url, str(tmp_path / "7B"), "meta", lambda *_: None, dtype="fp32")
    step = convert(str(tmp_path / "7B"), pipeline.store_url, "step", lambda *_: None)
    imported = pipeline.artifacts()["train"][0]
    [tokenizer] = pipeline.artifacts()["tokenizer"]
    assert imported.url == step
    chosen = (f"train.imported={imported.name}", f"tokenizer.imported={tokenizer.name}")

    code, output = pipeline.run(chosen[0], "tokenizer.imported=tokenizer/0123456789abcdef")
    assert code == 2 and "is no finished step: make it with `python -m llama_core.export" in output
    code, output = pipeline.run(*chosen, "model.n_layers=3")
    assert code == 2 and "train.imported: the model of" in output
    assert "corpus" not in pipeline.artifacts(), "no work was done"

    made = how_made(pipeline.ok(*chosen))
    assert made["train"] == made["tokenizer"] == "reused"
    scores, expected = (p.artifact("evaluate").facts["heldout"] for p in (pipeline, micro))
    assert scores.keys() == expected.keys()
    for source, found in scores.items():
        assert found["bits_per_byte"] == pytest.approx(expected[source]["bits_per_byte"], abs=1e-6)
    assert versions(pipeline) == [1] or versions(pipeline) == ["1"]
    weights = open_weights(pipeline.artifact("export").url)
    assert all(weights.read(n).equal(open_weights(trained.url).read(n)) for n in weights.names)
