"""What the project knows about a model of the zoo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

Shape = tuple[int, int, int]
"""Channels, height and width of the images of a data set."""


Prepare = Callable[["Array"], "Array"]
"""Turns images float32[N,1,H,W] of a data set, in 0 to 1, into the input of a model."""


def as_is(images: Array) -> Array:
    """Returns the images unchanged: the preparation of models that read the data as it lies."""
    return images


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of AdamW under a one-cycle learning rate.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: The peak of the cycle.
        batch_size: Images per step.
        weight_decay: Decoupled, as in AdamW.
        label_smoothing: Share of the target that is spread over all classes.
        channels_last: Trains in that memory format, twice as fast for convolutions on a CPU.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 64
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    channels_last: bool = False


@dataclass(frozen=True)
class Definition:
    """A model of the zoo.

    Attributes:
        build: Makes the untrained module from the shape of the images, the classes and the seed.
        recipes: Data name to the recipe for it.
        prepare: Makes the module's input of images.
        ops: The model uses custom ops, so its training depends on their kernels.
        foreign_weights: Plain state dicts from elsewhere fit this architecture.
    """

    build: Callable[[Shape, int, int], torch.nn.Module]
    recipes: Mapping[str, Recipe]
    prepare: Prepare = as_is
    ops: bool = False
    foreign_weights: bool = False
