"""cws: tables, module behaviour, edge cases, and equality with the reference and with datasketch."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import datasketch
import numpy as np
import pytest
import torch

from deploypipe.errors import DeployError
from deploypipe.ops import CWS, cws_codes, cws_generated, cws_layouts, cws_packed, cws_tables, split_signs

FEATURES, HASHES, ROWS = 64, 1000, 200  # 200,000 hashes
STORAGES: dict[str, dict[str, Any]] = {
    "dense": {"sparse": False},
    "sparse": {"sparse": True},
    "uint8": {"storage": "uint8"},
    "generated": {"storage": "generated"},
}
# Of 200 rows each; the first two have one table.
HASHES_OF = {
    "dense": "d29ed4b4951f0d14e049556a8c71c02b8541cb08c52784011d73a386dceffa50",
    "sparse": "d29ed4b4951f0d14e049556a8c71c02b8541cb08c52784011d73a386dceffa50",
    "uint8": "ebb55c5a414bcc8dae35a3e692f4ae4e3256107328c1128288ec58bb490fca44",
    "generated": "9e0ebf290076857359516af89cb25a865daec6d5edbb8cbe72c5f39802273f4b",
}


def _digest(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def _rows(rows: int, features: int, seed: int) -> torch.Tensor:
    """Makes nonnegative data with a third of zeros, from operations that give the same bits everywhere."""
    value, keep = cws_tables._uniforms(2, rows, features, seed=seed)
    return torch.from_numpy(np.where(keep < 0.67, value, 0).astype(np.float32))


def _drawn(features: int, hashes: int, seed: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(table).float() for table in cws_tables.tables(features, hashes, seed))


def _reference(layer: CWS, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if layer.storage == "generated":
        return cws_generated.reference(data, layer.seed, layer.num_hashes)
    if layer.storage == "uint8":
        return cws_codes.reference(data, layer.num_hashes, layer.table)
    reference = cws_packed.sparse_reference if layer.sparse else cws_packed.dense_reference
    return reference(data, layer.num_hashes, layer.table)


def _equal(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.stack([mine == its for mine, its in zip(one, other, strict=True)]).all(0)


@pytest.fixture(scope="module", params=STORAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def layer(name: str) -> CWS:
    return CWS(FEATURES, HASHES, seed=11, **STORAGES[name])


def test_the_tables_are_the_same_on_every_machine() -> None:
    drawn = _drawn(48, 96, seed=1234)
    assert _digest(*drawn) == "49eb8f3726b14ba7ebbda4f508efb37a09317ff06dc21967d36d379781666abf"


def test_the_hashes_are_the_same_on_every_machine(layer: CWS, name: str) -> None:
    assert _digest(*layer(_rows(ROWS, FEATURES, seed=12))) == HASHES_OF[name]


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
    equal = _equal(layer(data), _reference(layer, data))
    assert equal.numel() == 200_000
    assert equal.double().mean() >= 0.9999


@pytest.mark.parametrize("sparse", [False, True])
def test_a_packed_table_gives_the_hashes_of_the_plain_op(sparse: bool) -> None:
    drawn, data = _drawn(FEATURES, HASHES, seed=11), _rows(ROWS, FEATURES, seed=18)
    layer = CWS(FEATURES, HASHES, seed=11, sparse=sparse)
    assert _equal(layer(data), torch.ops.deploypipe.cws(data, *drawn)).all()


def test_codes_give_the_hashes_of_the_tables_that_they_stand_for() -> None:
    layer, data = CWS(FEATURES, HASHES, seed=11, storage="uint8"), _rows(ROWS, FEATURES, seed=18)
    decoded = cws_layouts.decode(cws_layouts.unpack(layer.table, HASHES, feature_major=True))
    assert _equal(layer(data), torch.ops.deploypipe.cws(data, *decoded)).all()


def test_a_generated_table_is_that_of_the_description() -> None:
    layer, data = CWS(FEATURES, HASHES, seed=-3, storage="generated"), _rows(ROWS, FEATURES, seed=18)
    drawn = cws_generated.tables(layer.seed, FEATURES, HASHES)
    assert _equal(layer(data), torch.ops.deploypipe.cws(data, *drawn)).all()


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
    equal = _equal(layer(data), _reference(layer, data))
    assert equal.double().mean() >= 0.999


def test_an_all_zero_row_gives_minus_one() -> None:
    index, t = CWS(5, 3)(torch.tensor([[0.0] * 5, [1.0] * 5]))
    assert index[0].tolist() == [-1] * 3
    assert t[0].tolist() == [0] * 3
    assert (index[1] >= 0).all()


@pytest.mark.parametrize("value", [float("nan"), -1.0, float("inf"), -float("inf")])
def test_bad_values(name: str, value: float) -> None:
    layer, data = CWS(5, 3, **STORAGES[name]), torch.ones(2, 5)
    exported = torch.export.export(layer, (data,)).module()
    data[1, 2] = value
    with pytest.raises(DeployError, match="negative, infinite or NaN"):
        layer(data)
    index, t = exported(data)
    assert (index[0] >= 0).all()
    assert index[1].tolist() == [-1] * 3
    assert t[1].tolist() == [0] * 3


def test_an_exported_layer_does_not_check_its_data() -> None:
    layer = CWS(5, 3)
    shapes = {"input": {0: torch.export.Dim("batch")}}
    program = torch.export.export(layer, (torch.rand(4, 5),), dynamic_shapes=shapes)
    index, _ = program.module()(torch.tensor([[float("nan")] * 5]))
    assert index.tolist() == [[-1] * 3]


def test_the_layer_can_be_traced_and_scripted(name: str) -> None:
    layer, data = CWS(5, 3, **STORAGES[name]), torch.rand(4, 5)
    for made in (torch.jit.trace(layer, (torch.rand(2, 5),)), torch.jit.script(layer)):
        assert all(torch.equal(mine, its) for mine, its in zip(made(data), layer(data), strict=True))


def test_the_table_is_a_buffer_of_the_state(name: str) -> None:
    layer, other = (CWS(6, 4, seed=seed, **STORAGES[name]) for seed in (1, 2))
    assert not list(layer.parameters())
    assert list(layer.state_dict()) == ["seed" if name == "generated" else "table"]
    other.load_state_dict(layer.state_dict())
    data = torch.rand(3, 6)
    assert _equal(layer(data), other(data)).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_a_state_of_drawn_tables_is_loaded(sparse: bool) -> None:
    model = torch.nn.Sequential(CWS(6, 40, seed=2, sparse=sparse))
    drawn = _drawn(6, 40, seed=1)
    model.load_state_dict({f"0.{name}": table for name, table in zip(("r", "log_c", "beta"), drawn, strict=True)})
    assert torch.equal(model[0].table, CWS(6, 40, seed=1, sparse=sparse).table)


def test_a_state_of_drawn_tables_does_not_fit_another_family() -> None:
    drawn = dict(zip(("r", "log_c", "beta"), _drawn(6, 40, seed=1), strict=True))
    with pytest.raises(RuntimeError, match=r'Missing key.* "table"'):
        CWS(6, 40, storage="uint8").load_state_dict(drawn)


def test_large_tables_are_feature_major() -> None:
    assert not CWS(2048, 1024).sparse
    assert CWS(2049, 1024).sparse
    assert CWS(2049, 1024).table.shape == (2049, 64, 64)


def test_uint8_takes_a_fifth_of_the_bytes_and_generated_eight() -> None:
    sizes = [
        sum(buffer.nbytes for buffer in CWS(784, 256, **options).buffers())
        for options in ({}, {"storage": "uint8"}, {"storage": "generated"})
    ]
    assert sizes[1] / sizes[0] < 0.19
    assert sizes[2] == 8


def test_every_code_is_decoded_to_the_middle_of_its_interval() -> None:
    codes = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256).expand(3, 1, 256)
    r, log_c, beta = cws_layouts.decode(codes)
    assert (r[0, 0], r[0, -1]) == (2.0**-12 * (1 + 1 / 32), 8 * (1 + 31 / 32))
    assert (log_c[0, 0], log_c[0, -1]) == (-8 + 3 / 128, 4 - 3 / 128)
    assert (beta[0, 0], beta[0, -1]) == (1 / 512, 511 / 512)
    for values in (r, log_c, beta):
        assert (values.diff() > 0).all()
    assert torch.equal(cws_layouts.encode(r.double(), log_c.double(), beta.double()), codes)


def test_what_lies_outside_is_encoded_as_the_nearest() -> None:
    ends = cws_layouts.encode(*(torch.tensor([[low, high]]) for low, high in ((1e-9, 99.0), (-20.0, 9.0), (0.0, 1.0))))
    assert ends.tolist() == [[[0, 255]]] * 3


@pytest.mark.parametrize(("hashes", "features"), [(1, 1), (16, 3), (17, 5), (40, 2)])
@pytest.mark.parametrize("feature_major", [False, True])
def test_unpacking_undoes_packing(hashes: int, features: int, feature_major: bool) -> None:
    values = torch.rand(4, hashes, features)
    table = cws_layouts.pack(values, feature_major)
    tiles = (hashes + 15) // 16
    assert table.shape == ((features, tiles, 64) if feature_major else (tiles, features, 64))
    assert torch.equal(cws_layouts.unpack(table, hashes, feature_major), values)


@pytest.mark.parametrize(("options", "said"), [({"storage": "uint4"}, "'uint4'"), ({"sparse": True}, "one layout")])
def test_a_storage_that_there_is_not_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DeployError, match=said):
        CWS(3, 4, **({"storage": "generated"} | options))


def test_a_row_of_another_length_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\[B,5\], not \[2, 6\]"):
        CWS(5, 3, **STORAGES[name])(torch.rand(2, 6))


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
