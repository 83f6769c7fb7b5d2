"""PT2E with any quantizer: what it is calibrated on, what it leaves float, and what it says of the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from torch import nn

from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.oplib.float_inputs import float_layers
from deploypipe.ops import CWS
from deploypipe.runtimes import Form, pt2e
from deploypipe.spec import Axis, ModelSpec


class Hashed(nn.Module):
    """A layer that feeds hashes, one beside them, and one in both."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(8, 6)
        self.cws = CWS(6, 16)
        self.beside = nn.Linear(8, 4)
        self.after = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        index, _ = self.cws(torch.relu(self.before(x)))
        result: torch.Tensor = self.after(index.to(x.dtype)) + self.beside(x)
        return result


def program(folder: Path, module: nn.Module, example: torch.Tensor, **fields: Any) -> Program:
    spec = resolve(ModelSpec("m", module, (example,), **fields))
    capture(spec, 64, folder)
    return Program.load(spec, folder)


def quantized(captured: Program, precision: str, *kept: str, decomposed: bool = False) -> torch.export.ExportedProgram:
    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=precision == "int8-dynamic")
    exported = captured.decomposed() if decomposed else captured.exported()
    quantizer = XNNPACKQuantizer().set_global(config)
    return pt2e.quantized(captured, exported, quantizer, Form(precision=precision, kept_float=kept))


def layers(captured: Program, exported: torch.export.ExportedProgram) -> dict[str, str]:
    return pt2e.layers([exported.graph], [layer.name for layer in captured.layers])


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static"])
@pytest.mark.parametrize("decomposed", [False, True])
def test_what_computes_a_float_input_stays_float(precision: str, decomposed: bool, tmp_path: Path) -> None:
    captured = program(tmp_path, Hashed(), torch.rand(3, 8), calibration=[(torch.rand(30, 8),)])

    exported = quantized(captured, precision, decomposed=decomposed)

    assert layers(captured, exported) == {"beside": "int8", "after": "int8"}
    assert float_layers(captured.exported().graph, ()) == {"", "before"}


def test_layers_that_are_kept_stay_float_with_all_within_them(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), nn.Linear(8, 8), nn.Linear(8, 2))
    captured = program(tmp_path, module, torch.rand(3, 8))

    assert layers(captured, quantized(captured, "int8-dynamic", "0", "2")) == {"1": "int8"}


def test_a_quantized_graph_keeps_its_types_its_ranges_and_no_float_weights(tmp_path: Path) -> None:
    x = torch.rand(3, 5, 8)
    axes = {"input": {0: Axis("batch", 2, 50), 1: "time"}}
    module = nn.Linear(8, 4, bias=False)
    captured = program(tmp_path, module, x, dynamic_axes=axes)

    exported = quantized(captured, "int8-dynamic")

    assert sorted((one.lower, one.upper) for one in exported.range_constraints.values()) == [(1, 64), (2, 50)]
    result = exported.module()(x)
    assert result.dtype == torch.float32
    assert (result - module(x)).abs().max() < 0.05
    assert not any(tensor.shape == (4, 8) and tensor.is_floating_point() for tensor in exported.state_dict.values())


def test_static_scales_need_calibration_data(tmp_path: Path) -> None:
    captured = program(tmp_path, nn.Linear(8, 4), torch.rand(3, 8))
    with pytest.raises(DeployError, match=r"int8-static needs calibration data\. Give the model some"):
        quantized(captured, "int8-static")


@pytest.mark.parametrize("axes", [{}, {"input": {0: Axis("batch", 1, 4)}}])
def test_calibration_data_is_cut_into_sizes_that_the_program_admits(axes: Any, tmp_path: Path) -> None:
    """The row that decides the scale is in the last piece, which is filled up with others."""
    rows = torch.rand(7, 8)
    rows[6] = 100
    captured = program(tmp_path, nn.Linear(8, 4), torch.rand(2, 8), dynamic_axes=axes, calibration=[(rows,)])

    exported = quantized(captured, "int8-static")

    quantize = next(node for node in exported.graph.nodes if "quantize_per_tensor" in str(node.target))
    assert quantize.args[1] * 255 == pytest.approx(100, rel=0.05)


def test_a_quantizer_that_fails_is_said_so(tmp_path: Path) -> None:
    class Failing(XNNPACKQuantizer):  # type: ignore[misc]
        def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
            raise RuntimeError("no\nidea")

    captured = program(tmp_path, nn.Linear(8, 4), torch.rand(3, 8))
    with pytest.raises(DeployError, match=r"cannot be quantized to int8-dynamic: no\. Take another precision"):
        pt2e.quantized(captured, captured.exported(), Failing(), Form(precision="int8-dynamic"))
