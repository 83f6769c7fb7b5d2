"""Program: the exported graph of a model, the sizes that it admits and the answers that it must give."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from deploypipe import layers, processing
from deploypipe.capture.deployed import deployed
from deploypipe.capture.inputs import axes_of, drawn, enlarged, export_sizes, golden_sizes
from deploypipe.capture.validate import output_names
from deploypipe.errors import DeployError, first_line
from deploypipe.layers import Layer
from deploypipe.parity import metric_for
from deploypipe.predict import CHUNK, batch_axis, chunked, scores_of
from deploypipe.processing import Processing
from deploypipe.spec import Axis, ModelSpec, Predict
from deploypipe.tensors import AxisRange, Case, TensorInfo, load_cases, save_cases

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

GRAPH, GOLDEN, FACTS = "program.pt2", "golden.safetensors", "program.json"
BUILTIN = {"aten", "prim", "prims", "higher_order", "quantized", "quantized_decomposed", "torchao", "_", "sym"}


class Facts(BaseModel):
    """What is known of a program beside its graph; stored as JSON."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    axes: dict[str, AxisRange]
    ops: tuple[str, ...]
    scores: dict[str, float]
    layers: tuple[Layer, ...] = ()


Prepare = Callable[["torch.nn.Module"], "torch.nn.Module"]
"""Makes the module that is exported of the one that the user gave."""


@dataclass(frozen=True)
class Program:
    """A captured model.

    Attributes:
        spec: The resolved spec that it was captured from.
        folder: Where its graph and golden vectors lie.
        facts: Inputs, outputs, axes, custom ops as `namespace::name`, the scores of eager PyTorch, and the
            layers of the user's module.
        key: Digest of what it was captured from, or None where that cannot be told.
        prepare: What was done to the module before the export.
    """

    spec: ModelSpec
    folder: Path
    facts: Facts
    key: str | None = None
    prepare: Prepare | None = None

    @classmethod
    def load(cls, spec: ModelSpec, folder: Path, key: str | None = None, prepare: Prepare | None = None) -> Program:
        """Reads a program that `capture` wrote."""
        return cls(spec, folder, Facts.model_validate_json((folder / FACTS).read_text()), key, prepare)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the user's module."""
        return self.facts.layers

    def exported(self) -> ExportedProgram:
        """Returns the graph."""
        import torch

        exported: ExportedProgram = torch.export.load(self.folder / GRAPH)
        return exported

    def decomposed(self) -> ExportedProgram:
        """Returns the graph with every custom op replaced by its reference.

        Raises:
            DeployError: The reference of an op cannot follow a dynamic axis.
        """
        from deploypipe.oplib import registry

        exported = self.exported()
        if not self.facts.ops:
            return exported
        try:
            decomposed: ExportedProgram = exported.run_decompositions(registry.references(self.facts.ops))
        except Exception as error:
            raise self._not_decomposed(first_line(error)) from error
        if fixed := _fixed_axis(decomposed, self.facts.inputs):
            raise self._not_decomposed(f"the axis {fixed} becomes fixed")
        return decomposed

    def module(self) -> torch.nn.Module:
        """Returns the module that the graph was exported from: the model prepared, in its deployed form."""
        return _form(self.spec.module, self.prepare)

    def _not_decomposed(self, reason: str) -> DeployError:
        return DeployError(
            f"{', '.join(self.facts.ops)} cannot be decomposed: {reason}",
            "Make the axis that its reference loops over static, or use native ops.",
        )

    def golden(self) -> list[Case]:
        """Returns the golden vectors."""
        return load_cases(self.folder / GOLDEN, self.facts.inputs, self.facts.outputs)


