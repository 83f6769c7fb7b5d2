"""lltm: values and gradients against the reference, module behaviour, ONNX body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx.checker
import onnx.parser
import onnxruntime
import pytest
import torch

from deploypipe.oplib.spec import Sample
from deploypipe.ops import LLTM, LLTMCell, lltm
from deploypipe.parity import normalized_error

SAMPLES = {sample.name: sample for sample in lltm.SPEC.samples()}
INPUTS = ("input", "h0", "c0", "weight", "bias")
OUTPUTS = ("output", "h", "c")


Op = Callable[..., tuple[torch.Tensor, ...]]


def _gradients(op: Op, sample: Sample, dtype: torch.dtype, used: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    inputs = [tensor.to(dtype, copy=True).requires_grad_() for tensor in sample.inputs]
    outputs = op(*inputs)
    generator = torch.Generator().manual_seed(7)
    weights = [torch.randn(output.shape, generator=generator).to(dtype) for output in outputs]
    loss = sum((outputs[i] * weights[i]).sum() for i in used)
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("used", [(0, 1, 2), (0,), (1,), (2,)], ids=["all", "output", "h", "c"])
@pytest.mark.parametrize("name", SAMPLES)
def test_gradients_agree_with_autograd_in_double(name: str, used: tuple[int, ...]) -> None:
    gradients = _gradients(torch.ops.deploypipe.lltm, SAMPLES[name], torch.float32, used)
    expected = _gradients(lltm.reference, SAMPLES[name], torch.float64, used)
    for argument, gradient, reference in zip(INPUTS, gradients, expected, strict=True):
        assert normalized_error(gradient.numpy(), reference.numpy()) <= 2e-6, argument


def test_gradients_of_a_long_sequence() -> None:
    sizes = (100, 4, 8, 16)
    sample = lltm.sample("long", sizes, torch.Generator().manual_seed(3))
    gradients = _gradients(torch.ops.deploypipe.lltm, sample, torch.float32, (0, 1, 2))
    expected = _gradients(lltm.reference, sample, torch.float64, (0, 1, 2))
    for argument, gradient, reference in zip(INPUTS, gradients, expected, strict=True):
        assert normalized_error(gradient.numpy(), reference.numpy()) <= 1e-5, argument


def test_the_reference_has_right_gradients() -> None:
    inputs = [tensor.to(torch.float64, copy=True).requires_grad_() for tensor in SAMPLES["step1"].inputs]
    assert torch.autograd.gradcheck(lltm.reference, inputs)


def test_values_against_double() -> None:
    for sample in SAMPLES.values():
        outputs = torch.ops.deploypipe.lltm(*sample.inputs)
        expected = lltm.reference(*(tensor.double() for tensor in sample.inputs))
        for output, reference in zip(outputs, expected, strict=True):
            assert normalized_error(output.numpy(), reference.numpy()) <= 1e-6


@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_saturated_gates_stay_finite(scale: float) -> None:
    inputs = [tensor * scale for tensor in SAMPLES["odd"].inputs]
    outputs = torch.ops.deploypipe.lltm(*inputs)
    for output, reference in zip(outputs, lltm.reference(*(x.double() for x in inputs)), strict=True):
        assert normalized_error(output.numpy(), reference.numpy()) <= 1e-5


def test_the_layer_is_the_cell_step_by_step() -> None:
    torch.manual_seed(0)
    layer, cell = LLTM(5, 7), LLTMCell(5, 7)
    cell.load_state_dict(layer.state_dict())
    inputs = torch.randn(6, 3, 5)
    output, (h, c) = layer(inputs)
    state = None
    for step, x in enumerate(inputs):
        state = cell(x, state)
        torch.testing.assert_close(output[step], state[0])
    torch.testing.assert_close((h, c), state)


def test_a_state_can_be_carried_on() -> None:
    torch.manual_seed(0)
    layer, inputs = LLTM(5, 7), torch.randn(6, 3, 5)
    whole, end = layer(inputs)
    first, state = layer(inputs[:2])
    second, last = layer(inputs[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, end)


def test_the_layer_learns() -> None:
    torch.manual_seed(0)
    layer, inputs = LLTM(2, 8), torch.randn(5, 16, 2)
    wanted = torch.tanh(inputs.sum(0).sum(1))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        loss = ((layer(inputs)[1][0].sum(1) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(("argument", "shape"), [(0, (4, 5, 9)), (1, (5, 12)), (2, (4, 13)), (3, (39, 15)), (4, (38,))])
def test_a_wrong_shape_is_an_error_that_names_the_op(argument: int, shape: tuple[int, ...]) -> None:
    inputs = list(SAMPLES["odd"].inputs)
    inputs[argument] = torch.zeros(shape)
    with pytest.raises((ValueError, RuntimeError), match="lltm"):
        torch.ops.deploypipe.lltm(*inputs)


@pytest.mark.parametrize("kind", [LLTM, LLTMCell])
def test_the_modules_can_be_scripted(kind: type) -> None:
    torch.manual_seed(0)
    module, inputs = kind(4, 5), torch.randn(3, 2, 4)
    inputs = inputs if kind is LLTM else inputs[0]
    scripted = torch.jit.script(module)
    torch.testing.assert_close(scripted(inputs), module(inputs))


def test_the_layer_exports_as_one_node_with_a_dynamic_batch() -> None:
    layer = LLTM(4, 5)
    shapes = {"input": {1: torch.export.Dim("batch")}}
    program = torch.export.export(layer, (torch.randn(3, 2, 4),), dynamic_shapes=shapes)
    calls = [str(node.target) for node in program.graph.nodes if "deploypipe" in str(node.target)]
    assert calls == ["deploypipe.lltm.default"]
    inputs = torch.randn(3, 9, 4)
    torch.testing.assert_close(program.module()(inputs), layer(inputs))


@pytest.fixture(scope="module")
def body() -> onnxruntime.InferenceSession:
    """A model that calls the op, which plain onnxruntime knows only by its body."""
    arguments = "float[T,B,I] input, float[B,H] h0, float[B,H] c0, float[G,J] weight, float[G] bias"
    results = "float[T,B,H] output, float[B,H] h, float[B,H] c"
    text = f"""
        <ir_version: 10, opset_import: ["": 20, "deploypipe": 1]>
        model ({arguments}) => ({results}) {{
            output, h, c = deploypipe.lltm ({", ".join(INPUTS)})
        }}
        <domain: "deploypipe", opset_import: ["": 20]>
        lltm ({", ".join(INPUTS)}) => ({", ".join(OUTPUTS)}) {{ {lltm.SPEC.onnx_body} }}
    """
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("name", SAMPLES)
def test_the_onnx_body_agrees_with_the_reference(body: onnxruntime.InferenceSession, name: str) -> None:
    inputs = SAMPLES[name].inputs
    outputs = body.run(OUTPUTS, {key: value.numpy() for key, value in zip(INPUTS, inputs, strict=True)})
    for output, reference in zip(outputs, lltm.reference(*inputs), strict=True):
        assert output.dtype == np.float32
        assert normalized_error(output, reference.numpy()) <= 1e-6
