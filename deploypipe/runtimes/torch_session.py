"""What the two runtimes that run inside libtorch share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, first_line

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
    for library in libraries:
        _load_library(library.resolve())


@functools.cache
def _load_library(library: Path) -> None:
    import torch

    try:
        torch.ops.load_library(library)
    except (OSError, RuntimeError) as error:
        raise DeployError(
            f"The op library {library.name} does not load in torch {torch.__version__}: {first_line(error)}",
            "Build the bundle again with the version of torch that is installed here.",
        ) from error
