"""Small models as `.tflite` files, beside what eager PyTorch says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deploypipe import ModelSpec
from deploypipe.capture import Program, capture, resolve
from deploypipe.runtimes import Form
from deploypipe.runtimes.tflite import convert, flatbuffer, precision
from deploypipe.runtimes.tflite.compiled import CompiledModel

Array = np.ndarray[Any, Any]
Tensors = Sequence[torch.Tensor]


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
    """A model and its file."""

    program: Program
    path: Path
    notes: Mapping[str, str]

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


def program(folder: Path, module: torch.nn.Module, *inputs: torch.Tensor, **fields: Any) -> Program:
    spec = resolve(ModelSpec("m", module.eval(), inputs, **fields))
    folder.mkdir(exist_ok=True)
    capture(spec, None, folder)
    return Program.load(spec, folder)


def written(folder: Path, captured: Program, form: Form | None = None) -> Lowered:
    path = folder / "model.tflite"
    content, notes = convert.lower(captured, form or Form(decomposed=True))
    path.write_bytes(content)
    return Lowered(captured, path, notes)


def quantized(file: Lowered, name: str, legacy: bool = False) -> Lowered:
    """Quantizes a file that was converted already."""
    model = flatbuffer.parse(file.content)
    content, notes = precision.quantized(flatbuffer.inline(model), file.program, name, legacy)
    path = file.path.with_name(f"{name}-{legacy}.tflite")
    path.write_bytes(flatbuffer.write(flatbuffer.parse(content)))
    return Lowered(file.program, path, {**file.notes, **notes})


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
