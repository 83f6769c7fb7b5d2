"""What the two runtimes that run inside libtorch share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import layers
from deploypipe.precision import Refusal
from deploypipe.runtimes import op_libraries

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.capture import Program
    from deploypipe.layers import Layer, LayerState
    from deploypipe.runtimes.protocol import Form

    Array = np.ndarray[Any, Any]

REFUSED_BY_TORCH = {
    "int8-weight": Refusal(
        "torch's product of floats and 8-bit weights takes over 20 times as long as one of floats alone",
        "int8-dynamic",
    ),
    "int4-weight": Refusal(
        "torch packs 4-bit weights in an order that depends on the processor, so that another one reads others",
        "int4-weight on executorch",
    ),
}


@dataclass(frozen=True)
class TorchSession:
    """A callable that takes and returns tensors, as a `Session`.

    Attributes:
        model: The callable.
        threads: Of one run; None leaves them as they are.
    """

    model: Callable[..., Any]
    threads: int | None = None

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once."""
        import torch

        if self.threads:  # OpenMP keeps the number for each thread that asks for work, and any thread may run the model
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            result = self.model(*(torch.from_numpy(array) for array in inputs))
        return tuple(leaf.numpy() for leaf in torch.utils._pytree.tree_leaves(result))

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """Records which ops the dispatcher was asked for; one that was not is decomposed."""
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            self.run(inputs)
        called = {event.key for event in profile.key_averages()}
        return {op: "native" if op in called else "decomposed" for op in ops}


def load_libraries(libraries: Sequence[Path]) -> None:
    """Registers op libraries with the dispatcher.

    Raises:
        DeployError: A library cannot be loaded by this version of torch.
    """
    op_libraries.load_libraries(libraries, "torch", _register)


def kind_of(value: Any) -> str | None:
    """Returns the precision of a weight that is not float, and None for anything else."""
    import torch

    kinds = {torch.int8: "int8", torch.uint8: "uint8", torch.bfloat16: "bf16"}
    return kinds.get(value.dtype) if isinstance(value, torch.Tensor) and value.dim() >= 2 else None


def states(program: Program, form: Form, found: Mapping[str, str]) -> tuple[LayerState, ...]:
    """Returns what became of each layer of a program.

    Args:
        program: That was lowered.
        form: That was asked for.
        found: Precision of the layers that are not float in the artifact, by name.

    Raises:
        DeployError: Something other than fp32 was asked for, and all layers are float.
    """
    from deploypipe.oplib.float_inputs import float_layers

    needed = float_layers(program.exported().graph, ())

    def why(layer: Layer) -> str:
        return layers.NEEDED if layer.name in needed else f"torch has no {form.precision} form of it"

    return layers.states(program.layers, found, why, form.precision, form.kept_float)


def _register(library: Path) -> None:
    import torch

    torch.ops.load_library(library)
