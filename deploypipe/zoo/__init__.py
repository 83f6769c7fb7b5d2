"""The models and the data that the project ships, how they are trained and how they are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploypipe.spec import ModelSpec

MODELS: dict[str, str] = {
    "mlp": "Two hidden layers of 512, fully connected",
    "lltm": "An image read row by row by an LLTM with 128 cells (custom op lltm)",
    "gcwsnet": "256 consistent weighted samples, embedded and summed (custom op cws)",
    "mobilenet_v3_small": "torchvision's MobileNetV3-Small on images enlarged to 64x64",
}
DATA: dict[str, str] = {
    "digits": "1797 images of 8x8 that come with scikit-learn",
    "fashion-mnist": "70000 images of 28x28, downloaded or read from --data-dir",
}

Progress = Callable[[int, int, float], None]
"""Called after each epoch with the epochs done, the epochs in all, and the mean training loss."""


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Attributes:
        accuracy: Share of the held-out images that eager PyTorch gets right, in percent.
        epochs: Passes over the training images.
        seconds: Wall time of the training, without reading the data.
        path: The checkpoint.
    """

    accuracy: float
    epochs: int
    seconds: float
    path: Path


def train(
    name: str,
    data: str = "digits",
    data_dir: Path | None = None,
    epochs: int | None = None,
    seed: int = 0,
    *,
    out: Path,
    progress: Progress | None = None,
    weights: Path | None = None,
) -> TrainResult:
    """Trains a model of the zoo and writes its checkpoint.

    Args:
        name: A name of `MODELS`.
        data: A name of `DATA`.
        data_dir: Folder with the IDX files of fashion-mnist; None downloads them.
        epochs: Passes over the training images; None takes what the model's recipe says.
        seed: Of the initial weights, the order of the images and, for digits, the split. The same
            seed on the same machine gives the same weights; no global random state is changed.
        out: The checkpoint to write, a safetensors file.
        progress: Called after each epoch.
        weights: Start from this file (ours, or a state dict in `.safetensors` or `.pth` form) instead
            of random weights; a head for another number of classes is left out.

    Raises:
        DeployError: An unknown name, data that cannot be had, or a file that cannot be read or written.
    """
    from deploypipe.zoo.job import Job

    return Job.make(name, data, data_dir, seed).run(epochs, out, progress, weights)


def trained(
    name: str,
    data: str = "digits",
    data_dir: Path | None = None,
    seed: int = 0,
    *,
    progress: Progress | None = None,
    force: bool = False,
) -> tuple[Path, bool]:
    """Returns the checkpoint of a model trained by its recipe, and whether the cache had it already.

    The cache is keyed by the data, the initial weights, the recipe, and the sources of all that takes
    part in training. The arguments are those of `train`; `force` trains again.
    """
    from deploypipe.zoo.job import Job

    return Job.make(name, data, data_dir, seed).cached(progress, force)


def spec(name: str, data: str = "digits", data_dir: Path | None = None, checkpoint: Path | None = None) -> ModelSpec:
    """Makes the ModelSpec of a trained model: one input `image` float32[B,C,H,W], one output `logits`.

    `evaluate` scores the held-out images in percent; `calibration` is drawn from the training images.

    Args:
        name: A name of `MODELS`.
        data: A name of `DATA`, the one that the checkpoint was trained on.
        data_dir: Folder with the IDX files of fashion-mnist; None downloads them.
        checkpoint: A file that `train` has written. For mobilenet_v3_small also a plain state dict
            in `.safetensors` or `.pth` form. None trains the model, or takes it from the cache.

    Raises:
        DeployError: An unknown name, data that cannot be had, or a checkpoint of another model or data.
    """
    from deploypipe.zoo.deploy import model_spec

    return model_spec(name, data, data_dir, checkpoint)
