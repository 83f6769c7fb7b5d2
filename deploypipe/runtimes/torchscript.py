"""TorchScript, kept for installations that cannot load anything newer; PyTorch has deprecated it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe.availability import Availability
from deploypipe.errors import DeployError
from deploypipe.runtimes.protocol import Lowered
from deploypipe.runtimes.torch_session import TorchSession, load_libraries

if TYPE_CHECKING:
    from deploypipe.capture import Program

NAME = "torchscript"
DESCRIPTION = "TorchScript (legacy), for C++ servers on libtorch"
ARTIFACT = "model.pt"
PRECISIONS: tuple[str, ...] = ("fp32",)
BINDING = "torch"
PORTABLE = False
PLANS_MEMORY = False
PACKAGE = "torch"
MIN_VERSION = "2.13"
EXTRA = ""


def available() -> Availability:
    """Always, since torch is a dependency."""
    return Availability(True)


def lower(program: Program, decomposed: bool, artifact: Path) -> Lowered:
    """Traces the exported graph, so that shapes follow the input, and freezes it."""
    import torch

    exported = program.decomposed() if decomposed else program.exported()
    module = exported.module(check_guards=False).requires_grad_(False)
    example = exported.example_inputs[0] if exported.example_inputs else ()

    class Flat(torch.nn.Module):
        """Returns the outputs as one flat tuple, which is all that a trace can hold."""

        def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
            # forward, not a call: the hook that checks input sizes cannot be traced.
            return tuple(torch.utils._pytree.tree_leaves(module.forward(*inputs)))

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Flat().eval(), example, check_trace=False)
        torch.jit.save(torch.jit.freeze(traced), artifact)
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
        text = str(error).strip().splitlines()[0]
        raise DeployError(f"{artifact.name} does not load in torch {torch.__version__}: {text}") from error
