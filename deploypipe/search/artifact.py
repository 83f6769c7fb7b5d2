"""The search for one artifact of a target, and the delivery of what it chose."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploypipe import cache, pipeline, runtimes
from deploypipe.bundle import timing
from deploypipe.bundle.timing import Timing
from deploypipe.compress import recipe
from deploypipe.errors import VerdictError
from deploypipe.fingerprint import digest, sources_digest
from deploypipe.layers import LayerState
from deploypipe.pipeline import keys
from deploypipe.search import choice, trial
from deploypipe.search.candidate import Candidate, Measured, Speed
from deploypipe.search.executors import RunAll
from deploypipe.search.goals import Goals
from deploypipe.search.report import ArtifactReport, Rejection
from deploypipe.search.sensitivity import Sensitivity
from deploypipe.search.settings import Settings
from deploypipe.search.space import Group, Space
from deploypipe.search.study import Study
from deploypipe.search.trial import Make, Task
from deploypipe.spec import ModelSpec
from deploypipe.target import ArtifactRequest, Budgets, Target


@dataclass(frozen=True)
class Search:
    """The search for one artifact."""

    make: Make
    spec: ModelSpec
    target: Target
    request: ArtifactRequest
    goals: Goals
    settings: Settings
    run_all: RunAll

    def run(self, found: Sequence[Sensitivity], groups: Sequence[Group]) -> ArtifactReport:
        """Searches, chooses and delivers."""
        self.settings.observe(self.request.title)
        _ = self._base  # a model that does not work is not searched
        order = {each.group: number for number, each in enumerate(found)}
        ranked = tuple(sorted(groups, key=lambda each: order[each.name]))
        area = Space(runtimes.get(self.request.runtime).PRECISIONS, ranked, tuple(recipe.applicable(self.spec)))
        study = Study(self._folder / "trials.db", self._key(area), area, self.settings.seed)
        points = study.run(self.settings.trials, functools.partial(self._measure, area))
        report = self._report(points, found)
        if report.chosen:
            report = report.model_copy(update={"folder": str(self._delivered(area, report.chosen))})
        self.settings.observe(report)
        return report

    @property
    def _folder(self) -> Path:
        return cache.folder("search") / self.spec.name / self.target.name / self.request.folder

    def _key(self, area: Space) -> str:
        """Returns the name of the study: another model, space, seed or release begins anew."""
        content = keys.capture(self.spec, None) or uuid.uuid4().hex
        limits = self.target.limits.model_dump()
        return digest(content, area, self.request.model_dump(), limits, self.settings.seed, sources_digest())

    def _measure(self, area: Space, candidates: Sequence[Candidate]) -> Iterator[Measured]:
        # Times are taken while no other trial runs.
        for measured in self.run_all([self._task(area, each) for each in candidates]):
            point = self._timed(measured)
            self.settings.observe(point)
            yield point

    def _task(self, area: Space, candidate: Candidate) -> Task:
        kept = area.layers(candidate)
        request = self.request.model_copy(update={"precision": candidate.precision, "kept_float": kept})
        out = self._folder / digest(candidate.model_dump_json())
        return Task(self.make, trial.ungated(self.target), request, candidate, out, self.settings.log)

    def _timed(self, point: Measured) -> Measured:
        # It takes seconds, so that what is out anyhow is not timed.
        if self.target.device is None or point.failure or point.drop > self.goals.accuracy_drop:
            return point
        if point.candidate == Candidate():
            return point.timed(_speed(timing.timed(Path(point.bundle))))
        found = timing.compared(Path(self._base.bundle), Path(point.bundle))
        return point.timed(_speed(found.other, ratio=found.ratio, low=found.low, high=found.high))

    @functools.cached_property
    def _base(self) -> Measured:
        """The model as it was given.

        Raises:
            VerdictError: It does not work.
        """
        base = trial.run(self._task(Space((), (), ()), Candidate()))
        if base.failure:
            raise VerdictError(
                f"The model does not work on {self.request.title} as it is: {base.failure}", "Mend that first."
            )
        return base

    def _report(self, points: Sequence[Measured], found: Sequence[Sensitivity]) -> ArtifactReport:
        base = next(each for each in points if each.candidate == Candidate())
        allowed = choice.allowed(points, base, self.goals)
        taken = choice.chosen(allowed)
        against = {each.candidate.label: choice.reason_against(each, base, self.goals) for each in points}
        return ArtifactReport(
            artifact=self.request.title,
            goals=self.goals,
            base=base,
            front=tuple(choice.front(allowed)),
            chosen=taken,
            rejected=tuple(Rejection(setting=label, reason=reason) for label, reason in against.items() if reason),
            stayed_float=tuple(_stayed_float(taken, found)) if taken else (),
            trials=tuple(points),
        )

    def _delivered(self, area: Space, point: Measured) -> Path:
        """Builds the chosen setting with the budgets as gates, and puts it into the output folder."""
        limits = self.target.limits.model_copy(update={"accuracy_drop": self.goals.accuracy_drop})
        budgets = Budgets(size_mb=self.goals.size_mb, p90_ms=self.goals.p90_ms)
        request = self._task(area, point.candidate).request
        asked = self.target.model_copy(update={"limits": limits, "artifacts": (request,)})
        target = asked.within(budgets)
        spec = trial.model(self.make, point.candidate.pruning)
        jobs = pipeline.jobs_of([spec], [target])
        (outcome,) = pipeline.run(jobs, pipeline.Settings(self.settings.out, log=self.settings.log))
        if outcome.bundle is None:
            raise VerdictError(f"{self.request.title} with {point.candidate.label}: {outcome.error}")
        return outcome.bundle.path


def _speed(times: Timing, **ratio: float) -> Speed:
    p90 = times.slowest if times.p90 is None else times.p90
    return Speed(p50_ms=times.p50, p90_ms=p90, **ratio)


def _stayed_float(point: Measured, found: Sequence[Sensitivity]) -> list[LayerState]:
    """Returns the layers that stayed float, with what the search knows of those that it kept so itself."""
    known = {each.group: each for each in found}
    return [_explained(layer, point.candidate, known) for layer in point.layers if layer.precision == "fp32"]


def _explained(layer: LayerState, candidate: Candidate, known: Mapping[str, Sensitivity]) -> LayerState:
    kept = [name for name in candidate.kept_float if layer.name == name or layer.name.startswith(f"{name}.")]
    if not kept:
        return layer
    bits = 4 if candidate.precision.startswith("int4") else 8
    error = known[kept[0]].errors[bits]
    reason = f"the search kept it so; with {bits} bits its group alone gives an error of {error:.2g}"
    return layer.model_copy(update={"reason": reason})
