"""Scenarios of MLPerf, run by its LoadGen over a bundle that is loaded in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe.bundle.clock import Span
from deploypipe.errors import DeployError, nearest
from deploypipe.profile import loadgen, rates
from deploypipe.profile.loadgen import Asked, Found, Name, System
from deploypipe.profile.receipt import Scenario

if TYPE_CHECKING:
    from deploypipe.bundle.load import Model

NAMES: tuple[Name, ...] = ("SingleStream", "Offline", "Server")

# Samples that wait are answered together where a model takes that, and no more than so many.
_LARGEST_BATCH = 64
_WARM_UP, _MEASURED = Span(runs=10, least=0.1, most=1.0), Span(runs=30, least=0.1, most=1.0)
# The bound of the Server scenario where the target has no budget: short times are those of threads that wait for a
# processor, and not of the model.
_TIMES_MEDIAN, _LEAST_BOUND_NS = 10.0, 10e6
# Of the report: a few thousand latencies say what a hundred thousand do.
_KEPT = 5000


def run(bundle: Path, name: str, seconds: float, threads: int = 1) -> Scenario:
    """Runs a scenario in this process, which should be a fresh one.

    Args:
        bundle: A bundle for this machine.
        name: One of `NAMES`.
        seconds: That it lasts; MLPerf asks for 600.
        threads: Of one run of the model.

    Raises:
        DeployError: There is no such scenario, LoadGen is not installed, or the bundle does not load.
    """
    from deploypipe.bundle.load import load

    scenario = next((each for each in NAMES if each == name), None)
    if scenario is None:
        raise DeployError(f"There is no scenario '{name}'", nearest(name, list(NAMES)))
    loadgen.check_installed()
    with load(bundle, threads=threads) as model:
        system = _system(model)
        asked, found = rates.judged(system, _asked(model, system, scenario, seconds))
        return _scenario(asked, found, _note(model, asked, system))


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
    asked = Asked(scenario, seconds, median, 1e9 / median, _bound_ns(model, median)[0])
    match scenario:
        case "Offline":
            return rates.offline(system, asked)
        case "Server":
            return rates.server(system, asked)
        case _:
            return asked


def _bound_ns(model: Model, median: float) -> tuple[float, str]:
    """Returns the bound of the Server scenario, and what it is."""
    if budget := model.manifest.budgets.p90_ms:
        return budget * 1e6, "the target's budget"
    if _TIMES_MEDIAN * median < _LEAST_BOUND_NS:
        return _LEAST_BOUND_NS, "the least where the target has no budget"
    return _TIMES_MEDIAN * median, f"{_TIMES_MEDIAN:.0f} times the median alone"


def _note(model: Model, asked: Asked, system: System) -> str:
    together = f"in batches of up to {system.largest}" if system.largest > 1 else "one by one"
    if asked.scenario == "SingleStream":
        return ""
    if asked.scenario == "Offline":
        return f"Samples are answered {together}."
    bound, reason = _bound_ns(model, asked.median_ns)
    return (
        f"{asked.per_second:.0f} queries/s are sent, and 99 % must take at most {bound / 1e6:.3g} ms, {reason}. "
        f"First {100 * rates.SHARE:.0f} % of what Offline answers was tried, then {100 * rates.LESS:.0f} % of that, "
        f"and so on until the bound was kept. Those that wait are answered {together}."
    )


def _scenario(asked: Asked, found: Found, note: str) -> Scenario:
    latencies = () if asked.scenario == "Offline" else found.latencies_ns
    step = -(-len(latencies) // _KEPT) or 1
    thinned = f"Of the latencies, one in {step} is kept." if step > 1 else ""
    return Scenario(
        name=asked.scenario,
        valid=found.valid,
        seconds=round(found.seconds, 3),
        queries=len(found.latencies_ns),
        result=found.result,
        unit=found.unit,
        latencies_ns=latencies[::step],
        note=f"{note} {thinned}".strip(),
    )
