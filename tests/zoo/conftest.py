"""Small data on disk, and a checkpoint that is quick to train."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from deploypipe import zoo


def write_idx(path: Path, array: np.ndarray) -> None:
    content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_fashion(folder: Path, train: int = 96, test: int = 40, suffix: str = "") -> Path:
    """Writes images whose bright row tells the label, so that a model can learn them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), labels * 2 + 3] = 200
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)
    return folder


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    return write_fashion(tmp_path / "fashion")


@pytest.fixture(scope="session")
def mlp_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.train("mlp", epochs=3, out=tmp_path_factory.mktemp("zoo") / "mlp.safetensors").path
