"""A recurrent classifier: the image is a sequence of rows, read by an LLTM."""

from __future__ import annotations

import torch
from torch import nn

from deploypipe.ops import LLTM
from deploypipe.zoo.definition import Definition, Recipe, Shape


class RowReader(nn.Module):
    """Rows of an image to logits, from the last hidden state.

    Args:
        row_size: Values of one row over all channels.
        classes: Logits.
        hidden: Cells of the LLTM.
    """

    def __init__(self, row_size: int, classes: int = 10, hidden: int = 128) -> None:
        super().__init__()
        self.lltm = LLTM(row_size, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Takes image float32[B,C,H,W], returns logits float32[B,classes]."""
        rows = image.permute(2, 0, 1, 3).flatten(2)
        _, (h, _) = self.lltm(rows)
        logits: torch.Tensor = self.head(h)
        return logits


def build(shape: Shape, classes: int, _seed: int) -> RowReader:
    """Makes the network for images of a shape."""
    channels, _, width = shape
    return RowReader(channels * width, classes)


MODEL = Definition(
    build,
    recipes={
        "digits": Recipe(epochs=60, learning_rate=2e-2, label_smoothing=0.1),
        "fashion-mnist": Recipe(epochs=8, learning_rate=5e-3, batch_size=128, label_smoothing=0.1),
    },
    ops=True,
)
