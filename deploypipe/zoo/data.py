"""The data that the zoo trains on: scikit-learn's digits and FashionMNIST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import cache
from deploypipe.errors import DeployError, nearest
from deploypipe.zoo import idx
from deploypipe.zoo.definition import Shape

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: float32[N,1,H,W], 0 to 1.
        labels: int64[N].
    """

    images: Array
    labels: Array


@dataclass(frozen=True)
class Dataset:
    """Data to train on and data held out.

    Attributes:
        name: A name of `zoo.DATA`.
        classes: Labels are 0 to classes - 1.
        train: For training and calibration.
        test: For nothing but scoring.
    """

    name: str
    classes: int
    train: Split
    test: Split

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load(name: str, data_dir: Path | None = None, seed: int = 0) -> Dataset:
    """Reads a data set.

    Args:
        name: A name of `zoo.DATA`.
        data_dir: Folder with the IDX files of fashion-mnist; None downloads them into the cache.
        seed: Of the split of digits, a stratified quarter held out; fashion-mnist comes split.

    Raises:
        DeployError: No such data, or it cannot be had.
    """
    if name not in _LOADERS:
        raise DeployError(f"There is no data '{name}'", nearest(name, list(_LOADERS)))
    return _LOADERS[name](data_dir, seed)


def _digits(data_dir: Path | None, seed: int) -> Dataset:
    if data_dir:
        raise DeployError("digits come with scikit-learn", "Leave out --data-dir, or add --data.")
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise DeployError("scikit-learn is not installed", "Run `pip install 'deploypipe[zoo]'`.") from None
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
    labels = labels.astype("int64")
    train, test, *answers = train_test_split(images, labels, test_size=0.25, random_state=seed, stratify=labels)
    return Dataset("digits", 10, Split(train, answers[0]), Split(test, answers[1]))


def _fashion_mnist(data_dir: Path | None, _seed: int) -> Dataset:
    folder = data_dir or _download()
    return Dataset("fashion-mnist", 10, _read_split(folder, "train"), _read_split(folder, "t10k"))


def _read_split(folder: Path, part: str) -> Split:
    pixels = idx.read(_find(folder, f"{part}-images-idx3-ubyte"), rank=3)
    labels = idx.read(_find(folder, f"{part}-labels-idx1-ubyte"), rank=1)
    if len(pixels) != len(labels) or not len(labels) or labels.max() > 9:
        raise DeployError(
            f"The '{part}' images and labels in {folder} do not belong together",
            "Fetch both anew; labels are 0 to 9, one per image.",
        )
    images = pixels[:, None].astype("float32") / 255
    return Split(images, labels.astype("int64"))


def _find(folder: Path, name: str) -> Path:
    """Finds a file in the folder, or where torchvision puts it below the folder."""
    homes = (folder, folder / "raw", folder / "FashionMNIST" / "raw")
    for path in (home / (name + end) for home in homes for end in ("", ".gz")):
        if path.is_file():
            return path
    raise DeployError(f"{folder} has no file {name} or {name}.gz", "Point --data-dir to the four IDX files.")


def _download() -> Path:
    from deploypipe.zoo.vision import import_torchvision

    folder = cache.root() / "data"
    try:
        import_torchvision().datasets.FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise DeployError(
            f"FashionMNIST cannot be downloaded: {reason}",
            "Get its four IDX files by other means and name their folder with --data-dir.",
        ) from None
    return folder


_LOADERS: dict[str, Callable[[Path | None, int], Dataset]] = {
    "digits": _digits,
    "fashion-mnist": _fashion_mnist,
}
