"""HashSum: its two forms against one-hot codes, and what they export to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from deploypipe.ops.hash_sum import HashSum, ReachedHashSum


def _hashes(rows: int, k: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(-1, 9, (rows, k), generator=generator)
    return index, torch.randint(-9, 9, (rows, k), generator=generator)


def _reached(layer: HashSum, hashes: tuple[Tensor, Tensor]) -> Tensor:
    codes = torch.zeros(layer.empty, dtype=torch.bool)
    codes[layer.positions(*hashes)[hashes[0] >= 0]] = True
    return codes


def test_hash_sum_is_a_linear_layer_on_one_hot_codes() -> None:
    layer = HashSum(num_hashes=5, bits=2, t_bits=1, out_features=3)
    generator = torch.Generator().manual_seed(1)
    index = torch.randint(0, 9, (7, 5), generator=generator)
    t = torch.randint(-9, 9, (7, 5), generator=generator)
    code = (index & 3) * 2 + (t & 1)
    one_hot = torch.nn.functional.one_hot(code, 8).flatten(1).float()
    expected = one_hot @ layer.table.weight[:-1] + layer.bias
    torch.testing.assert_close(layer(index, t), expected)


def test_no_sample_adds_nothing() -> None:
    layer = HashSum(num_hashes=4, bits=3, t_bits=0, out_features=2)
    index = torch.tensor([[-1, -1, -1, -1], [1, -1, 2, -1]])
    total = layer(index, torch.zeros_like(index))
    torch.testing.assert_close(total[0], layer.bias)
    torch.testing.assert_close(total[1], layer.table.weight[1] + layer.table.weight[8 * 2 + 2] + layer.bias)
    total.sum().backward()
    assert layer.table.weight.grad is not None
    assert not layer.table.weight.grad[-1].any()


@pytest.mark.parametrize(("bits", "t_bits"), [(2, 1), (3, 0), (9, 1)])
def test_rows_that_never_come_are_not_missed(bits: int, t_bits: int) -> None:
    layer, hashes = HashSum(5, bits, t_bits, 3), _hashes(7, 5)
    codes = _reached(layer, hashes)
    smaller = ReachedHashSum(layer, codes)
    assert smaller.table.weight.shape == (1 + int(codes.sum()), 3)
    torch.testing.assert_close(smaller(*hashes), layer(*hashes))


def test_a_code_that_did_not_come_adds_nothing() -> None:
    layer = HashSum(2, 2, 0, 3)
    smaller = ReachedHashSum(layer, torch.tensor([False, True, False, False, True, False, False, True]))
    index = torch.tensor([[0, 1], [1, 0], [2, 3], [-1, -1]])
    rows = layer.table.weight
    expected = torch.stack([torch.zeros(3), rows[1] + rows[4], rows[7], torch.zeros(3)]) + layer.bias
    torch.testing.assert_close(smaller(index, torch.zeros_like(index)), expected)


def test_slots_take_a_byte_unless_a_hash_has_more_rows() -> None:
    layer = HashSum(2, 9, 0, 1)
    codes = torch.ones(2 * 512, dtype=torch.bool)
    assert ReachedHashSum(layer, codes).slots.dtype == torch.int16
    codes[255:512] = codes[767:] = False
    smaller = ReachedHashSum(layer, codes)
    assert smaller.slots.dtype == torch.uint8
    assert int(smaller.slots.max()) == 255
    index = torch.arange(512).unsqueeze(1).expand(512, 2)
    torch.testing.assert_close(smaller(index, index)[:255], layer(index, index)[:255])


def test_the_rows_that_are_left_learn_and_the_empty_one_does_not() -> None:
    layer, hashes = HashSum(5, 2, 1, 3), _hashes(7, 5)
    smaller = ReachedHashSum(layer, _reached(layer, hashes))
    smaller(*hashes).sum().backward()
    gradient = smaller.table.weight.grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[1:].any(dim=1).all()
    assert smaller.bias.grad is not None
    assert layer.bias.grad is None


@pytest.mark.parametrize("small", [False, True])
def test_both_forms_export_with_a_dynamic_batch(small: bool, tmp_path: Path) -> None:
    whole, hashes = HashSum(5, 4, 1, 3), _hashes(7, 5)
    layer: HashSum | ReachedHashSum = ReachedHashSum(whole, _reached(whole, hashes)) if small else whole
    batch = torch.export.Dim("batch")
    exported = torch.export.export(layer, hashes, dynamic_shapes=({0: batch}, {0: batch}))
    others = _hashes(4, 5, seed=2)
    expected = layer(*others)
    torch.testing.assert_close(exported.module()(*others), expected)
    torch.onnx.export(exported, dynamo=True, verbose=False).save(str(tmp_path / "x.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, (each.numpy() for each in others), strict=True)))
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
