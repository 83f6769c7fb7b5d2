"""cws: tables, module behaviour, edge cases, and equality with the reference and with datasketch."""

from __future__ import annotations

import hashlib
import math

import datasketch
import numpy as np
import pytest
import torch

from deploypipe.errors import DeployError
from deploypipe.ops import CWS, cws, cws_tables, split_signs

FEATURES, HASHES, ROWS = 64, 1000, 200  # 200,000 hashes


def _digest(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def _rows(rows: int, features: int, seed: int) -> torch.Tensor:
    """Makes nonnegative data with a third of zeros, from operations that give the same bits everywhere."""
    value, keep = cws_tables._uniforms(2, rows, features, seed=seed)
    return torch.from_numpy(np.where(keep < 0.67, value, 0).astype(np.float32))


@pytest.fixture(scope="module")
def layer() -> CWS:
    return CWS(FEATURES, HASHES, seed=11)


def test_the_tables_are_the_same_on_every_machine() -> None:
    layer = CWS(48, 96, seed=1234)
    assert (
        _digest(layer.r, layer.log_c, layer.beta) == "49eb8f3726b14ba7ebbda4f508efb37a09317ff06dc21967d36d379781666abf"
    )


def test_the_hashes_are_the_same_on_every_machine(layer: CWS) -> None:
    assert (
        _digest(*layer(_rows(ROWS, FEATURES, seed=12)))
        == "d29ed4b4951f0d14e049556a8c71c02b8541cb08c52784011d73a386dceffa50"
    )


def test_the_own_logarithm() -> None:
    x = np.concatenate([cws_tables._uniforms(20_000, seed=0), 1 + np.linspace(-1e-9, 1e-9, 101), [1e-300, 1e300]])
    exact = np.array([math.log(value) for value in x])
    assert (np.abs(cws_tables.log(x) - exact) <= 2 * np.spacing(np.abs(exact))).all()
    assert cws_tables.log(np.array([1.0])) == 0


def test_the_uniforms_are_numpys() -> None:
    drawn = np.random.Generator(np.random.PCG64(5)).random((3, 4))
    assert np.array_equal(cws_tables._uniforms(3, 4, seed=5), 1 - drawn)


def test_at_least_9999_of_10000_hashes_are_those_of_the_reference(layer: CWS) -> None:
    data = _rows(ROWS, FEATURES, seed=13)
    expected = cws.reference(data, layer.r, layer.log_c, layer.beta)
    equal = torch.stack([mine == its for mine, its in zip(layer(data), expected, strict=True)]).all(0)
    assert equal.numel() == 200_000
    assert equal.double().mean() >= 0.9999


def test_at_least_9999_of_10000_hashes_are_those_of_datasketch() -> None:
    generator = datasketch.WeightedMinHashGenerator(FEATURES, sample_size=HASHES, seed=3)
    tables = [torch.from_numpy(table) for table in (generator.rs, generator.ln_cs, generator.betas)]
    data = _rows(ROWS, FEATURES, seed=14)
    mine = torch.stack(CWS.from_tables(*tables)(data), dim=2).numpy()
    its = np.stack([generator.minhash(row.copy()).hashvalues for row in data.numpy()])
    equal = (mine == its).all(axis=2)
    assert equal.size == 200_000
    assert equal.mean() >= 0.9999


def test_every_row_is_hashed_alone(layer: CWS) -> None:
    data = _rows(9, FEATURES, seed=15)
    together = layer(data)
    for row in range(9):
        for mine, its in zip(layer(data[row : row + 1]), together, strict=True):
            assert torch.equal(mine[0], its[row])


def test_zeros_never_win(layer: CWS) -> None:
    data = _rows(50, FEATURES, seed=16)
    index, _ = layer(data)
    assert (data.gather(1, index) > 0).all()


def test_the_lowest_index_wins_a_tie() -> None:
    column = torch.rand(32, 1) + 0.5
    layer = CWS.from_tables(column.expand(32, 40), column.log().expand(32, 40), torch.full((32, 40), 0.25))
    data = torch.full((1, 40), 0.7)
    data[0, :3] = 0
    assert (layer(data)[0] == 3).all()


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30])
def test_extreme_values(layer: CWS, scale: float) -> None:
    data = (_rows(20, FEATURES, seed=17).double() * scale).float()
    expected = cws.reference(data, layer.r, layer.log_c, layer.beta)
    equal = torch.stack([mine == its for mine, its in zip(layer(data), expected, strict=True)]).all(0)
    assert equal.double().mean() >= 0.999


def test_an_all_zero_row_gives_minus_one() -> None:
    index, t = CWS(5, 3)(torch.tensor([[0.0] * 5, [1.0] * 5]))
    assert index[0].tolist() == [-1] * 3
    assert t[0].tolist() == [0] * 3
    assert (index[1] >= 0).all()


@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf"), -float("inf")])
def test_bad_values(value: float) -> None:
    layer, data = CWS(5, 3), torch.ones(2, 5)
    data[1, 2] = value
    with pytest.raises(DeployError, match="negative, infinite or NaN"):
        layer(data)
    index, t = torch.ops.deploypipe.cws(data, layer.r, layer.log_c, layer.beta)
    assert (index[0] >= 0).all()
    assert index[1].tolist() == [-1] * 3
    assert t[1].tolist() == [0] * 3


def test_an_exported_layer_does_not_check_its_data() -> None:
    layer = CWS(5, 3)
    shapes = {"input": {0: torch.export.Dim("batch")}}
    program = torch.export.export(layer, (torch.rand(4, 5),), dynamic_shapes=shapes)
    index, _ = program.module()(torch.tensor([[float("nan")] * 5]))
    assert index.tolist() == [[-1] * 3]


def test_the_layer_can_be_traced_and_scripted() -> None:
    layer, data = CWS(5, 3), torch.rand(4, 5)
    for made in (torch.jit.trace(layer, (torch.rand(2, 5),)), torch.jit.script(layer)):
        assert all(torch.equal(mine, its) for mine, its in zip(made(data), layer(data), strict=True))


def test_the_tables_are_buffers_of_the_state() -> None:
    layer, other = CWS(6, 4, seed=1), CWS(6, 4, seed=2)
    assert not list(layer.parameters())
    other.load_state_dict(layer.state_dict())
    data = torch.rand(3, 6)
    assert all(torch.equal(mine, its) for mine, its in zip(layer(data), other(data), strict=True))


def test_tables_of_wrong_shape_or_sign_are_refused() -> None:
    good = torch.ones(3, 4)
    with pytest.raises(DeployError, match=r"\[3, 4\], \[3, 4\], \[4, 3\]"):
        CWS.from_tables(good, good, good.t())
    with pytest.raises(DeployError, match="not positive"):
        CWS.from_tables(good - 1, good, good)


def test_split_signs_interleaves() -> None:
    x = torch.tensor([[1.0, -2.0, 0.0]])
    assert split_signs(x).tolist() == [[1, 0, 0, 2, 0, 0]]
    assert split_signs(torch.randn(2, 3, 4)).shape == (2, 3, 8)
