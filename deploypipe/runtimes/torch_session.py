"""What the two runtimes that run inside libtorch share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.runtimes import op_libraries

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TorchSession:
    """A callable that takes and returns tensors, as a `Session`."""

    model: Callable[..., Any]

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once."""
        import torch

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


def _register(library: Path) -> None:
    import torch

    torch.ops.load_library(library)
