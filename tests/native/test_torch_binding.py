"""What the generic PyTorch binding makes of a description: schema, checks, shapes, overloads."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deploypipe import native


@pytest.fixture(scope="module")
def ops(mine: native.OpSource) -> Any:
    torch.ops.load_library(str(native.library("torch")))
    torch.ops.load_library(str(native.library("torch", mine)))
    return torch.ops


def test_schema_from_the_signature(ops: Any) -> None:
    arguments = "Tensor x, int width, int stride=2, float scale=0.25"
    assert str(ops.mine.pool.default._schema) == f"mine::pool({arguments}) -> (Tensor low, Tensor at)"
    out = "*, Tensor(a!) low, Tensor(b!) at) -> (Tensor(a!), Tensor(b!))"
    assert str(ops.mine.pool.out._schema) == f"mine::pool.out({arguments}, {out}"


def test_two_libraries_with_a_struct_of_one_name(ops: Any) -> None:
    x = torch.tensor([1.0, 2.0])
    assert ops.mine.square(x).tolist() == [101.0, 104.0]
    assert ops.deploypipe.square(x).tolist() == [1.0, 4.0]


def test_loading_again_does_no_harm(ops: Any, tmp_path: Any, mine: native.OpSource) -> None:
    copy = tmp_path / "copy.so"
    copy.write_bytes(native.library("torch", mine).read_bytes())
    torch.ops.load_library(str(copy))
    assert ops.mine.square(torch.ones(1)).tolist() == [101.0]


def test_attributes_and_their_defaults(ops: Any) -> None:
    x = torch.tensor([[3.0, 1.0, 2.0, 5.0, 4.0]])
    low, at = ops.mine.pool(x, 3)
    assert (low.dtype, low.tolist(), at.dtype, at.tolist()) == (torch.int8, [[4, 8]], torch.int64, [[1, 0]])
    low, at = ops.mine.pool(x, width=2, stride=1, scale=1.0)
    assert (low.tolist(), at.tolist()) == ([[1, 1, 2, 4]], [[1, 0, 0, 1]])


def test_strides_do_not_matter(ops: Any) -> None:
    x = torch.arange(12.0).reshape(3, 4)
    assert torch.equal(ops.deploypipe.square(x.t()), (x * x).t())
    assert torch.equal(ops.deploypipe.square(x[:, ::2]), x[:, ::2] ** 2)


def test_out_overload_resizes_and_may_overlap(ops: Any) -> None:
    x, y = torch.arange(4.0), torch.empty(0)
    assert ops.deploypipe.square.out(x, y=y) is y
    assert y.tolist() == [0.0, 1.0, 4.0, 9.0]
    ops.deploypipe.square.out(x, y=x)
    assert torch.equal(x, y)
    strided = torch.zeros(4, 2)[:, 0]
    ops.deploypipe.square.out(torch.arange(4.0), y=strided)
    assert torch.equal(strided, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.ones(2, 5).double(), 3), "pool: x must be float32, not Double"),
        ((torch.ones(5), 3), "pool: x has 1 dimensions, not 2"),
        ((torch.ones(2, 5), 3, 0), r"pool: low dimension \(\(L-width\)/stride\+1\) divides by zero"),
        ((torch.ones(2, 5), 9), "pool: low would have a negative size: -1"),
    ],
)
def test_wrong_calls(ops: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.mine.pool(*arguments)


def test_sizes_that_contradict_each_other(ops: Any) -> None:
    table = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"cws: beta dimension 1 \(D\) is 3 and must be 4"):
        ops.deploypipe.cws(torch.ones(2, 4), table, table, torch.ones(3, 3))


def test_shapes_alone(ops: Any) -> None:
    low, at = ops.mine.pool(torch.ones(7, 20, device="meta"), 5, 3)
    assert (low.shape, low.dtype, at.shape) == ((7, 6), torch.int8, (7, 6))


def test_symbolic_sizes_survive_export(ops: Any) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return ops.mine.pool(x, 3)

    dims = {"x": {0: torch.export.Dim("B"), 1: torch.export.Dim("L", min=5)}}
    program = torch.export.export(Model(), (torch.rand(4, 9),), dynamic_shapes=dims)
    x = torch.rand(7, 30)
    for got, expected in zip(program.module()(x), ops.mine.pool(x, 3), strict=True):
        assert torch.equal(got, expected)


def test_threads_do_not_change_a_result(ops: Any) -> None:
    torch.manual_seed(0)
    x, h = torch.rand(9, 40, 30), torch.rand(40, 33)
    arguments = (x, h, h, torch.rand(99, 63) - 0.5, torch.rand(99))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = ops.deploypipe.lltm(*arguments)
        torch.set_num_threads(2)
        for got, expected in zip(ops.deploypipe.lltm(*arguments), alone, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    finally:
        torch.set_num_threads(before)
