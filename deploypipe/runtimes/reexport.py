"""Exporting what was made of a program's graph or module, with the sizes that the program has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim, ShapesCollection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from deploypipe.capture import Program


def export(program: Program, module: nn.Module, like: ExportedProgram) -> ExportedProgram:
    """Exports what was made of a program's graph or module, with the ranges of its axes.

    Args:
        program: Gives the ranges.
        module: Takes the inputs of the program.
        like: A graph of the program, with the inputs that it was exported with.
    """
    axes = program.facts.axes
    dims = {name: Dim(name, min=axis.min, max=axis.max) for name, axis in axes.items() if axis.min < axis.max}
    inputs, shapes = example(like), ShapesCollection()
    for tensor, info in zip(inputs, program.facts.inputs, strict=True):
        shapes[tensor] = {place: dims[size] for place, size in enumerate(info.shape) if size in dims}
    return torch.export.export(module, inputs, dynamic_shapes=shapes.dynamic_shapes(module, inputs))


def example(exported: ExportedProgram) -> tuple[Tensor, ...]:
    """Returns the inputs that a graph was exported with."""
    return tuple(exported.example_inputs[0])
