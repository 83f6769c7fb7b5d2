from __future__ import annotations

import numpy as np
import pytest
import torch

from deploypipe.errors import DeployError
from deploypipe.zoo import MODELS, models
from deploypipe.zoo.models.gcwsnet import GCWSNet
from deploypipe.zoo.models.lltm import RowReader
from deploypipe.zoo.models.mlp import MLP
from deploypipe.zoo.models.mobilenet_v3_small import enlarge


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [8, 28])
def test_every_model_turns_images_into_logits(name: str, size: int) -> None:
    definition = models.get(name)
    module = definition.build((1, size, size), 10, 0).eval()
    images = np.random.default_rng(0).random((3, 1, size, size), dtype=np.float32)
    logits = module(torch.from_numpy(definition.prepare(images)))
    assert logits.shape == (3, 10)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(DeployError, match="Did you mean 'gcwsnet'"):
        models.get("gcwnet")


def test_the_mlp_is_the_one_of_the_lecture() -> None:
    shapes = [tuple(p.shape) for p in MLP(784).parameters() if p.ndim == 2]
    assert shapes == [(512, 784), (512, 512), (10, 512)]


def test_rows_are_read_in_order() -> None:
    """The last row decides more than an earlier one only if rows are steps of the sequence."""
    module = RowReader(row_size=4, hidden=8)
    image = torch.rand(2, 1, 3, 4)
    output, (h, _) = module.lltm(torch.stack([image[:, 0, row] for row in range(3)]))
    torch.testing.assert_close(output[-1], h)
    torch.testing.assert_close(module(image), module.head(h))


def test_a_black_image_gives_the_bias() -> None:
    module = GCWSNet(16, classes=3, num_hashes=8)
    torch.testing.assert_close(module(torch.zeros(2, 1, 4, 4)), module.sum.bias.expand(2, 3))


def test_the_mlp_head_of_gcwsnet_learns() -> None:
    module = GCWSNet(16, classes=3, num_hashes=8, hidden=5)
    module(torch.rand(2, 1, 4, 4)).sum().backward()
    assert module.sum.table.weight.shape == (8 * 16 + 1, 5)
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("storage", ["float32", "uint8", "generated"])
def test_gcwsnet_has_the_storage_that_it_is_given(storage: str) -> None:
    module = GCWSNet(16, num_hashes=8, storage=storage)
    assert module.cws.storage == storage
    assert module(torch.rand(2, 1, 4, 4)).shape == (2, 10)


@pytest.mark.parametrize(("pixels", "bits"), [(64, 6), (100, 7), (784, 8)])
def test_gcwsnet_keeps_up_to_eight_bits(pixels: int, bits: int) -> None:
    assert GCWSNet(pixels, num_hashes=2).sum.index_codes == 2**bits


@pytest.mark.parametrize("size", [8, 28])
def test_images_are_enlarged_as_torch_does(size: int) -> None:
    images = np.random.default_rng(0).random((2, 1, size, size), dtype=np.float32)
    large = enlarge(images)
    assert large.dtype == np.float32
    resized = torch.nn.functional.interpolate(torch.from_numpy(images), (64, 64), mode="bilinear")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (resized - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(torch.from_numpy(large), expected, rtol=0, atol=1e-5)
