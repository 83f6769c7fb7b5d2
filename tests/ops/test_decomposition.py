"""The references as decompositions: a stock ExecuTorch and a stock onnxruntime run them with any batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from executorch.exir import to_edge_transform_and_lower
from executorch.extension.pybindings.portable_lib import _load_for_executorch_from_buffer

from deploypipe.ops import LLTM, cws, lltm, square

MAX_BATCH = 64
Outputs = tuple[torch.Tensor, ...]


class Decomposed(torch.nn.Module):
    """Runs a reference on the batch, with the other arguments of the op as constants."""

    def __init__(self, reference: Callable[..., torch.Tensor | Outputs], *constants: torch.Tensor) -> None:
        super().__init__()
        self.reference = reference
        self.constants = torch.nn.ParameterList([torch.nn.Parameter(value, False) for value in constants])

    def forward(self, data: torch.Tensor) -> Outputs:
        """Returns the outputs of the op."""
        if self.reference is lltm.reference:
            zeros = data.new_zeros(data.size(1), self.constants[1].numel() // 3)
            return lltm.reference(data, zeros, zeros, *self.constants)
        outputs = self.reference(data, *self.constants)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def _lltm_data(batch: int) -> torch.Tensor:
    return torch.randn(3, batch, 5)


def _cws_data(batch: int) -> torch.Tensor:
    return torch.randn(batch, 12).clamp(min=0)


def _models() -> dict[str, tuple[Decomposed, Callable[[int], torch.Tensor], int]]:
    """Returns of each op: its decomposed model, a maker of data, and the axis of the batch."""
    torch.manual_seed(0)
    layer, tables = LLTM(5, 6), cws.tables_of(_cws_data(1), 9)
    return {
        "square": (Decomposed(square.reference), _cws_data, 0),
        "lltm": (Decomposed(lltm.reference, layer.weight.detach(), layer.bias.detach()), _lltm_data, 1),
        "cws": (Decomposed(cws.reference, *tables), _cws_data, 0),
    }


MODELS = _models()
BATCHES = (1, 7, MAX_BATCH)


def _agree(outputs: list[np.ndarray], expected: Outputs) -> None:
    for output, reference in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, reference.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_stock_executorch_runs_it(name: str) -> None:
    model, data, axis = MODELS[name]
    shapes = ({axis: torch.export.Dim("batch", max=MAX_BATCH)},)
    program = torch.export.export(model, (data(4),), dynamic_shapes=shapes)
    buffer = to_edge_transform_and_lower(program).to_executorch().buffer
    method = _load_for_executorch_from_buffer(buffer)
    for batch in BATCHES:
        inputs = data(batch)
        _agree([output.numpy() for output in method.forward([inputs])], model(inputs))


@pytest.mark.parametrize("name", ["square", "cws"])
def test_a_stock_onnxruntime_runs_it(name: str) -> None:
    model, data, axis = MODELS[name]
    program = torch.onnx.export(model, (data(4),), dynamo=True, dynamic_shapes=({axis: "batch"},), verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for batch in BATCHES:
        inputs = data(batch)
        _agree(session.run(None, {session.get_inputs()[0].name: inputs.numpy()}), model(inputs))
