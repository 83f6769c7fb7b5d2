"""Names, dtypes and shapes of a model's inputs and outputs, and the arrays that are recorded for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class TensorInfo(BaseModel):
    """An input or output of a model.

    Attributes:
        name: As in the artifact.
        dtype: numpy's name, `float32`.
        shape: A size, or the name of a dynamic axis, per dimension.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def describe(self) -> str:
        """Returns it as one would write it: `image float32[batch,1,8,8]`."""
        return f"{self.name} {self.dtype}[{','.join(str(size) for size in self.shape)}]"


class AxisRange(BaseModel):
    """The sizes that a dynamic axis of an artifact takes.

    Attributes:
        min: Smallest size.
        max: Largest size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int
    max: int


@dataclass(frozen=True)
class Case:
    """One golden vector: arrays by name, and the outputs that eager PyTorch gave for them."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]


def save_cases(cases: Sequence[Case], path: Path) -> None:
    """Writes golden vectors to a safetensors file, each tensor as `<case>.<inputs|outputs>.<name>`."""
    import numpy as np
    from safetensors.numpy import save_file

    tensors = {  # not ascontiguousarray, which gives a scalar an axis
        f"{number}.{side}.{name}": np.asarray(array, order="C")
        for number, case in enumerate(cases)
        for side, arrays in (("inputs", case.inputs), ("outputs", case.outputs))
        for name, array in arrays.items()
    }
    save_file(tensors, path)


def load_cases(path: Path, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> list[Case]:
    """Reads what `save_cases` wrote; the arrays of a case are in the order of the inputs and outputs.

    Raises:
        DeployError: The file is truncated or does not hold golden vectors of these inputs and outputs.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        count = 1 + max(_number(key) for key in tensors)
        return [
            Case(
                {info.name: tensors[f"{number}.inputs.{info.name}"] for info in inputs},
                {info.name: tensors[f"{number}.outputs.{info.name}"] for info in outputs},
            )
            for number in range(count)
        ]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The last two come of dtypes that numpy does not have.
        raise DeployError(f"{path.name} holds no golden vectors of it: {error}", "Build the bundle again.") from None


def _number(key: str) -> int:
    """Returns the number of a tensor's case; were it negative, a file could have tensors and no cases."""
    number = key.partition(".")[0]
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"'{key}' does not begin with the number of a case")
    return int(number)


def check_inputs(
    infos: Sequence[TensorInfo], axes: Mapping[str, AxisRange], arrays: Mapping[str, Array]
) -> tuple[Array, ...]:
    """Returns the arrays in the order of the inputs.

    Raises:
        DeployError: An array is missing or too many, or has a wrong dtype or shape; the text says which.
    """
    wanted = ", ".join(info.describe() for info in infos)
    if set(arrays) != {info.name for info in infos}:
        given = ", ".join(sorted(arrays)) or "nothing"
        raise DeployError(f"The inputs are {given}", f"Give exactly: {wanted}.")
    sizes: dict[str, int] = {}
    for info in infos:
        _check(info, axes, arrays[info.name], sizes)
    return tuple(arrays[info.name] for info in infos)


def _check(info: TensorInfo, axes: Mapping[str, AxisRange], array: Array, sizes: dict[str, int]) -> None:
    shape = ",".join(str(size) for size in array.shape)
    wrong = f"Input '{info.name}' is {array.dtype}[{shape}]"
    if str(array.dtype) != info.dtype or array.ndim != len(info.shape):
        raise DeployError(wrong, f"It must be {info.describe()}.")
    for size, wanted in zip(array.shape, info.shape, strict=True):
        if isinstance(wanted, int):
            fits, rule = size == wanted, info.describe()
        elif wanted in axes:
            same = sizes.setdefault(wanted, size)
            low, high = axes[wanted].min, axes[wanted].max
            fits, rule = (
                size == same and low <= size <= high,
                f"{info.describe()} with {wanted} {low} to {high}",
            )
        else:
            fits, rule = True, ""
        if not fits:
            raise DeployError(wrong, f"It must be {rule}.")


def refuse_non_finite(infos: Sequence[TensorInfo], arrays: Sequence[Array]) -> None:
    """Refuses NaN and infinity, for models with an op that is undefined there.

    Raises:
        DeployError: An array holds NaN or infinity.
    """
    import numpy as np

    for info, array in zip(infos, arrays, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DeployError(
                f"Input '{info.name}' holds NaN or infinity, for which an op of this model is undefined",
                "Clean the data before it reaches the model.",
            )
