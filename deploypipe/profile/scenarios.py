"""Scenarios of MLPerf, run by its LoadGen over a bundle that is loaded in this process."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe.bundle.clock import Span
from deploypipe.errors import DeployError, nearest
from deploypipe.profile import loadgen
from deploypipe.profile.loadgen import Asked, Found, Name, System
from deploypipe.profile.receipt import Scenario

if TYPE_CHECKING:
    from deploypipe.bundle.load import Model

NAMES: tuple[Name, ...] = ("SingleStream", "Offline", "Server")

# Samples that wait are answered together where a model takes that, and no more than so many.
_LARGEST_BATCH = 64
_WARM_UP, _MEASURED = Span(runs=10, least=0.1, most=1.0), Span(runs=30, least=0.1, most=1.0)
# A short Offline test tells how many samples a second takes; a little more is asked for, so that the test is not over
# too soon.
_TRIAL_S, _MORE = 0.3, 1.25
# Of the Server scenario: the share of what Offline answers that is tried first, and how often that is halved until a
# short test keeps the bound; and the bound where the target has no budget.
_SHARE, _HALVINGS, _SHORT_S = 0.5, 6, 0.5
_TIMES_MEDIAN = 10.0
# Of the report: a few thousand latencies say what a hundred thousand do.
_KEPT = 5000


def run(bundle: Path, name: str, seconds: float) -> Scenario:
    """Runs a scenario in this process, which should be a fresh one.

    Args:
        bundle: A bundle for this machine.
        name: One of `NAMES`.
        seconds: That it lasts; MLPerf asks for 600.

    Raises:
        DeployError: There is no such scenario, LoadGen is not installed, or the bundle does not load.
    """
    from deploypipe.bundle.load import load

    scenario = next((each for each in NAMES if each == name), None)
    if scenario is None:
        raise DeployError(f"There is no scenario '{name}'", nearest(name, list(NAMES)))
    loadgen.check_installed()
    with load(bundle) as model:
        system = _system(model)
        asked = _asked(model, system, scenario, seconds)
        began = time.perf_counter()
        found = loadgen.ask(system, asked)
        return _scenario(asked, found, time.perf_counter() - began, _note(model, asked, system))


def _system(model: Model) -> System:
    """Makes samples of the golden vectors: their rows where the batch is open, else the smallest one."""
    from deploypipe.bundle.manifest import GOLDEN
    from deploypipe.bundle.timing import smallest
    from deploypipe.tensors import load_cases

    cases = load_cases(model.path / GOLDEN, model.manifest.inputs, model.manifest.outputs)
    largest = _largest_batch(model)
    if largest == 1:
        return System([list(smallest(cases).inputs.values())], model.session.run, 1)
    arrays = [list(case.inputs.values()) for case in cases]
    rows = [[array[row : row + 1] for array in each] for each in arrays for row in range(len(each[0]))]
    return System(rows, model.session.run, largest)


def _largest_batch(model: Model) -> int:
    """Returns how many samples may be answered at once: 1 where inputs do not all begin with one open axis."""
    first = {tensor.shape[:1] for tensor in (*model.manifest.inputs, *model.manifest.outputs)}
    (axis, *_), *others = [tuple(each) or (1,) for each in first]
    sizes = model.manifest.axes.get(str(axis))
    return min(_LARGEST_BATCH, sizes.max) if sizes and sizes.min == 1 and not others else 1


def _asked(model: Model, system: System, scenario: Name, seconds: float) -> Asked:
    """Finds out what can be asked of a model, once it is warm."""
    import numpy as np

    from deploypipe.bundle import clock

    def once() -> object:
        return model.session.run(system.samples[0])

    clock.samples(once, _WARM_UP)
    median = float(np.median(clock.samples(once, _MEASURED)))
    budget = model.manifest.budgets.p90_ms
    bound = budget * 1e6 if budget else _TIMES_MEDIAN * median
    asked = Asked(scenario, seconds, median, 1e9 / median, bound)
    if scenario == "SingleStream":
        return asked
    offline = loadgen.ask(system, dataclasses.replace(asked, scenario="Offline", seconds=_TRIAL_S)).result
    if scenario == "Offline":
        return dataclasses.replace(asked, per_second=offline * _MORE)
    return kept(system, dataclasses.replace(asked, per_second=offline * _SHARE))


def kept(system: System, asked: Asked) -> Asked:
    """Halves what is sent until a short test keeps the bound.

    Args:
        system: What answers.
        asked: What is tried first.

    Returns:
        What kept it, or a half of the last that did not.
    """
    for _ in range(_HALVINGS):
        if loadgen.ask(system, dataclasses.replace(asked, seconds=_SHORT_S)).valid:
            break
        asked = dataclasses.replace(asked, per_second=asked.per_second / 2)
    return asked


def _note(model: Model, asked: Asked, system: System) -> str:
    together = f"in batches of up to {system.largest}" if system.largest > 1 else "one by one"
    if asked.scenario == "SingleStream":
        return ""
    if asked.scenario == "Offline":
        return f"Samples are answered {together}."
    reason = "the target's budget" if model.manifest.budgets.p90_ms else f"{_TIMES_MEDIAN:.0f} times the median alone"
    limit = f"{asked.bound_ns / 1e6:.3g} ms, {reason}"
    return (
        f"{asked.per_second:.0f} queries/s are sent, and 99 % must take at most {limit}. That was tried with half of "
        f"what Offline answers, and halved until a short test kept it. Those that wait are answered {together}."
    )


def _scenario(asked: Asked, found: Found, seconds: float, note: str) -> Scenario:
    latencies = () if asked.scenario == "Offline" else found.latencies_ns
    step = -(-len(latencies) // _KEPT) or 1
    thinned = f"Of the latencies, one in {step} is kept." if step > 1 else ""
    return Scenario(
        name=asked.scenario,
        valid=found.valid,
        seconds=round(seconds, 3),
        queries=len(found.latencies_ns),
        result=found.result,
        unit=found.unit,
        latencies_ns=latencies[::step],
        note=f"{note} {thinned}".strip(),
    )
