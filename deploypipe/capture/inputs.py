"""Inputs of chosen sizes, made from what the user gave: for the export and for the golden vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deploypipe.spec import Axis, ModelSpec

if TYPE_CHECKING:
    import torch

# A convolution exported with a batch under 16 caps the batch of an XNNPACK program at 15 (its algorithm
# choice guards on the size), and sizes that coincide could be taken for one axis.
EXPORT_SIZE = 17


def axes_of(spec: ModelSpec) -> dict[str, Axis]:
    """Returns the dynamic axes of a resolved spec by name, in order of appearance."""
    return {axis.name: axis for dims in (spec.dynamic_axes or {}).values() for axis in _axes(dims)}


def _axes(dims: Mapping[int, str | Axis]) -> list[Axis]:
    return [axis for axis in dims.values() if isinstance(axis, Axis)]


def export_sizes(axes: Mapping[str, Axis]) -> dict[str, int]:
    """Returns a size per axis to export with: large enough, and all different."""
    return {
        name: max(axis.min, min(axis.max, EXPORT_SIZE + number)) for number, (name, axis) in enumerate(axes.items())
    }


def golden_sizes(axes: Mapping[str, Axis]) -> list[dict[str, int]]:
    """Returns two sets of sizes other than the exported ones: the smallest, and a small odd one.

    A range that is too narrow for that gives what it has.
    """
    exported = export_sizes(axes)
    pairs = {name: _two_sizes(axis, exported[name], 5 + 2 * number) for number, (name, axis) in enumerate(axes.items())}
    return [{name: pair[place] for name, pair in pairs.items()} for place in (0, 1)]


def _two_sizes(axis: Axis, exported: int, odd: int) -> list[int]:
    wanted = (axis.min, odd, axis.min + 1, axis.min + 2, axis.max)
    usable = dict.fromkeys(size for size in wanted if axis.min <= size <= axis.max and size != exported)
    return [*usable, exported, exported][:2]


def enlarged(spec: ModelSpec, sizes: Mapping[str, int]) -> tuple[torch.Tensor, ...]:
    """Returns the example inputs with their dynamic axes repeated up to the sizes."""
    return tuple(
        _repeated(tensor.detach(), _dims(spec, name, sizes)).clone()
        for name, tensor in zip(spec.input_names, spec.example_inputs, strict=True)
    )


def drawn(spec: ModelSpec, sizes: Mapping[str, int], seed: int) -> tuple[torch.Tensor, ...]:
    """Returns inputs of the sizes, with rows of the calibration data or values like the example's."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    batches = tuple(spec.calibration or ())
    if batches and _only_batched(spec):
        return _rows(batches, next(iter(sizes.values()), None), generator)
    return tuple(
        _like(tensor.detach(), _dims(spec, name, sizes), generator)
        for name, tensor in zip(spec.input_names, spec.example_inputs, strict=True)
    )


def _dims(spec: ModelSpec, name: str, sizes: Mapping[str, int]) -> dict[int, int]:
    dims = (spec.dynamic_axes or {}).get(name, {})
    return {dim: sizes[axis.name] for dim, axis in dims.items() if isinstance(axis, Axis)}


def _repeated(tensor: torch.Tensor, dims: Mapping[int, int]) -> torch.Tensor:
    import torch

    for dim, size in dims.items():
        if tensor.shape[dim]:
            tensor = tensor.index_select(dim, torch.arange(size) % tensor.shape[dim])
        else:
            tensor = tensor.new_zeros([*tensor.shape[:dim], size, *tensor.shape[dim + 1 :]])
    return tensor


def _only_batched(spec: ModelSpec) -> bool:
    """Tells whether axis 0, one axis for all inputs, is all that is dynamic: rows can then be mixed."""
    axes = [dict(dims) for dims in (spec.dynamic_axes or {}).values()]
    return len(axes) == len(spec.input_names) and all(list(dims) == [0] for dims in axes) and len(axes_of(spec)) == 1


def _rows(
    batches: tuple[tuple[torch.Tensor, ...], ...], size: int | None, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    import torch

    columns = [torch.cat(column) for column in zip(*batches, strict=True)]
    chosen = torch.randint(columns[0].shape[0], (size or 1,), generator=generator)
    return tuple(column[chosen].clone() for column in columns)


def _like(tensor: torch.Tensor, dims: Mapping[int, int], generator: torch.Generator) -> torch.Tensor:
    """Draws each element from those of the example; a constant float example becomes uniform noise."""
    import torch

    shape = [dims.get(dim, size) for dim, size in enumerate(tensor.shape)]
    flat = tensor.flatten()
    if tensor.is_floating_point() and (flat.numel() == 0 or bool((flat == flat[0]).all())):
        return torch.rand(shape, generator=generator, dtype=tensor.dtype)
    chosen = torch.randint(max(flat.numel(), 1), shape, generator=generator)
    return flat[chosen]
