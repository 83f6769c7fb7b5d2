"""torchvision's MobileNetV3-Small on images enlarged to 64x64, trained from scratch or from given weights."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from deploypipe.zoo.definition import Definition, Recipe, Shape
from deploypipe.zoo.vision import import_torchvision

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

SIZE = 64
# The statistics of ImageNet, which torchvision's own weights expect.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def enlarge(images: Array) -> Array:
    """Turns gray images float32[N,1,H,W] in 0 to 1 into normalised colour images float32[N,3,64,64]."""
    rows, columns = (_bilinear(size) for size in images.shape[2:])
    large = rows @ images @ columns.T
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    normalized: Array = np.asarray((large - mean) / std, np.float32)
    return normalized


@functools.cache
def _bilinear(size: int) -> Array:
    """Returns the matrix float32[64,size] that enlarges an axis, pixel centres aligned as in torch."""
    centre = np.clip((np.arange(SIZE) + 0.5) * size / SIZE - 0.5, 0, size - 1)
    weight: Array = np.maximum(1 - np.abs(centre[:, None] - np.arange(size)), 0)
    return weight.astype(np.float32)


def build(_shape: Shape, classes: int, _seed: int) -> nn.Module:
    """Makes the network for a number of classes."""
    # torchvision's momentum of 0.01 needs thousands of steps; the recipes have a few hundred.
    norm = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
    network: nn.Module = import_torchvision().models.mobilenet_v3_small(num_classes=classes, norm_layer=norm)
    return network


MODEL = Definition(
    build,
    recipes={
        "digits": Recipe(10, 3e-3, weight_decay=0.01, label_smoothing=0.1, channels_last=True),
        "fashion-mnist": Recipe(1, 3e-3, weight_decay=0.01, label_smoothing=0.1, channels_last=True),
    },
    prepare=enlarge,
    foreign_weights=True,
)
