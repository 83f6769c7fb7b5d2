"""ModelSpec: what the pipeline has to know about a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from deploypipe.processing import Processing

Predict = Callable[..., "tuple[np.ndarray[Any, Any], ...]"]
"""Runs a model: numpy arrays in the order of the inputs, a tuple of numpy arrays out."""

Evaluate = Callable[[Predict], "float | Mapping[str, float]"]
"""Scores a `Predict` on held-out data; higher is better, in percent."""

Train = Callable[["torch.nn.Module", int], None]
"""Trains a module in place for a number of epochs, and leaves it in eval mode."""

DEFAULT_MAX_SIZE = 1024


@dataclass(frozen=True)
class Axis:
    """A dynamic axis: axes of one name have one size at run time.

    Attributes:
        name: Shared by every axis that must be of the same size.
        min: Smallest size that the artifact must accept.
        max: Largest size; a target may state a smaller one for runtimes that plan memory for it.
    """

    name: str
    min: int = 1
    max: int = DEFAULT_MAX_SIZE


@dataclass(frozen=True)
class ModelSpec:
    """A trained model and what is needed to lower and judge it.

    Attributes:
        name: Folder name of its bundles: letters, digits, `-` and `_`.
        module: The module in the state it shall be deployed in; it is put into eval mode.
        example_inputs: One tensor per positional argument of `module.forward`.
        input_names: One per example input; `input`, or `input_0`, `input_1`, ... when empty.
        output_names: One per output tensor; `output`, or `output_0`, ... when empty.
        dynamic_axes: Input name to {axis: its name or `Axis`}; None makes axis 0 of every input a
            dynamic batch, and an empty mapping keeps every shape as in the example.
        calibration: Batches of inputs, each a tuple like `example_inputs`; golden vectors are drawn
            from it, and quantizers calibrate on it.
        evaluate: Scores the model in percent through a `Predict`; run in every runtime.
        train: Trains a module like this one on, in place; for what compression changes in it.
        baseline: Scores that count as the model's own, for one that was made from another; None measures them.
        processing: How an app's images become its inputs and its outputs classes; for the SDKs, not for the build.
    """

    name: str
    module: torch.nn.Module
    example_inputs: tuple[torch.Tensor, ...]
    input_names: Sequence[str] = ()
    output_names: Sequence[str] = ()
    dynamic_axes: Mapping[str, Mapping[int, str | Axis]] | None = None
    calibration: Iterable[tuple[torch.Tensor, ...]] | None = field(default=None, repr=False)
    evaluate: Evaluate | None = field(default=None, repr=False)
    train: Train | None = field(default=None, repr=False)
    baseline: Mapping[str, float] | None = None
    processing: Processing | None = None
