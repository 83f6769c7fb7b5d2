from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from deploypipe.compress import hashes
from deploypipe.compress.hashes import Pair
from deploypipe.errors import DeployError
from deploypipe.ops import CWS
from deploypipe.ops.cws_layer import STORAGES
from deploypipe.ops.hash_sum import HashSum, ReachedHashSum
from deploypipe.spec import ModelSpec


class Two(nn.Module):
    """Two pairs, defined in another order than they are used in."""

    def __init__(self, storage: str = "float32", k: int = 20) -> None:
        super().__init__()
        self.sums = nn.ModuleList([HashSum(k, 3, 0, 4), HashSum(k, 2, 1, 4)])
        self.second, self.first = CWS(6, k, 2, storage), CWS(6, k, 1, storage)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.sums[1](*self.first(x)) + self.sums[0](*self.second(x))
        return total


INPUTS = (torch.rand(5, 6, generator=torch.Generator().manual_seed(0)),)


def test_what_feeds_what_is_seen_in_a_run() -> None:
    assert hashes.pairs(Two(), INPUTS) == [Pair("first", "sums.1"), Pair("second", "sums.0")]
    assert hashes.counts(Two(), INPUTS) == [20, 20]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("k", [1, 7, 16, 17])
def test_the_hashes_that_are_kept_are_the_same(storage: str, k: int) -> None:
    module = Two(storage)
    smaller = hashes.kept(module, INPUTS, k)
    for name in ("first", "second"):
        few, all_of_them = smaller.get_submodule(name)(*INPUTS), module.get_submodule(name)(*INPUTS)
        assert all(torch.equal(one, other[:, :k]) for one, other in zip(few, all_of_them, strict=True))


def test_their_rows_are_kept_and_the_rest_is_gone() -> None:
    module = Two()
    smaller = hashes.kept(module, INPUTS, 4)
    index, t = module.second(*INPUTS)
    layer, small = module.sums[0], smaller.sums[0]
    index[:, 4:] = -1
    torch.testing.assert_close(small(index[:, :4], t[:, :4]), layer(index, t))
    assert small.table.weight.shape == (4 * 8 + 1, 4)
    assert smaller.first.table.shape == (1, 6, 64)
    assert module.first.num_hashes == 20


def test_more_hashes_than_there_are_change_nothing() -> None:
    module = Two()
    torch.testing.assert_close(hashes.kept(module, INPUTS, 99)(*INPUTS), module(*INPUTS))


def test_codes_of_fewer_bits_have_new_rows_that_are_the_same_each_time() -> None:
    first, second = (hashes.recoded(Two(), INPUTS, bits=1, t_bits=2) for _ in range(2))
    assert [(each.bits, each.t_bits) for each in first.sums] == [(1, 2)] * 2
    assert first.sums[0].table.weight.shape == (20 * 8 + 1, 4)
    assert torch.equal(first.sums[0].table.weight, second.sums[0].table.weight)
    assert [each.bits for each in hashes.recoded(Two(), INPUTS, t_bits=0).sums] == [3, 2]


@pytest.mark.parametrize("storage", STORAGES)
def test_another_storage(storage: str) -> None:
    module = hashes.stored(Two(), INPUTS, storage)
    assert {module.first.storage, module.second.storage} == {storage}
    assert module(*INPUTS).shape == (5, 4)


def test_no_change_moves_random_numbers() -> None:
    module, state = Two(), torch.get_rng_state()
    hashes.recoded(hashes.stored(hashes.kept(module, INPUTS, 3), INPUTS, "uint8"), INPUTS, bits=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_without_hashes_is_told_so(mlp: ModelSpec) -> None:
    assert hashes.pairs(mlp.module, mlp.example_inputs) == []
    with pytest.raises(DeployError, match="MLP has no CWS that feeds a HashSum"):
        hashes.kept(mlp.module, mlp.example_inputs, 4)
    with pytest.raises(DeployError, match="MLP has no CWS that feeds a HashSum"):
        hashes.reached(mlp.module, ())


def test_rows_that_data_reaches_stay() -> None:
    module = Two()
    smaller = hashes.reached(module, [INPUTS])
    assert all(isinstance(each, ReachedHashSum) for each in smaller.sums)
    torch.testing.assert_close(smaller(*INPUTS), module(*INPUTS))
    assert isinstance(module.sums[0], HashSum)


def test_training_data_is_seen_by_a_training_that_changes_nothing(gcwsnet: ModelSpec) -> None:
    weights = gcwsnet.module.sum.table.weight.clone()
    by_calibration = hashes.reached(gcwsnet.module, gcwsnet.calibration or ())
    smaller = hashes.reached(gcwsnet.module, gcwsnet.calibration or (), gcwsnet.train)
    assert torch.equal(gcwsnet.module.sum.table.weight, weights)
    rows = [each.sum.table.num_embeddings for each in (by_calibration, smaller, gcwsnet.module)]
    assert rows[0] < rows[1] < 0.05 * rows[2]
    assert gcwsnet.train is not None
    images = torch.from_numpy(gcwsnet.train.args[1].images)
    torch.testing.assert_close(smaller(images), gcwsnet.module(images))