def capture(spec: ModelSpec, max_size: int | None, folder: Path, prepare: Prepare | None = None) -> None:
    """Exports a resolved spec and records its golden vectors and its score, into an empty folder.

    Golden vectors and score are those of the user's module, whatever is exported.

    Args:
        spec: What `resolve` returned.
        max_size: Upper bound on dynamic axes, for runtimes that plan memory ahead; None leaves them.
        folder: Receives the graph, the golden vectors and the facts.
        prepare: Makes the module that is exported, for forms that are not fp32.

    Raises:
        DeployError: The module fails on its example, cannot be exported with its dynamic axes, gives
            something that is not a tensor, or uses an op that no op library provides, or its processing
            does not fit its inputs and outputs.
    """
    import torch

    axes = {name: _capped(axis, max_size) for name, axis in axes_of(spec).items()}
    with torch.no_grad():
        _try(spec, spec.example_inputs)
        module = _form(spec.module, prepare)
        exported = _export(spec, axes, module, exact=prepare is None)
        ops = custom_ops(exported)
        inputs, outputs = _tensor_infos(spec, exported)
        ranges = {name: AxisRange(min=axis.min, max=axis.max) for name, axis in axes.items()}
        processing.check(spec.processing or Processing(), inputs, outputs, ranges)
        facts = Facts(
            inputs=inputs,
            outputs=outputs,
            axes=ranges,
            ops=ops,
            scores=dict(spec.baseline or scores_of(spec.evaluate, _eager(spec, inputs, outputs))),
            layers=layers.of(spec.module),
        )
        save_cases(
            [_case(spec, facts, sizes, seed) for seed, sizes in enumerate(golden_sizes(axes))],
            folder / GOLDEN,
        )
    torch.export.save(exported, folder / GRAPH)
    (folder / FACTS).write_text(json.dumps(facts.model_dump(), indent=2))


def custom_ops(exported: ExportedProgram) -> tuple[str, ...]:
    """Returns the custom ops of a graph as `namespace::name`, each known to an op library.

    Raises:
        DeployError: No op library that is loaded provides one of them.
    """
    import torch

    from deploypipe.oplib import registry

    names = {
        node.target._schema.name
        for node in exported.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace not in BUILTIN
    }
    for name in sorted(names):
        registry.provider(name)
    return tuple(sorted(names))


def _capped(axis: Axis, max_size: int | None) -> Axis:
    return Axis(axis.name, axis.min, max(axis.min, min(axis.max, max_size or axis.max)))


def _fixed_axis(exported: ExportedProgram, infos: Sequence[TensorInfo]) -> str | None:
    """Returns the first dynamic axis that a graph holds at one size: a loop over it was unrolled."""
    values = {node.name: node.meta["val"] for node in exported.graph.nodes if node.op == "placeholder"}
    sizes = (
        (size, wanted)
        for name, info in zip(exported.graph_signature.user_inputs, infos, strict=True)
        for size, wanted in zip(values[name].shape, info.shape, strict=True)
    )
    # An axis that was specialised is still symbolic, but its expression is a number.
    return next((wanted for size, wanted in sizes if isinstance(wanted, str) and str(size).isdigit()), None)


def _try(spec: ModelSpec, inputs: tuple[torch.Tensor, ...], given: str = "its example inputs") -> list[torch.Tensor]:
    import torch

    try:
        result = spec.module(*inputs)
    except Exception as error:
        raise DeployError(
            f"The model '{spec.name}' fails on {given}: {type(error).__name__}: {first_line(error)}",
            "Mend it until module(*inputs) works with them.",
        ) from error
    leaves: list[Any] = torch.utils._pytree.tree_leaves(result)
    if not leaves or not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        raise DeployError(f"The model '{spec.name}' returns something that is not a tensor", "Return tensors only.")
    return leaves


def _form(module: torch.nn.Module, prepare: Prepare | None) -> torch.nn.Module:
    return deployed(prepare(module) if prepare else module)


def _export(spec: ModelSpec, axes: dict[str, Axis], module: torch.nn.Module, exact: bool) -> ExportedProgram:
    """Exports the form of a model; `exact` says that it must give the answers of the model itself."""
    import torch

    sizes = export_sizes(axes)
    example = enlarged(spec, sizes)
    given = f"its example inputs repeated to {', '.join(f'{name}={size}' for name, size in sizes.items())}"
    answers = _try(spec, example, given)
    if exact and module is not spec.module:
        _check_form(replace(spec, module=module), example, answers)
    try:
        return torch.export.export(module, example, dynamic_shapes=_dynamic_shapes(spec, module, axes))
    except Exception as error:
        said = f" with {', '.join(axes)} dynamic" if axes else ""
        raise DeployError(
            f"The model '{spec.name}' cannot be exported{said}: {first_line(error)}",
            "Change the part of the model that the text names, or leave the axis out of dynamic_axes.",
        ) from error


