"""ExecuTorch with the XNNPACK delegate, for phones: custom ops as kernels, or decomposed for a stock runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import installed
from deploypipe.availability import Availability
from deploypipe.errors import DeployError, first_line
from deploypipe.precision import Refusal
from deploypipe.runtimes import executorch_quantization
from deploypipe.runtimes.op_libraries import load_libraries
from deploypipe.runtimes.protocol import Form, Lowered

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from deploypipe.capture import Program
    from deploypipe.capture.program import Facts

    Array = np.ndarray[Any, Any]

NAME = "executorch"
DESCRIPTION = "ExecuTorch with XNNPACK, for phones"
ARTIFACT = "model.pte"
PRECISIONS: tuple[str, ...] = executorch_quantization.PRECISIONS
REFUSED: Mapping[str, Refusal] = executorch_quantization.REFUSED
BINDING = "executorch"
DECOMPOSES = False
PORTABLE = False
PLANS_MEMORY = True
PACKAGE = "executorch"
MIN_VERSION = "1.4.1"
EXTRA = "executorch"
# Bytes. Kernels read packed weights as whole cache lines, which takes up to twice as long from anywhere else.
CONSTANT_ALIGNMENT = 64


@dataclass(frozen=True)
class ExecutorchSession:
    """A loaded program, and the file that the runtime maps as well."""

    module: Any
    content: mmap

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once; outputs are copied out of the program's memory plan."""
        import torch

        if not all(array.size for array in inputs):
            # The runtime would end the process.
            raise DeployError("ExecuTorch takes no empty input", "Give at least one row.")
        try:
            outputs = self.module.forward([torch.from_numpy(array) for array in inputs])
        except RuntimeError as error:
            raise DeployError(
                f"ExecuTorch refuses the input: {first_line(error)}", "Keep to the sizes in the manifest."
            ) from error
        return tuple(output.clone().numpy() for output in outputs)

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """Looks for the operator in the program: it names every kernel that it calls."""
        return {op: "native" if self.content.find(f"{op}\0".encode()) >= 0 else "decomposed" for op in ops}


def available() -> Availability:
    """Needs the executorch package to lower and to run."""
    return installed.extra(EXTRA)


def version() -> str | None:
    """Returns the installed version."""
    return installed.version(PACKAGE)


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those that have such a form."""
    return executorch_quantization.prepare(module, form)


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Partitions the graph for XNNPACK and writes the program with its memory plan.

    Raises:
        DeployError: The graph cannot be quantized or lowered, or its ranges would shrink; the text says why.
    """
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

    exported = _graph(program, form)
    try:
        edge = to_edge_transform_and_lower(_mended(exported), partitioner=[executorch_quantization.partitioner(form)])
        compiled = edge.to_executorch(
            ExecutorchBackendConfig(segment_alignment=CONSTANT_ALIGNMENT, constant_tensor_alignment=CONSTANT_ALIGNMENT)
        )
    except Exception as error:
        raise DeployError(
            f"The model cannot be lowered to ExecuTorch: {first_line(error)}",
            "Replace the operator that the text names, or build for another runtime.",
        ) from error
    plan = compiled.executorch_program.execution_plan[0]
    _check_sizes(plan, program.facts)
    layers = executorch_quantization.states(program, form, edge.exported_program())
    artifact.write_bytes(compiled.buffer)
    notes = {"delegates": str(len(plan.delegates)), "planned_bytes": str(sum(plan.non_const_buffer_sizes))}
    return Lowered(notes, layers)


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> ExecutorchSession:
    """Loads a program after its kernels."""
    runtime = _runtime()
    load_libraries(libraries, "executorch", _register)
    if threads:
        runtime._unsafe_reset_threadpool(threads)  # unsafe while a model of the process runs
    try:
        module = runtime._load_for_executorch(str(artifact))
        module.method_meta("forward")  # the file is not read before it is asked for something
    except RuntimeError as error:
        raise DeployError(
            f"{artifact.name} does not load in ExecuTorch {installed.version('executorch')}: {first_line(error)}",
            "Build the bundle again, or give it the op library that it names.",
        ) from error
    with artifact.open("rb") as file:
        return ExecutorchSession(module, mmap(file.fileno(), 0, access=ACCESS_READ))


def _register(library: Path) -> None:
    import ctypes

    _runtime()  # must be in the process first
    ctypes.CDLL(str(library))


def _runtime() -> Any:
    """Imports the runtime alone; `executorch.runtime` would pull in the whole compiler."""
    import_module("torch")  # its libraries must be in the process first
    return import_module("executorch.extension.pybindings._portable_lib")


def _graph(program: Program, form: Form) -> Any:
    """Returns what is lowered: quantized, and with custom ops or their references."""
    exported = executorch_quantization.of_the_weights(program, form)
    if form.decomposed:
        exported = _folded(exported)
    return executorch_quantization.of_the_graph(program, exported, form)


def _folded(exported: Any) -> Any:
    """Computes what depends on constants alone, such as the unpacking of a table, once and not in every call.

    Left to XNNPACK beside work on a batch, such a part gives wrong numbers once the batch grows.
    """
    import torch
    from executorch.exir.passes.constant_prop_pass import constant_prop_pass

    from deploypipe.runtimes import pt2e

    clone, layout = torch.ops.aten.clone.default, {"memory_format": torch.contiguous_format}
    nodes = [node for node in exported.graph.nodes if node.target is clone and node.kwargs == layout]
    for node in nodes:  # the pass takes a memory format for something that varies
        node.target, node.kwargs = _contiguous, {}
    # A tensor that is filled with one value is smaller as an instruction, and one of few bits is as it is.
    left = {node.target for node in exported.graph.nodes if pt2e.dequantizes(node)}
    constant_prop_pass(exported, custom_skip_targets={torch.ops.aten.full.default, *left})
    for node in exported.graph.nodes:
        if node.target is _contiguous:
            node.target, node.kwargs = clone, layout
    exported.graph_module.recompile()
    return exported


def _contiguous(tensor: Any) -> Any:
    return tensor.contiguous()


def _mended(exported: Any) -> Any:
    """Replaces an operator whose kernel is wrong: ExecuTorch 1.4.1 gives remainder(-9, 4) = -1."""
    import torch

    wrong = (torch.ops.aten.remainder.Scalar, torch.ops.aten.remainder.Tensor)
    if not any(node.target in wrong for node in exported.graph.nodes):
        return exported
    return exported.run_decompositions(dict.fromkeys(wrong, _remainder))


def _remainder(dividend: Any, divisor: Any) -> Any:
    """The remainder with the sign of the divisor, from the one with the sign of the dividend."""
    import torch

    rest = torch.fmod(dividend, divisor)
    return torch.where((rest != 0) & ((rest < 0) != (divisor < 0)), rest + divisor, rest)


def _check_sizes(plan: Any, facts: Facts) -> None:
    """Asserts that the memory plan admits every axis at its full range.

    Raises:
        DeployError: The compiler reduced the range, or merged or dropped inputs.
    """
    planned = [tuple(plan.values[index].val.sizes) for index in plan.inputs]
    wanted = [tuple(facts.axes[s].max if isinstance(s, str) else s for s in info.shape) for info in facts.inputs]
    if planned != wanted:
        raise DeployError(
            f"ExecuTorch planned inputs of at most {planned} where {wanted} was asked for",
            "Lower the maximum of the axis, or leave it out of dynamic_axes.",
        )
