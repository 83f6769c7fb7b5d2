"""What lies between an app's data and a model's tensors: stated in the manifest, done alike in every language.

docs/bundle-format.md gives the arithmetic; what is here is its reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deploypipe.errors import DeployError, nearest
from deploypipe.tensors import AxisRange, TensorInfo

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# ITU-R BT.601: how bright the eye finds red, green and blue.
LUMA = (0.299, 0.587, 0.114)
CHANNELS = {"gray": 1, "rgb": 3}
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resize(_Strict):
    """A change of an image's size, rows first, then columns.

    Attributes:
        height: Rows after it.
        width: Columns after it.
        method: `area` averages what a pixel covers; `bilinear` takes what lies at its centre.
    """

    height: int = Field(ge=1, le=16384)
    width: int = Field(ge=1, le=16384)
    method: Literal["area", "bilinear"]


class ImageInput(_Strict):
    """How an 8-bit image becomes an input: colour, values from 0 to 1, sizes, `(value - mean) / std`, layout.

    Attributes:
        kind: What it is.
        color: What the channels of the tensor are.
        layout: Order of its axes; N is 1.
        resize: One step after the other; an image of any size is taken where there are some.
        mean: One per channel.
        std: One per channel.
    """

    kind: Literal["image"] = "image"
    color: Literal["gray", "rgb"]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    resize: tuple[Resize, ...] = Field(default=(), max_length=8)
    mean: tuple[_Finite, ...]
    std: tuple[_Positive, ...]

    @model_validator(mode="after")
    def _has_a_value_per_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == CHANNELS[self.color]:
            raise ValueError(f"a {self.color} image needs {CHANNELS[self.color]} values of mean and of std")
        return self


class ClassOutput(_Strict):
    """How a row of an output becomes classes.

    Attributes:
        kind: What it is.
        labels: Names of the classes, in the order of the last axis.
        softmax: The values are logits; else they are taken as probabilities.
    """

    kind: Literal["classes"] = "classes"
    labels: tuple[str, ...] = Field(min_length=1)
    softmax: bool = True


class Processing(_Strict):
    """What an app may leave to the SDK; names that are missing are plain tensors.

    Attributes:
        inputs: By the name of the input.
        outputs: By the name of the output.
    """

    inputs: dict[str, ImageInput] = {}
    outputs: dict[str, ClassOutput] = {}

    def describe(self) -> list[str]:
        """Returns one line per input and output that it says something of."""
        images = [f"{name}: {image.color} image{_size(image)}" for name, image in self.inputs.items()]
        return images + [f"{name}: {len(each.labels)} classes" for name, each in self.outputs.items()]


def _size(image: ImageInput) -> str:
    return f", resized to {image.resize[-1].height}x{image.resize[-1].width}" if image.resize else ""


def check(
    processing: Processing,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    axes: Mapping[str, AxisRange],
) -> None:
    """Checks that a model has what its processing names, in shapes that fit.

    Raises:
        DeployError: It does not; the text says what.
    """
    for name, image in processing.inputs.items():
        _check_image(_named(name, inputs, "input"), image, axes)
    for name, classes_ in processing.outputs.items():
        _check_classes(_named(name, outputs, "output"), classes_)


def _named(name: str, infos: Sequence[TensorInfo], side: str) -> TensorInfo:
    known = {info.name: info for info in infos}
    if name not in known:
        raise DeployError(f"The processing names an unknown {side} '{name}'", nearest(name, list(known)))
    return known[name]


def _check_image(info: TensorInfo, image: ImageInput, axes: Mapping[str, AxisRange]) -> None:
    last = image.resize[-1] if image.resize else None
    height, width = (last.height, last.width) if last else (None, None)
    channels = CHANNELS[image.color]
    wanted = (1, channels, height, width) if image.layout == "NCHW" else (1, height, width, channels)
    fits = (
        info.dtype == "float32"
        and len(info.shape) == len(wanted)
        and all(_takes(axis, size, axes) for axis, size in zip(info.shape, wanted, strict=True))
    )
    if not fits:
        shape = ",".join("any" if size is None else str(size) for size in wanted)
        raise DeployError(
            f"The processing gives float32[{shape}] to {info.describe()}", "Correct its layout, color or resize."
        )


def _takes(axis: int | str, size: int | None, axes: Mapping[str, AxisRange]) -> bool:
    if size is None or axis == size:
        return True
    return isinstance(axis, str) and (axis not in axes or axes[axis].min <= size <= axes[axis].max)


def _check_classes(info: TensorInfo, classes_: ClassOutput) -> None:
    if not info.dtype.startswith("float") or not info.shape or info.shape[-1] != len(classes_.labels):
        raise DeployError(
            f"The processing has {len(classes_.labels)} labels for {info.describe()}",
            "Give one label for each value of the last axis, which is a float of fixed size.",
        )


def prepare(image: Array, info: ImageInput) -> Array:
    """Makes the tensor that a model takes for an image.

    Args:
        image: uint8[H,W], or uint8[H,W,C] with 1 (gray), 3 (RGB) or 4 (RGBA) channels; alpha is ignored.
        info: What the manifest says of the input.

    Returns:
        float32[1,C,H,W] or float32[1,H,W,C], as `info.layout` says.

    Raises:
        DeployError: It is no such image.
    """
    import numpy as np

    planes = _coloured(_channels_first(image), info.color) / 255
    for step in info.resize:
        rows = _weights(step.height, planes.shape[1], step.method)
        columns = _weights(step.width, planes.shape[2], step.method)
        planes = rows @ planes @ columns.T
    mean, std = (np.array(values).reshape(-1, 1, 1) for values in (info.mean, info.std))
    tensor = ((planes - mean) / std).astype(np.float32)[None]
    return np.ascontiguousarray(tensor if info.layout == "NCHW" else tensor.transpose(0, 2, 3, 1))


def _channels_first(image: Array) -> Array:
    """Returns float64[C,H,W] of the 8-bit values."""
    import numpy as np

    array = np.asarray(image)
    planes = array[:, :, None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or planes.ndim != 3 or planes.shape[2] not in (1, 3, 4) or not array.size:
        shape = ",".join(str(size) for size in array.shape)
        raise DeployError(
            f"The image is {array.dtype}[{shape}]", "Give uint8[height,width] or uint8[height,width,1, 3 or 4]."
        )
    return planes.transpose(2, 0, 1).astype(np.float64)


def _coloured(planes: Array, color: str) -> Array:
    import numpy as np

    gray = len(planes) == 1
    if color == "rgb":
        return np.repeat(planes, 3, axis=0) if gray else planes[:3]
    if gray:
        return planes
    red, green, blue = planes[:3]
    luma: Array = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[None]
    return luma


def _weights(size: int, old: int, method: str) -> Array:
    """Returns the matrix float64[size,old] that resizes an axis."""
    import numpy as np

    if method == "area":
        edges = np.arange(size + 1) * old / size
        cells = np.arange(old)
        overlap: Array = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
        return overlap.clip(0) / (old / size)
    centre = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    weight: Array = 1 - np.abs(centre[:, None] - np.arange(old))
    return weight.clip(0)


def classes(row: Array, info: ClassOutput) -> list[tuple[str, float]]:
    """Names the classes of one row of an output, the most probable first; of equals the first in order comes first.

    Args:
        row: Float values, one per label; further axes of size 1 before them are allowed.
        info: What the manifest says of the output.

    Returns:
        Label and probability of every class.

    Raises:
        DeployError: There are more or fewer values than labels.
    """
    import numpy as np

    values = np.asarray(row, np.float64)
    if values.shape[-1:] != (len(info.labels),) or values.size != len(info.labels):
        shape = ",".join(str(size) for size in values.shape)
        raise DeployError(f"[{shape}] is not one row of {len(info.labels)} classes", "Give one row of the output.")
    values = values.reshape(-1)
    if info.softmax:
        powers = np.exp(values - values.max())
        values = powers / powers.sum()
    order = np.argsort(-values, kind="stable")
    return [(info.labels[index], float(values[index])) for index in order]
