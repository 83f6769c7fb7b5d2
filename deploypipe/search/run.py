"""A search for each artifact of a target."""

from __future__ import annotations

from collections.abc import Sequence

from deploypipe import installed, pipeline
from deploypipe.errors import DeployError, VerdictError
from deploypipe.layers import of as layers_of
from deploypipe.search import executors, sensitivity, space
from deploypipe.search.artifact import Search
from deploypipe.search.goals import Goals
from deploypipe.search.report import ArtifactReport, Report
from deploypipe.search.sensitivity import Sensitivity
from deploypipe.search.settings import Settings
from deploypipe.search.space import Group
from deploypipe.search.trial import Make, model
from deploypipe.target import Target


def compress(make: Make, target: Target, goals: Goals, settings: Settings) -> Report:
    """Searches for the smallest form of a model for each artifact of a target, and delivers it.

    Args:
        make: Makes the model; called in other processes as well.
        target: Whom it is for.
        goals: The budgets.
        settings: How to search.

    Raises:
        DeployError: The model or the target is wrong, or something that is needed is missing.
        VerdictError: No setting of an artifact keeps the budgets; those of the others were delivered.
    """
    if not (usable := installed.extra("compress")).ok:
        raise DeployError("The search cannot be used here", usable.reason)
    executor = executors.get(settings.executor)
    pipeline.check_targets([target])
    pipeline.check_out(settings.out)
    spec = model(make, None)
    groups = space.groups(layers_of(spec.module))
    found = sensitivity.measure(spec, groups)
    settings.observe(tuple(found))
    with executor(settings.workers) as run_all:
        searches = [Search(make, spec, target, each, goals, settings, run_all) for each in target.artifacts]
        ended = [_ended(each, found, groups) for each in searches]
    artifacts = tuple(each for each in ended if isinstance(each, ArtifactReport))
    report = Report(model=spec.name, target=target.name, sensitivity=tuple(found), artifacts=artifacts)
    report.write(settings.out / spec.name / target.name)
    if missed := [text for each in ended if (text := _missed(each))]:
        raise VerdictError(". ".join(missed), "Give it more room, or more --trials.")
    return report


def _ended(search: Search, found: Sequence[Sensitivity], groups: Sequence[Group]) -> ArtifactReport | VerdictError:
    """One artifact that fails does not stop the others."""
    try:
        return search.run(found, groups)
    except VerdictError as error:
        return error


def _missed(ended: ArtifactReport | VerdictError) -> str:
    """Returns why an artifact has nothing to deliver, or an empty string."""
    if isinstance(ended, VerdictError):
        return ended.message
    if ended.chosen is not None:
        return ""
    fits = [each for each in ended.trials if not each.failure and each.drop <= ended.goals.accuracy_drop]
    least = min((each.size for each in fits), default=None)
    said = f"; the smallest that keeps the accuracy takes {least / 1e6:.3g} MB" if least else ""
    return f"No setting for {ended.artifact} keeps the budgets ({ended.goals.describe()}){said}"
