from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from deploypipe.errors import DeployError
from deploypipe.zoo import data, idx, vision

from .conftest import write_fashion, write_idx


def test_digits_hold_out_a_stratified_quarter() -> None:
    digits = data.load("digits", seed=3)
    assert digits.shape == (1, 8, 8)
    assert (len(digits.train.labels), len(digits.test.labels)) == (1347, 450)
    assert digits.train.images.dtype == np.float32
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 1)
    shares = [np.bincount(split.labels) / len(split.labels) for split in (digits.train, digits.test)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.003)


def test_the_seed_decides_the_split() -> None:
    first, again, other = (data.load("digits", seed=seed).test.images for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_data_names_the_nearest() -> None:
    with pytest.raises(DeployError, match="Did you mean 'digits'"):
        data.load("digit")


def test_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="Leave out --data-dir"):
        data.load("digits", tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("below", [".", "raw", "FashionMNIST/raw"])
def test_fashion_mnist_from_a_folder(tmp_path: Path, suffix: str, below: str) -> None:
    write_fashion(tmp_path / below, train=20, test=10, suffix=suffix)
    found = data.load("fashion-mnist", tmp_path)
    assert found.shape == (1, 28, 28)
    assert (len(found.train.labels), len(found.test.labels)) == (20, 10)
    assert found.train.images.max() == np.float32(200 / 255)
    assert found.train.labels.tolist() == [*range(10), *range(10)]


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="no file train-images-idx3-ubyte"):
        data.load("fashion-mnist", tmp_path)


def test_images_without_labels(fashion: Path) -> None:
    write_idx(fashion / "train-labels-idx1-ubyte", np.zeros(5, np.uint8))
    with pytest.raises(DeployError, match="do not belong together"):
        data.load("fashion-mnist", fashion)


def test_labels_out_of_range(fashion: Path) -> None:
    write_idx(fashion / "train-labels-idx1-ubyte", np.full(96, 10, np.uint8))
    with pytest.raises(DeployError, match="do not belong together"):
        data.load("fashion-mnist", fashion)


def test_without_network_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nTried several mirrors")

    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(tmp_path))
    monkeypatch.setattr(vision.import_torchvision().datasets, "FashionMNIST", refuse)
    with pytest.raises(DeployError, match=r"cannot be downloaded: Error downloading .*--data-dir"):
        data.load("fashion-mnist")


def test_a_download_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(root: str, download: bool) -> None:
        assert download
        write_fashion(Path(root) / "FashionMNIST" / "raw", suffix=".gz")

    monkeypatch.setenv("DEPLOYPIPE_CACHE", str(tmp_path))
    monkeypatch.setattr(vision.import_torchvision().datasets, "FashionMNIST", fetch)
    assert len(data.load("fashion-mnist").train.labels) == 96


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 2), b"\0\0\x0d\x01" + struct.pack(">I", 0)],
    ids=["empty", "short magic", "other rank", "other type"],
)
def test_what_is_not_idx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DeployError, match="not an IDX file of bytes with 1 axes"):
        idx.read(tmp_path / "x", rank=1)


@pytest.mark.parametrize("held", [3, 5])
def test_idx_of_another_length_than_its_header(tmp_path: Path, held: int) -> None:
    (tmp_path / "x").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 4) + bytes(held))
    with pytest.raises(DeployError, match=f"holds {held} values where its header says 4"):
        idx.read(tmp_path / "x", rank=1)


def test_a_broken_gzip(tmp_path: Path) -> None:
    write_idx(tmp_path / "x.gz", np.arange(9, dtype=np.uint8))
    whole = (tmp_path / "x.gz").read_bytes()
    (tmp_path / "x.gz").write_bytes(whole[:-6])
    with pytest.raises(DeployError, match="cannot be read"):
        idx.read(tmp_path / "x.gz", rank=1)
