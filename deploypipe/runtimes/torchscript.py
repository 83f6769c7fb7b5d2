"""TorchScript, kept for installations that cannot load anything newer; PyTorch has deprecated it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import installed, layers
from deploypipe.availability import Availability
from deploypipe.errors import DeployError, first_line
from deploypipe.precision import Refusal
from deploypipe.runtimes import torch_archive
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.torch_session import REFUSED_BY_TORCH, TorchSession, kind_of, load_libraries, states

if TYPE_CHECKING:
    from torch import nn

    from deploypipe.capture import Program

NAME = "torchscript"
DESCRIPTION = "TorchScript (legacy), for C++ servers on libtorch"
ARTIFACT = "model.pt"
PRECISIONS: tuple[str, ...] = ("fp32", "bf16", "int8-dynamic")
REFUSED: Mapping[str, Refusal] = REFUSED_BY_TORCH | {
    "int8-static": Refusal(
        "a module needs stubs from its author around what computes in 8 bits, and a graph that needs none cannot be "
        "traced with an open batch",
        "int8-static on aotinductor",
    ),
}
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
    module = _module(program, form)

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
            traced = torch.jit.freeze(torch.jit.trace(Flat().eval(), example, check_trace=False))
            torch.jit.save(traced, artifact)
    except Exception as error:
        raise DeployError(f"The model cannot be traced: {first_line(error)}", "Build for another runtime.") from error
    # Where each line came from in the sources of the machine that built it.
    torch_archive.compress(artifact, (".debug_pkl",))
    found = _found(traced.graph, [layer.name for layer in program.layers])
    return Lowered({"api": "torch.jit.trace (deprecated by PyTorch)"}, states(program, form, found))


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> TorchSession:
    """Loads a frozen trace."""
    import torch

    load_libraries(libraries)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return TorchSession(torch.jit.load(artifact), threads)
    except RuntimeError as error:
        raise DeployError(
            f"{artifact.name} does not load in torch {torch.__version__}: {first_line(error)}",
            "Build the bundle again.",
        ) from error


def _module(program: Program, form: Form) -> nn.Module:
    """Returns what is traced.

    Its layers are replaced here and not before the export, which cannot hold torch's quantized ones.
    """
    module = program.module()
    if form.precision == "fp32":
        return module
    from deploypipe.oplib.float_inputs import float_layers
    from deploypipe.runtimes import bfloat16
    from deploypipe.runtimes.quantized_forms import replaced

    make = bfloat16.module_form if form.precision == "bf16" else _dynamic_form
    # What they compute is the input of an op that takes float only.
    floats = {id(module.get_submodule(name)) for name in float_layers(program.exported().graph, ())}
    return replaced(module, form, lambda layer: None if id(layer) in floats else make(layer))


def _dynamic_form(layer: nn.Module) -> nn.Module | None:
    """Returns a linear layer with 8-bit weights, each row with a scale, and None for any other."""
    import torch
    from torch.ao.nn.quantized.dynamic import Linear
    from torch.ao.quantization import per_channel_dynamic_qconfig

    if type(layer) is not torch.nn.Linear:
        return None
    described: Any = copy.copy(layer)
    described.qconfig = per_channel_dynamic_qconfig
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        form: nn.Module = Linear.from_float(described)
    return form


def _found(graph: Any, names: Sequence[str]) -> dict[str, str]:
    """Returns the precision of the layers whose calls in a frozen trace are given weights that are not float."""
    kinds = ((_place(node.scopeName()), _kind(given)) for node in graph.nodes() for given in node.inputs())
    return {name: kind for place, kind in kinds if kind and (name := layers.at(place, names)) is not None}


def _place(scope: str) -> str:
    """Returns the path of the innermost module of a scope, such as `__module.module/__module.module.layers`."""
    return scope.rpartition("/")[2].removeprefix("__module.module").removeprefix(".")


def _kind(given: Any) -> str | None:
    if "LinearPackedParams" in str(given.type()):
        return "int8"
    return kind_of(given.toIValue()) if given.node().kind() == "prim::Constant" else None
