"""ONNX Runtime: one `.onnx` file with custom ops as nodes and a function body for each.

With the op library registered the nodes run natively; without it ONNX Runtime inlines the bodies itself.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import installed
from deploypipe.availability import Availability
from deploypipe.errors import DeployError
from deploypipe.precision import Refusal
from deploypipe.runtimes.protocol import Form, Lowered

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import nn

    from deploypipe.capture import Program
    from deploypipe.tensors import TensorInfo

    Array = np.ndarray[Any, Any]

NAME = "onnxruntime"
DESCRIPTION = "ONNX Runtime, for servers, desktop apps and the browser"
ARTIFACT = "model.onnx"
PRECISIONS: tuple[str, ...] = ("fp32", "int8-dynamic", "int8-static", "int4-weight")
REFUSED: Mapping[str, Refusal] = {
    "bf16": Refusal("its CPU provider has no bfloat16 kernel for a product, a sum or a Relu", "int8-dynamic"),
    "int8-weight": Refusal(
        "its product of floats and 8-bit weights takes 12 times as long as one of floats alone", "int8-dynamic"
    ),
}
BINDING = "onnxruntime"
DECOMPOSES = False
PORTABLE = True
PLANS_MEMORY = False
PACKAGE = "onnxruntime"
MIN_VERSION = "1.21"
EXTRA = "onnxruntime"


@dataclass(frozen=True)
class OnnxSession:
    """A loaded model, and what it was loaded from, so that it can be loaded again to be profiled."""

    session: Any
    artifact: Path
    libraries: tuple[Path, ...]

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Runs the model once."""
        names = [each.name for each in self.session.get_inputs()]
        return tuple(self.session.run(None, dict(zip(names, inputs, strict=True))))

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str]) -> dict[str, str]:
        """Profiles one run: a custom op that has a node of its own is native, else ORT inlined its body."""
        executed = {event.get("args", {}).get("op_name") for event in self.profile(inputs, 1)}
        return {op: "native" if op.split("::")[1] in executed else "inlined" for op in ops}

    def profile(self, inputs: Sequence[Array], runs: int) -> list[dict[str, Any]]:
        """Returns what ONNX Runtime's profiler notes of some runs, in a session of its own with one thread.

        Returns:
            Events of the trace format of Chrome, in microseconds: `model_run` for each run, and its nodes.
        """
        with tempfile.TemporaryDirectory() as folder:
            options = _options(self.libraries)
            options.intra_op_num_threads = 1
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            profiled = OnnxSession(_session(self.artifact, options), self.artifact, self.libraries)
            for _ in range(runs):
                profiled.run(inputs)
            found: list[dict[str, Any]] = json.loads(Path(profiled.session.end_profiling()).read_text())
        return found


def available() -> Availability:
    """Needs onnx and onnxscript to lower, onnxruntime to verify."""
    return installed.extra(EXTRA)


def version() -> str | None:
    """Returns the installed version."""
    return installed.version(PACKAGE)


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those that have such a form."""
    from deploypipe.runtimes.quantized_forms import quantized_forms

    return quantized_forms(module, form)


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Exports the graph with the ops of libraries as nodes and adds their function bodies, then quantizes.

    Raises:
        DeployError: The graph cannot be exported or quantized as asked; the text says why.
    """
    import onnx

    from deploypipe.runtimes.onnx import found, origins

    exported = _exported(program, form)
    model = _quantized(exported, program, form)
    layers = found.states(exported, model, program.layers, form)
    origins.strip(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, artifact)
    opset = next(each.version for each in model.opset_import if not each.domain)
    return Lowered({"opset": str(opset), "ir_version": str(model.ir_version)}, layers)


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> OnnxSession:
    """Loads a model, with op libraries or without."""
    options = _options(libraries)
    options.intra_op_num_threads = threads or 0
    return OnnxSession(_session(artifact, options), artifact, tuple(libraries))


def _exported(program: Program, form: Form) -> onnx.ModelProto:
    from deploypipe.runtimes import onnx_ops
    from deploypipe.runtimes.onnx import constants, kept_float

    facts = program.facts
    exported = kept_float.mark(program.decomposed()) if form.decomposed else program.exported()
    ops = () if form.decomposed else facts.ops
    model = _export(exported, facts.inputs, facts.outputs, onnx_ops.translations(ops))
    constants.fold(model)
    onnx_ops.attach_bodies(model, ops)
    _name_axes(model, facts.inputs)
    return model


def _quantized(model: onnx.ModelProto, program: Program, form: Form) -> onnx.ModelProto:
    """Returns what is shipped; the model that is given does not change."""
    copy: onnx.ModelProto = type(model).FromString(model.SerializeToString())
    if form.precision == "fp32":
        return copy
    from deploypipe.runtimes.onnx import precision

    return precision.quantized(copy, program, form)


def _export(
    exported: Any, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], table: Mapping[Any, Any]
) -> onnx.ModelProto:
    import torch

    from deploypipe.runtimes.onnx_ops import OPSET

    try:
        program = torch.onnx.export(
            exported,
            dynamo=True,
            input_names=[info.name for info in inputs],
            output_names=[info.name for info in outputs],
            opset_version=OPSET,
            custom_translation_table=dict(table),
            verbose=False,
        )
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise DeployError(
            f"The model cannot be exported to ONNX: {lines[-1] if lines else type(error).__name__}",
            "Replace the operator that the text names, or build for another runtime.",
        ) from error
    if program is None:
        raise DeployError("The ONNX exporter returned nothing", "Run again with --debug.")
    model: onnx.ModelProto = program.model_proto
    return model


def _name_axes(model: onnx.ModelProto, infos: Sequence[TensorInfo]) -> None:
    """Gives dynamic axes the user's names throughout, after checking that all of them survived.

    Raises:
        DeployError: The exporter changed an input or fixed an axis.
    """
    if [value.name for value in model.graph.input] != [info.name for info in infos]:
        raise DeployError("The ONNX exporter changed the model's inputs", "Build for another runtime.")
    renamed: dict[str, str] = {}
    for value, info in zip(model.graph.input, infos, strict=True):
        for dim, size in zip(value.type.tensor_type.shape.dim, info.shape, strict=True):
            if isinstance(size, str) != bool(dim.dim_param):
                raise DeployError(
                    f"The ONNX exporter fixed the axis {size} of {info.name} to {dim.dim_value}",
                    "Leave it out of dynamic_axes, or build for another runtime.",
                )
            if dim.dim_param:
                renamed[dim.dim_param] = str(size)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in renamed:
                dim.dim_param = renamed[dim.dim_param]


def _options(libraries: Sequence[Path]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for library in libraries:
        try:
            options.register_custom_ops_library(str(library))
        except Exception as error:
            raise DeployError(
                f"The op library {library.name} does not load in ONNX Runtime {onnxruntime.__version__}: {error}",
                f"Install onnxruntime {MIN_VERSION} or newer, or build the bundle again on this platform.",
            ) from error
    return options


def _session(artifact: Path, options: Any) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(artifact, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DeployError(
            f"{artifact.name} does not load in ONNX Runtime {onnxruntime.__version__}: {error}",
            "Build the bundle again.",
        ) from error
