"""GCWSNet: consistent weighted samples of the pixels, each looked up in a table of its own, and summed."""

from __future__ import annotations

import math

import torch
from torch import nn

from deploypipe.ops import CWS
from deploypipe.ops.hash_sum import HashSum
from deploypipe.zoo.definition import Definition, Recipe, Shape


class GCWSNet(nn.Module):
    """A linear or one-hidden-layer classifier on hashes of nonnegative data.

    Args:
        in_features: Pixels of an image.
        classes: Logits.
        num_hashes: k.
        bits: Low bits of the index that are kept; None keeps all, up to 8.
        t_bits: Low bits of t that are kept.
        hidden: Width of the hidden layer; 0 makes the head linear.
        seed: Of the hash parameters.
        storage: Of the hash parameters; see `CWS`.
    """

    def __init__(
        self,
        in_features: int,
        classes: int = 10,
        num_hashes: int = 256,
        *,
        bits: int | None = None,
        t_bits: int = 0,
        hidden: int = 0,
        seed: int = 0,
        storage: str = "float32",
    ) -> None:
        super().__init__()
        bits = min(8, math.ceil(math.log2(in_features))) if bits is None else bits
        self.cws = CWS(in_features, num_hashes, seed, storage)
        self.sum = HashSum(num_hashes, bits, t_bits, hidden or classes)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(hidden, classes)) if hidden else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Takes image float32[B,C,H,W] with no negative value, returns logits float32[B,classes]."""
        index, t = self.cws(image.flatten(1))
        logits: torch.Tensor = self.head(self.sum(index, t))
        return logits


def build(shape: Shape, classes: int, seed: int) -> GCWSNet:
    """Makes the network for images of a shape, with hash parameters from the seed."""
    return GCWSNet(math.prod(shape), classes, t_bits=2, seed=seed)


MODEL = Definition(
    build,
    recipes={
        "digits": Recipe(12, learning_rate=2e-2, weight_decay=0.5, label_smoothing=0.1),
        "fashion-mnist": Recipe(5, learning_rate=1e-2, batch_size=128, label_smoothing=0.1),
    },
    ops=True,
)
