"""Checkpoints: the weights of a trained model in a safetensors file that says what they belong to."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import torch

    Weights = Mapping[str, torch.Tensor]

_FAMILY = "deploypipe.checkpoint."
_FORMAT = f"{_FAMILY}1"


class Origin(BaseModel):
    """What a checkpoint belongs to.

    Attributes:
        model: A name of `zoo.MODELS`.
        data: A name of `zoo.DATA`.
        shape: Channels, height and width of the images of the data.
        classes: Number of logits.
        seed: Of the training, and of the split of the data.
        epochs: Passes over the training images.
        accuracy: On the held-out images, in percent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    data: str
    shape: tuple[int, int, int]
    classes: int
    seed: int
    epochs: int
    accuracy: float


def write(path: Path, weights: Weights, origin: Origin) -> None:
    """Writes a checkpoint; it appears by one rename, so an interrupted run leaves no half file.

    Raises:
        DeployError: The file cannot be written.
    """
    from safetensors.torch import save

    content = save({name: value.detach().contiguous() for name, value in weights.items()}, _metadata(origin))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staging = tempfile.mkstemp(dir=path.parent, prefix=".staging-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(staging).chmod(0o644)
        Path(staging).replace(path)
    except OSError as error:
        raise DeployError(f"{path} cannot be written: {error.strerror}", "Choose another file.") from None


def _metadata(origin: Origin) -> dict[str, str]:
    # One entry: safetensors writes several in no fixed order, and equal trainings shall give equal files.
    return {_FORMAT: origin.model_dump_json()}


def read(path: Path) -> tuple[dict[str, torch.Tensor], Origin | None]:
    """Reads the weights of a checkpoint or of a plain state dict (`.safetensors`, `.pth` or `.pt`).

    Returns:
        The tensors by name, and what they belong to; None for a file that `write` has not made.

    Raises:
        DeployError: The file cannot be read, or is a checkpoint of a form unknown here.
    """
    if not path.is_file():
        raise DeployError(f"There is no checkpoint {path}", "Make it with `deploypipe train`.")
    return _read_pickle(path) if path.suffix in {".pth", ".pt"} else _read_safetensors(path)


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], Origin | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in sorted(file.keys())}
            return weights, _origin(path, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DeployError(f"{path} is not a safetensors file: {error}", "Train the model again.") from None


def _origin(path: Path, metadata: Mapping[str, str]) -> Origin | None:
    forms = [key for key in metadata if key.startswith(_FAMILY)]
    if not forms:
        return None
    if _FORMAT not in forms:
        raise DeployError(
            f"{path} is a checkpoint of the form '{forms[0]}', known is '{_FORMAT}'",
            "Train the model again, or use the release that wrote it.",
        )
    try:
        return Origin.model_validate_json(metadata[_FORMAT])
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DeployError(f"{path} does not say what it holds: {reason}", "Train the model again.") from None


def _read_pickle(path: Path) -> tuple[dict[str, torch.Tensor], None]:
    import torch

    cure = "Save `module.state_dict()` with `torch.save`."
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DeployError(f"{path} is not a plain state dict: {reason}", cure) from None
    if not isinstance(weights, dict) or not all(isinstance(item, torch.Tensor) for item in weights.values()):
        raise DeployError(f"{path} is not a plain state dict", cure)
    return weights, None
