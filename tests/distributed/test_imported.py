"""A training starts from an imported model as it does from the weights of the training it came from."""

import pytest

from llama_core.errors import InputError
from llama_core.export.convert import convert
from llama_core.train import start
from llama_core.train.checkpoint import final

WEIGHTS = {"optimizer": False, "anew": True}


@pytest.fixture(scope="module")
def finished(training):
    run = training(**{"train.tokens": 5 * 1024})
    run.run(1)
    return run


@pytest.fixture(scope="module")
def imported(training, finished, tmp_path_factory):
    """The folder of the step that a trained model has become, by way of Meta's format."""
    folder = tmp_path_factory.mktemp("meta") / "7B"
    convert(finished.step.folder.url, str(folder), "meta", lambda *_: None, shards=2, dtype="fp32")
    url = convert(str(folder), finished.step.root.url, "step", lambda *_: None)
    return "/".join(url.split("/")[-2:])


def test_its_weights_are_what_was_trained(training, finished, imported) -> None:
    from llama_core.artifact import Artifact

    artifact = Artifact.load(finished.step.root, imported)
    assert artifact.digest == finished.artifact().digest
    assert final(artifact).facts["tokens"] == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_the_curve_is_that_of_the_original_weights(training, finished, imported, processes: int) -> None:
    from_ = {"step": imported, "at": 0} | WEIGHTS
    mine = training(**{"train.start_from": from_, "train.tokens": 5 * 1024})
    mine.run(processes)
    theirs = training(
        **{"train.start_from": from_ | {"step": finished.step.name, "at": 5}, "train.tokens": 5 * 1024}
    )
    theirs.run(processes)
    curves = [[(r["step"], r["loss"], r["grad_norm"]) for r in run.records()] for run in (mine, theirs)]
    assert curves[0] == curves[1]
    assert mine.artifact().digest == theirs.artifact().digest
    assert curves[0][0][1] != finished.records()[0]["loss"]


@pytest.mark.parametrize("without", [{"optimizer": True}, {"anew": False}])
def test_what_it_cannot_give_is_refused_with_what_to_set(training, imported, without) -> None:
    run = training(**{"train.start_from": {"step": imported, "at": 0} | WEIGHTS | without})
    output = run.run(1, expect=2)
    assert "set train.start_from.optimizer to false and train.start_from.anew to true" in output


def test_before_any_work_it_is_checked_as_any_other(training, imported) -> None:
    run = training(**{"train.start_from": {"step": imported, "at": 0} | WEIGHTS})
    start.check(run.step.root, run.job.recipe)
    run = training(**{"train.start_from": {"step": imported, "at": 7} | WEIGHTS})
    with pytest.raises(InputError, match="it has those after 0"):
        start.check(run.step.root, run.job.recipe)
