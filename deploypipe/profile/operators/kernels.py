"""The custom ops of one inference called without any runtime: what is left of a model's time is the runtime's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploypipe.bundle.clock import Span, samples

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from deploypipe.native import Standalone

    Array = np.ndarray[Any, Any]

_WARM_UP, _MEASURED = Span(runs=10, least=0.02, most=0.5), Span(runs=50, least=0.1, most=1.0)
# Calls that are timed together where one is as short as reading the clock.
_REPEATS = 8


@dataclass(frozen=True)
class Call:
    """One call of a custom op within an inference.

    Attributes:
        op: `namespace::op`.
        inputs: What it was given, in the order of its signature.
        attributes: Those left out take their default.
    """

    op: str
    inputs: tuple[Array, ...]
    attributes: Mapping[str, float]


def call(op: str, arguments: Sequence[Any], library: Path) -> Call:
    """Makes a call of what a runtime gives an op: arrays, and numbers for its attributes.

    Args:
        op: `namespace::op`.
        arguments: In the order of the op's signature; attributes may be left out at the end.
        library: An op library, which tells the names of attributes.
    """
    import numpy as np

    inputs = tuple(np.ascontiguousarray(each) for each in arguments if isinstance(each, np.ndarray))
    numbers = [each for each in arguments if not isinstance(each, np.ndarray)]
    names = [each["name"] for each in _described(op, library)["attributes"]]
    return Call(op, inputs, dict(zip(names, numbers, strict=False)))


def arity(op: str, library: Path) -> int:
    """Returns the number of inputs and attributes of an op, as its library tells them."""
    described = _described(op, library)
    return len(described["inputs"]) + len(described["attributes"])


def _described(op: str, library: Path) -> dict[str, Any]:
    from deploypipe import native

    found: dict[str, Any] = next(
        each for each in native.describe(library)["ops"] if each["name"] == op.partition("::")[2]
    )
    return found


def milliseconds(calls: Sequence[Call]) -> float:
    """Times all calls of an inference, each in one thread with its data in the caches, and returns the sum.

    Raises:
        DeployError: The ops of a namespace are not loaded, or cannot be built here without a runtime.
    """
    namespaces = {each.op.partition("::")[0] for each in calls}
    libraries = {namespace: _library(namespace) for namespace in namespaces}
    return sum(_milliseconds(each, libraries[each.op.partition("::")[0]]) for each in calls)


def _library(namespace: str) -> Standalone:
    from deploypipe import native
    from deploypipe.native import toolchain
    from deploypipe.oplib import registry

    return native.Standalone(native.library(toolchain.STANDALONE, registry.get(namespace).source))


def _milliseconds(each: Call, library: Standalone) -> float:
    import numpy as np

    prepared = library.prepare(each.op.partition("::")[2], each.inputs, each.attributes)

    def run() -> None:
        prepared(threads=1, repeats=_REPEATS)

    samples(run, _WARM_UP)
    return float(np.median(samples(run, _MEASURED))) / _REPEATS / 1e6
