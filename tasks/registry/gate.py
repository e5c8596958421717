"""The gate: a version becomes the champion where it is not worse than the one that is.

A benchmark counts as worse where the score is lower by more than the standard error of the difference, and
held-out text where the bits per byte are more. Only what was asked in the same way is compared. Each version
is judged once, when it is registered, and its description says why.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.evaluate.names import LESS_IS_BETTER, name_of
from llama_core.evaluate.planned import ROLE
from llama_core.markdown import escape
from llama_core.store import Store
from tasks.registry.card import LONGEST, cells
from tasks.registry.details import Shown
from tasks.registry.names import EXPORT_TAG

GATE_TAG = "llama.gate"  # the tag of a version that says how it was judged
HELD_OUT = "heldout"  # what a recipe calls the bits per byte of held-out text
ROWS = 12  # of the table of a description


@dataclass(frozen=True)
class Measure:
    """A score of a model."""

    value: float
    error: float
    """Its standard error; 0 where none is known."""
    larger_is_better: bool
    asked: str
    """What the model was asked: only equal ones can be compared."""
    name: str
    """What a recipe calls it: the key of a benchmark."""

    def is_one_of(self, named: Collection[str]) -> bool:
        """Tell whether one of the names is that of the measure, or of its benchmark."""
        return self.name in named or name_of(self.name) in named


@dataclass(frozen=True)
class Verdict:
    """What came of a comparison."""

    moves: bool
    """True if the version becomes the champion."""
    why: str
    rows: list[tuple[str, str, str, str]]
    """What, the version's value, the champion's, and which is better."""


def measures(evaluation: Artifact) -> dict[str, Measure]:
    """Return the scores of an evaluation, by what is shown of them."""
    manifest, facts = evaluation.manifest, evaluation.facts
    inputs, identity = manifest["inputs"], manifest["identity"]
    corpus = f"{inputs.get('corpus')} {identity.get('heldout_bytes')}"
    found = {
        f"held-out {source}": Measure(result["bits_per_byte"], 0.0, False, corpus, HELD_OUT)
        for source, result in facts["heldout"].items()
    }
    for task, result in facts["tasks"].items():
        if result["status"] == "done" and result["score"] is not None:
            files, most = inputs.get(ROLE + name_of(task)), identity.get("max_new_tokens")
            asked = f"{manifest['revision']} {files} {result['metric']} {result['n']} {most}"
            larger_is_better = name_of(task) not in LESS_IS_BETTER
            found[task] = Measure(result["score"], result["stderr"], larger_is_better, asked, task)
    return found


def compare(
    ours: dict[str, Measure], champions: dict[str, Measure], named: Collection[str] | None
) -> Verdict:
    """Return whether a version may take the place of the champion.

    `named`: what is compared, by the recipe's names; None: all that both were asked in the same way.
    """
    rows: list[tuple[str, str, str, str]] = []
    worse: list[str] = []
    lacking = [n for n in named or () if not any(m.is_one_of([n]) for m in ours.values())]
    compared = 0
    for what in dict.fromkeys([*ours, *champions]):
        mine, theirs = ours.get(what), champions.get(what)
        if named is not None and not (mine or theirs).is_one_of(named):  # type: ignore[union-attr]
            continue
        if mine is None or theirs is None or mine.asked != theirs.asked:
            result = "not compared: asked otherwise" if mine and theirs else "not compared"
            lacking += [what] if named is not None and what not in lacking else []
        else:
            compared += 1
            ahead = mine.value - theirs.value if mine.larger_is_better else theirs.value - mine.value
            error = math.hypot(mine.error, theirs.error)
            result = "worse" if ahead < -error else "better" if ahead > error else "as good"
            worse += [what] if result == "worse" else []
        rows.append((what, _shown(mine), _shown(theirs), result))
    if worse:
        return Verdict(False, f"worse on {', '.join(worse)}", rows)
    if lacking:
        return Verdict(False, f"not compared on {', '.join(lacking)}", rows)
    if not compared:
        return Verdict(False, "nothing was asked of both in the same way", rows)
    return Verdict(True, f"not worse on {', '.join(row[0] for row in rows if 'not' not in row[3])}", rows)


def _shown(measure: Measure | None) -> str:
    if measure is None:
        return "none"
    if measure.name == HELD_OUT:
        return f"{measure.value:.3f}"
    return f"{100 * measure.value:.1f} ± {100 * measure.error:.1f}"


def judge(shown: Shown) -> str:
    """Compare a version with the champion, once, and let the alias point at it where it passes.

    Returns what was decided, in a sentence, or nothing where nothing was to be decided.
    """
    cfg, api = shown.run.recipe.register_, MlflowClient()
    alias, number = cfg.champion, str(shown.version)
    if alias is None or alias == cfg.alias:
        return ""
    version = api.get_model_version(shown.name, number)
    if GATE_TAG in version.tags:
        return ""
    before = api.get_registered_model(shown.name).aliases.get(alias)
    ours = measures(shown.made["evaluate"])
    if before is None or str(before) == number:
        verdict = Verdict(bool(ours), "the first with scores" if ours else "it has no scores", [])
    else:
        verdict = compare(ours, _scores_of(api, shown.name, str(before)), cfg.gate)
    if verdict.moves:
        api.set_registered_model_alias(shown.name, alias, number)
    said = f"{'becomes' if verdict.moves else 'does not become'} {alias}"
    against = f" against version {before}" if before is not None and str(before) != number else ""
    parts = [f"## Is it the {escape(alias)}?", f"It {said}{against}: {escape(verdict.why)}."]
    if verdict.rows:
        columns = ("what", "this version", f"version {before}", "")
        parts.append(cells(columns, verdict.rows[:ROWS]))
    text = "\n\n".join([version.description or "", *parts])
    if len(text) <= LONGEST:
        api.update_model_version(shown.name, number, text)
    api.set_model_version_tag(shown.name, number, GATE_TAG, f"{said}{against}: {verdict.why}")
    return f"version {number} {said}{against}: {verdict.why}"


def _scores_of(api: MlflowClient, name: str, version: str) -> dict[str, Measure]:
    """Return the scores of a version that this project has registered, or nothing where they are gone."""
    try:
        tags = api.get_model_version(name, version).tags
        root = Store(tags[EXPORT_TAG].removesuffix(f"/{tags['step.export']}"))
        return measures(Artifact.load(root, tags["step.evaluate"]))
    except (MlflowException, KeyError, FileNotFoundError, LlamaError):
        return {}