def _check_form(spec: ModelSpec, example: tuple[torch.Tensor, ...], answers: Sequence[torch.Tensor]) -> None:
    """Refuses a deployed form that answers otherwise than the model, before every runtime does the same."""
    results = _try(spec, example, "its example inputs in its deployed form")
    if len(results) != len(answers) or not all(map(_close, results, answers)):
        raise DeployError(
            f"The deployed form of the model '{spec.name}' gives other answers than the model",
            "Correct the deployed() of the modules in it.",
        )


def _close(result: torch.Tensor, answer: torch.Tensor) -> bool:
    if result.shape != answer.shape or result.dtype != answer.dtype:
        return False
    one, other = (each.double() if each.is_floating_point() else each for each in (result, answer))
    metric = metric_for(other.numpy())
    return metric.distance(one.numpy(), other.numpy()) <= metric.limit


def _dynamic_shapes(spec: ModelSpec, module: torch.nn.Module, axes: dict[str, Axis]) -> tuple[Any, ...]:
    import torch

    dims = {
        name: torch.export.Dim(name, min=axis.min, max=axis.max) for name, axis in axes.items() if axis.min < axis.max
    }
    shapes = tuple(
        {dim: dims[axis.name] for dim, axis in chosen.items() if isinstance(axis, Axis) and axis.name in dims}
        for chosen in ((spec.dynamic_axes or {}).get(name, {}) for name in spec.input_names)
    )
    parameters = inspect.signature(module.forward).parameters.values()
    variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    return (shapes,) if variadic else shapes


def _tensor_infos(spec: ModelSpec, exported: ExportedProgram) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Reads dtypes and shapes off the graph, with the user's axis names for its symbols."""
    values = {node.name: node.meta.get("val") for node in exported.graph.nodes}
    inputs = [values[name] for name in exported.graph_signature.user_inputs]
    symbols = {
        str(value.shape[dim]): axis.name
        for name, value in zip(spec.input_names, inputs, strict=True)
        for dim, axis in (spec.dynamic_axes or {}).get(name, {}).items()
        if isinstance(axis, Axis)
    }
    outputs = [_output(spec, values, name) for name in exported.graph_signature.user_outputs]
    names = output_names(spec, len(outputs))
    return _infos(spec.input_names, inputs, symbols), _infos(names, outputs, symbols)


def _output(spec: ModelSpec, values: dict[str, Any], name: Any) -> Any:
    if not hasattr(values.get(name), "shape"):
        raise DeployError(f"The model '{spec.name}' has a constant output", "Return only what depends on the input.")
    return values[name]


def _infos(names: Sequence[str], values: Sequence[Any], symbols: dict[str, str]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(
            name=name,
            dtype=_dtype(name, value.dtype),
            shape=tuple(size if isinstance(size, int) else _said(str(size), symbols) for size in value.shape),
        )
        for name, value in zip(names, values, strict=True)
    )


def _dtype(name: str, dtype: torch.dtype) -> str:
    import torch

    said = str(dtype).removeprefix("torch.")
    try:
        torch.empty(0, dtype=dtype).numpy()
    except TypeError:
        raise DeployError(f"'{name}' is of type {said}, which numpy does not have", "Convert it to float32.") from None
    return said


def _said(expression: str, symbols: dict[str, str]) -> str:
    return re.sub(r"\bs\d+\b", lambda match: symbols.get(match.group(), match.group()), expression)


def _eager(spec: ModelSpec, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> Predict:
    """Returns a Predict that runs the module itself, in chunks where a batch can be split."""
    import torch

    def run(*arrays: Any) -> tuple[Any, ...]:
        tensors = tuple(torch.from_numpy(array) for array in arrays)
        return tuple(tensor.numpy() for tensor in _try(spec, tensors, "the inputs of its evaluation"))

    return chunked(run, CHUNK if batch_axis(inputs, outputs) else None)


def _case(spec: ModelSpec, facts: Facts, sizes: dict[str, int], seed: int) -> Case:
    inputs = drawn(spec, sizes, seed)
    outputs = [leaf.numpy() for leaf in _try(spec, inputs)]
    return Case(
        {info.name: tensor.numpy() for info, tensor in zip(facts.inputs, inputs, strict=True)},
        {info.name: array for info, array in zip(facts.outputs, outputs, strict=True)},
    )
