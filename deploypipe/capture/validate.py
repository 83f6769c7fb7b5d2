"""Checks of a ModelSpec, and the filling in of what it leaves out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, nearest
from deploypipe.processing import Processing
from deploypipe.spec import DEFAULT_MAX_SIZE, Axis, ModelSpec

if TYPE_CHECKING:
    import torch


def resolve(spec: ModelSpec) -> ModelSpec:
    """Returns the spec with every optional part filled in and checked, its module in eval mode.

    Raises:
        DeployError: The spec contradicts itself.
    """
    if not isinstance(spec, ModelSpec):
        raise DeployError(f"The model is a {type(spec).__name__}", "Return a deploypipe.ModelSpec.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", spec.name):
        raise DeployError(f"The model name '{spec.name}' cannot be a folder", "Use letters, digits, - and _.")
    _check_module(spec.module)
    _check_processing(spec.processing)
    inputs = _tensors(spec.example_inputs)
    names = _names(spec.input_names, "input", len(inputs))
    axes = _axes(spec.dynamic_axes, names, inputs)
    spec.module.eval()
    return dataclasses.replace(
        spec,
        example_inputs=inputs,
        input_names=names,
        dynamic_axes=axes,
        calibration=tuple(_batch(batch, inputs) for batch in spec.calibration or ()),
    )


def output_names(spec: ModelSpec, count: int) -> tuple[str, ...]:
    """Returns the names of the outputs, made up where the spec gives none.

    Raises:
        DeployError: There are more or fewer, or one is the name of an input.
    """
    names = _names(spec.output_names, "output", count)
    if both := [name for name in names if name in spec.input_names]:
        raise DeployError(f"'{both[0]}' is the name of an input and of an output", "Rename one of them.")
    return names


def _check_module(module: Any) -> None:
    import torch

    if not isinstance(module, torch.nn.Module):
        raise DeployError(f"The module of the model is a {type(module).__name__}", "Give a torch.nn.Module.")


def _check_processing(processing: Any) -> None:
    if processing is not None and not isinstance(processing, Processing):
        raise DeployError(
            f"The processing of the model is a {type(processing).__name__}",
            "Give a deploypipe.processing.Processing, or leave it out.",
        )


def _tensors(example_inputs: Any) -> tuple[torch.Tensor, ...]:
    import torch

    values = example_inputs if isinstance(example_inputs, list | tuple) else (example_inputs,)
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        raise DeployError("example_inputs is not a tuple of tensors", "Give one tensor per argument of forward.")
    return tuple(values)


def _batch(batch: Any, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    tensors = _tensors(batch)
    same = len(tensors) == len(inputs) and all(
        a.dtype == b.dtype and a.ndim == b.ndim for a, b in zip(tensors, inputs, strict=False)
    )
    if not same:
        raise DeployError("A calibration batch is unlike example_inputs", "Use the same count, dtypes and ranks.")
    return tensors


def _names(given: Sequence[str], word: str, count: int) -> tuple[str, ...]:
    if not given:
        return (word,) if count == 1 else tuple(f"{word}_{number}" for number in range(count))
    if len(given) != count or len(set(given)) != count or "" in given:
        raise DeployError(
            f"{word}_names has {len(given)} names ({', '.join(given)}) for {count} {word}s",
            f"Give {count} names that differ.",
        )
    return tuple(given)


def _axes(
    given: Mapping[str, Mapping[int, str | Axis]] | None, names: Sequence[str], inputs: Sequence[torch.Tensor]
) -> dict[str, dict[int, Axis]]:
    by_name = dict(zip(names, inputs, strict=True))
    if given is None:
        return {name: {0: Axis("batch")} for name, tensor in by_name.items() if tensor.ndim}
    for name in given:
        if name not in by_name:
            raise DeployError(f"dynamic_axes names an unknown input '{name}'", nearest(name, list(names)))
    axes = {
        name: {_dimension(name, dim, by_name[name]): _axis(axis) for dim, axis in dims.items()}
        for name, dims in given.items()
    }
    return _unified(axes, by_name)


def _axis(given: str | Axis) -> Axis:
    axis = given if isinstance(given, Axis) else Axis(given)
    if not axis.name.isidentifier():
        raise DeployError(f"An axis cannot have the name '{axis.name}'", "Use letters, digits and underscores.")
    return axis


def _dimension(name: str, dim: int, tensor: torch.Tensor) -> int:
    if not -tensor.ndim <= dim < tensor.ndim:
        raise DeployError(f"Input '{name}' has no axis {dim}", f"It has {tensor.ndim} axes, counted from 0.")
    return dim % tensor.ndim


def _unified(axes: dict[str, dict[int, Axis]], inputs: Mapping[str, torch.Tensor]) -> dict[str, dict[int, Axis]]:
    """Gives axes of one name one range, and checks that the examples agree on their size."""
    ranges: dict[str, Axis] = {}
    sizes: dict[str, int] = {}
    for name, dims in axes.items():
        for dim, axis in dims.items():
            ranges[axis.name] = _merged(ranges.get(axis.name), axis)
            size = int(inputs[name].shape[dim])
            if sizes.setdefault(axis.name, size) != size:
                raise DeployError(
                    f"The axis '{axis.name}' is {sizes[axis.name]} and {size} in the example inputs",
                    "Give axes of different sizes different names.",
                )
    return {name: {dim: ranges[axis.name] for dim, axis in dims.items()} for name, dims in axes.items()}


def _merged(one: Axis | None, other: Axis) -> Axis:
    low = max(one.min, other.min) if one else other.min
    tops = [axis.max for axis in (one, other) if axis and axis.max != DEFAULT_MAX_SIZE]
    high = min(tops, default=DEFAULT_MAX_SIZE)
    if not 0 < low <= high:
        raise DeployError(f"The axis '{other.name}' has the range {low} to {high}", "Let 1 <= min <= max.")
    return Axis(other.name, low, high)
