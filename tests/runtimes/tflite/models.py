"""Small models as `.tflite` files, beside what eager PyTorch says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deploypipe import ModelSpec, runtimes
from deploypipe.capture import Program, capture, resolve
from deploypipe.layers import LayerState
from deploypipe.runtimes import Form
from deploypipe.runtimes.tflite import compact, convert, flatbuffer, precision, prepared
from deploypipe.runtimes.tflite.compiled import CompiledModel

Array = np.ndarray[Any, Any]
Tensors = Sequence[torch.Tensor]
FULL = Form()


class Calls(torch.nn.Module):
    """Does what a function of its inputs and its layers does."""

    def __init__(self, function: Callable[..., Any], *layers: torch.nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs, *self.layers)


@dataclass(frozen=True)
class Lowered:
    """A model and its file; `marked` is what was shipped of."""

    program: Program
    path: Path
    notes: Mapping[str, str]
    marked: bytes
    layers: tuple[LayerState, ...]

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @property
    def names(self) -> list[str]:
        return flatbuffer.operator_names(flatbuffer.parse(self.content))

    def eager(self, *inputs: torch.Tensor) -> list[Array]:
        with torch.no_grad():
            found = self.program.spec.module(*inputs)
        return [each.numpy() for each in torch.utils._pytree.tree_leaves(found)]

    def opened(self, *libraries: Path) -> CompiledModel:
        return CompiledModel.open(self.path, libraries)

    def classic(self, *inputs: torch.Tensor) -> list[Array]:
        """Runs the file in the interpreter that LiteRT had before its C API."""
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(model_path=str(self.path), num_threads=1).get_signature_runner()
        names = [info.name for info in self.program.facts.inputs]
        found = runner(**{name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
        return [found[info.name] for info in self.program.facts.outputs]


def program(folder: Path, module: torch.nn.Module, *inputs: torch.Tensor, form: Form = FULL, **fields: Any) -> Program:
    """Captures a model, in the form that is exported for a precision."""
    spec = resolve(ModelSpec("m", module.eval(), inputs, **fields))
    folder.mkdir(exist_ok=True)
    prepare = functools.partial(prepared.of, form=form)
    capture(spec, None, folder, None if form.precision == "fp32" else prepare)
    return Program.load(spec, folder)


def written(folder: Path, captured: Program, form: Form | None = None) -> Lowered:
    return _shipped(captured, convert.lower(captured, form or Form(decomposed=True)), folder / "model.tflite")


def quantized(file: Lowered, name: str, legacy: bool = False, kept: tuple[str, ...] = ()) -> Lowered:
    """Quantizes a file that was converted already."""
    form = Form(precision=name, kept_float=kept)
    content, notes = precision.quantized(file.marked, file.program, form, legacy)
    states = precision.states(content, file.program, form)
    made = convert.File(content, runtimes.protocol.Lowered({**file.notes, **notes}, states))
    return _shipped(file.program, made, file.path.with_name(f"{name}-{legacy}.tflite"))


def _shipped(captured: Program, made: convert.File, path: Path) -> Lowered:
    path.write_bytes(compact.written(made.content))
    return Lowered(captured, path, made.lowered.notes, made.content, made.lowered.layers)


def lowered(
    folder: Path, module: torch.nn.Module, *inputs: torch.Tensor, form: Form | None = None, **fields: Any
) -> Lowered:
    return written(folder, program(folder / "program", module, *inputs, **fields), form)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(make: Callable[[], torch.nn.Module], seed: int = 0) -> torch.nn.Module:
    """Makes a layer with weights that depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()
