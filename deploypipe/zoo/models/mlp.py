"""The multi-layer perceptron: 784-512-512-10 for an image of 28x28, sized to its input for others."""

from __future__ import annotations

import math

import torch
from torch import nn

from deploypipe.zoo.definition import Definition, Recipe, Shape


class MLP(nn.Module):
    """Pixels to logits through two hidden layers.

    Args:
        in_features: Pixels of an image.
        classes: Logits.
        hidden: Width of both hidden layers.
    """

    def __init__(self, in_features: int, classes: int = 10, hidden: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Takes image float32[B,C,H,W], returns logits float32[B,classes]."""
        logits: torch.Tensor = self.layers(image)
        return logits


def build(shape: Shape, classes: int, _seed: int) -> MLP:
    """Makes the network for images of a shape."""
    return MLP(math.prod(shape), classes)


MODEL = Definition(
    build,
    recipes={
        "digits": Recipe(epochs=20, learning_rate=3e-3, weight_decay=0.01),
        "fashion-mnist": Recipe(epochs=10, learning_rate=2e-3, batch_size=128, weight_decay=0.01),
    },
)
