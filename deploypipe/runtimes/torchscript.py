"""TorchScript, kept for installations that cannot load anything newer; PyTorch has deprecated it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import installed
from deploypipe.availability import Availability
from deploypipe.errors import DeployError, first_line
from deploypipe.precision import Refusal
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.torch_session import TorchSession, load_libraries

if TYPE_CHECKING:
    from torch import nn

    from deploypipe.capture import Program

NAME = "torchscript"
DESCRIPTION = "TorchScript (legacy), for C++ servers on libtorch"
ARTIFACT = "model.pt"
PRECISIONS: tuple[str, ...] = ("fp32",)
REFUSED: Mapping[str, Refusal] = {}
BINDING = "torch"
DECOMPOSES = False
PORTABLE = False
PLANS_MEMORY = False
PACKAGE = "torch"
MIN_VERSION = "2.13"
EXTRA = ""


def available() -> Availability:
    """Always, since torch is a dependency."""
    return Availability(True)


def version() -> str | None:
    """Returns the installed version."""
    return installed.version(PACKAGE)


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those that have such a form."""
    from deploypipe.runtimes.quantized_forms import quantized_forms

    return quantized_forms(module, form)


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Traces the module itself and freezes it.

    The exported graph is no source for a trace: the tracer takes its sizes for constants.

    Raises:
        DeployError: A decomposed form was asked for, or the module cannot be traced.
    """
    import torch

    if form.decomposed:
        raise DeployError(
            "TorchScript has no decomposed form: the tracer fixes the batch of an exported graph",
            "Take the native form, or ask another runtime for a decomposed one.",
        )
    module = program.module()

    class Flat(torch.nn.Module):
        """Returns the outputs as one flat tuple, which is all that a trace can hold."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
            return tuple(torch.utils._pytree.tree_leaves(self.module(*inputs)))

    example = tuple(torch.from_numpy(array) for array in program.golden()[-1].inputs.values())
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(Flat().eval(), example, check_trace=False)
            torch.jit.save(torch.jit.freeze(traced), artifact)
    except Exception as error:
        raise DeployError(f"The model cannot be traced: {first_line(error)}", "Build for another runtime.") from error
    return Lowered({"api": "torch.jit.trace (deprecated by PyTorch)"})


def load(artifact: Path, libraries: Sequence[Path]) -> TorchSession:
    """Loads a frozen trace."""
    import torch

    load_libraries(libraries)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return TorchSession(torch.jit.load(artifact))
    except RuntimeError as error:
        raise DeployError(
            f"{artifact.name} does not load in torch {torch.__version__}: {first_line(error)}",
            "Build the bundle again.",
        ) from error
