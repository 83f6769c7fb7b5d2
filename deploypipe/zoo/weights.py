"""Puts the tensors of a file into a module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe.errors import DeployError
from deploypipe.zoo import checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn

    Weights = Mapping[str, torch.Tensor]


def fill(module: nn.Module, weights: Weights, path: Path) -> None:
    """Loads every tensor of the module from the weights of a file.

    Raises:
        DeployError: A tensor is missing, left over, or of another shape.
    """
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        detail = " ".join(str(error).split("\n\t")[1:2]).strip().rstrip(".")
        raise DeployError(
            f"{path} does not fit {type(module).__name__}: {detail}", "Give the checkpoint of this model."
        ) from None


def start_from(module: nn.Module, path: Path) -> None:
    """Loads the tensors of a file that fit, all but those of the head, to train on from there.

    Raises:
        DeployError: Nothing, or more than a head, does not fit.
    """
    weights, _ = checkpoint.read(path)
    own = module.state_dict()
    fitting = {name: value for name, value in weights.items() if _fits(own, name, value)}
    missing = [name for name in own if name not in fitting]
    # A head is one layer: a weight and a bias.
    if len(missing) > 2:
        raise DeployError(
            f"{path} lacks {len(missing)} of the {len(own)} tensors of {type(module).__name__}",
            "Give a file of the same architecture.",
        )
    module.load_state_dict(fitting, strict=False)


def _fits(own: Weights, name: str, value: torch.Tensor) -> bool:
    return name in own and own[name].shape == value.shape
