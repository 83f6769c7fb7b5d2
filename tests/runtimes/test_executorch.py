"""What the ExecuTorch lowering adds to ExecuTorch's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deploypipe.capture import Program, capture, resolve
from deploypipe.ops import CWS
from deploypipe.runtimes import Form, executorch
from deploypipe.spec import ModelSpec


class Remainders(torch.nn.Module):
    """Remainders by a number and by a tensor, of integers and of floats."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (
            torch.remainder(x, 4),
            torch.remainder(x, -4),
            torch.remainder(x, x.abs() + 2),
            torch.remainder(x * 0.7, 4),
        )


@pytest.fixture
def program(tmp_path: Path) -> Program:
    spec = resolve(ModelSpec("remainders", Remainders(), (torch.arange(-9, 9),)))
    capture(spec, 64, tmp_path)
    return Program.load(spec, tmp_path)


def test_the_remainder_of_a_negative_number_has_the_sign_of_the_divisor(program: Program, tmp_path: Path) -> None:
    """Its own kernel gives remainder(-9, 4) = -1."""
    executorch.lower(program, Form(), tmp_path / "model.pte")
    x = torch.arange(-20, 20)

    outputs = executorch.load(tmp_path / "model.pte", []).run([x.numpy()])

    for output, expected in zip(outputs, Remainders()(x), strict=True):
        np.testing.assert_allclose(output, expected.numpy(), rtol=1e-5)


def test_a_program_reports_its_delegates_and_its_memory(program: Program, tmp_path: Path) -> None:
    notes = executorch.lower(program, Form(), tmp_path / "model.pte").notes
    assert int(notes["planned_bytes"]) > 0
    assert notes["delegates"].isdigit()


def test_constants_begin_with_a_cache_line(tmp_path: Path) -> None:
    """The runtime maps the file, so that a place in it is a place in memory."""
    layers = [CWS(7, 32, storage="uint8", seed=seed) for seed in (1, 2)]
    tables = [layer.table.numpy().tobytes() for layer in layers]
    assert len(tables[0]) % 64 != 0  # else what comes after would be in its place anyhow

    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(layers)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(layer(x)[0] for layer in self.layers)

    spec = resolve(ModelSpec("both", Both(), (torch.rand(2, 7),)))
    capture(spec, 64, tmp_path)
    executorch.lower(Program.load(spec, tmp_path), Form(), tmp_path / "model.pte")
    content = (tmp_path / "model.pte").read_bytes()
    assert [content.index(table) % 64 for table in tables] == [0, 0]


@pytest.mark.parametrize("storage", ["uint8", "generated"])
def test_a_decomposed_table_is_unpacked_ahead_and_the_batch_may_grow(storage: str, tmp_path: Path) -> None:
    """XNNPACK gave wrong numbers, or ended the process, when it unpacked a table beside work on a batch."""
    layer = CWS(7, 32, storage=storage)
    spec = resolve(ModelSpec("hashes", layer, (torch.rand(2, 7),)))
    capture(spec, 64, tmp_path)
    executorch.lower(Program.load(spec, tmp_path), Form(decomposed=True), tmp_path / "model.pte")
    session = executorch.load(tmp_path / "model.pte", [])
    for batch in (1, 2, 5, 64):
        data = torch.rand(batch, 7)
        for output, expected in zip(session.run([data.numpy()]), layer(data), strict=True):
            np.testing.assert_array_equal(output, expected.numpy())
    for op in (b"aten::bitwise_xor", b"aten::permute", b"aten::pow"):
        assert session.content.find(op) < 0
