"""Where the time of an inference goes: the operators of a bundle, by what its runtime tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.bundle.clock import Span
from deploypipe.errors import DeployError
from deploypipe.profile.receipt import Operators

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.bundle.load import Model
    from deploypipe.profile.operators.trace import Recording

    Array = np.ndarray[Any, Any]

_PROFILERS = {
    "onnxruntime": "onnxruntime",
    "litert": "litert",
    "executorch": "executorch",
    "torchscript": "torch",
    "aotinductor": "torch",
}
# TorchScript compiles in its first runs.
_WARM_UP = Span(runs=10, least=0.1, most=1.0)
_FEWEST, _MOST, _SECONDS = 5, 100, 2.0


def profile(bundle: Path, out: Path | None, name: str) -> Operators:
    """Profiles single inferences of a bundle in this process, which should be a fresh one, in one thread.

    Args:
        bundle: A bundle for this machine.
        out: Folder that receives `<name>.trace.json`, which Perfetto and Chrome open; None writes none.
        name: Of the bundle; a slash in it becomes a dash.

    Raises:
        DeployError: The bundle does not load, or its runtime tells no times of operators.
    """
    from deploypipe.bundle.load import load
    from deploypipe.profile.operators import trace

    with load(bundle) as model:
        profiling = profiler(model.manifest.runtime.name)
        inputs = _inputs(model)
        recording = profiling.recorded(model, inputs, _runs(model, inputs))
        kernel_ms, why = _kernel_ms(profiling, model, inputs, recording)
    file = f"{name.replace('/', '-')}.trace.json" if out else ""
    if out:
        trace.write(recording, name, out / file)
    return Operators(
        how=recording.how,
        runs=len(recording.inferences),
        total_ms=recording.total_ms,
        operators=trace.operators(recording.inferences),
        kernel_ms=kernel_ms,
        trace=file,
        note=f"{recording.note} {why}".strip(),
    )


def profiler(runtime: str) -> Any:
    """Returns the module that profiles bundles of a runtime.

    Raises:
        DeployError: The runtime tells no times of operators.
    """
    if runtime not in _PROFILERS:
        raise DeployError(
            f"{runtime} tells no times of single operators", "Profile a bundle of the same model for litert."
        )
    return import_module(f"{__name__}.{_PROFILERS[runtime]}")


def _inputs(model: Model) -> list[Array]:
    from deploypipe.bundle.manifest import GOLDEN
    from deploypipe.bundle.timing import smallest
    from deploypipe.tensors import load_cases

    cases = load_cases(model.path / GOLDEN, model.manifest.inputs, model.manifest.outputs)
    return list(smallest(cases).inputs.values())


def _runs(model: Model, inputs: Sequence[Array]) -> int:
    """Warms the model up, and returns how many runs take about two seconds."""
    import numpy as np

    from deploypipe.bundle import clock

    seconds = float(np.median(clock.samples(lambda: model.session.run(inputs), _WARM_UP))) / 1e9
    return max(_FEWEST, min(_MOST, int(_SECONDS / seconds)))


def _kernel_ms(profiling: Any, model: Model, inputs: Sequence[Array], recording: Recording) -> tuple[float | None, str]:
    """Returns what the custom ops take without the runtime, or None and why that is not known."""
    from deploypipe.profile.operators import kernels

    count = recording.calls("custom")
    if count == 0:
        return None, ""
    calls = profiling.calls(model, inputs)
    if len(calls) != count:
        return None, f"Of the {count} calls of custom ops, the arguments of {len(calls)} are known."
    try:
        return kernels.milliseconds(calls), ""
    except DeployError as error:
        return None, f"The custom ops were not timed without the runtime: {error.message}."
