"""Long sequences: one WHILE gives the answers of the op itself, and holds the weights once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deploypipe import Axis
from deploypipe.errors import DeployError
from deploypipe.ops import LLTM, lltm
from deploypipe.parity import normalized_error
from deploypipe.runtimes.tflite import flatbuffer, loops, modules

from .models import Calls, Lowered, lowered, normal, quantized, seeded

FEATURES, HIDDEN = 3, 40
WEIGHTS = 4 * 3 * HIDDEN * (HIDDEN + FEATURES)
STATIC: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {}}
AXES: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {1: Axis("batch")}}}


def layer() -> nn.Module:
    return seeded(lambda: LLTM(FEATURES, HIDDEN))


def everything(x: Tensor, layer: nn.Module) -> Any:
    return layer(x)


def last_state(x: Tensor, layer: nn.Module) -> Tensor:
    state: Tensor = layer(x)[1][0]
    return state


def whiles(file: Lowered) -> list[Any]:
    model = flatbuffer.parse(file.content)
    kind = flatbuffer.schema().BuiltinOperator.WHILE
    return [each for _, each in flatbuffer.operators(model) if flatbuffer.builtin_of(model, each) == kind]


def errors(file: Lowered, *inputs: Tensor) -> list[float]:
    with file.opened() as opened:
        found = opened.run([each.numpy() for each in inputs])
        return [normalized_error(one, other) for one, other in zip(found, file.eager(*inputs), strict=True)]


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """A hundred steps: six rounds, and four steps that remain."""
    folder = tmp_path_factory.mktemp("looped")
    return lowered(folder, Calls(everything, layer()), normal(100, 2, FEATURES), **AXES)


@pytest.mark.parametrize("batch", [1, 17, 3])
def test_a_loop_gives_the_outputs_and_the_states_of_the_op(looped: Lowered, batch: int) -> None:
    assert max(errors(looped, normal(100, batch, FEATURES, seed=batch))) < 1e-5


def test_the_interpreter_runs_a_loop_too(looped: Lowered) -> None:
    x = normal(100, 3, FEATURES)
    for one, other in zip(looped.classic(x), looped.eager(x), strict=True):
        assert normalized_error(one, other) < 1e-5


def test_a_file_with_a_loop_has_one_while_and_no_trace_of_its_parts(looped: Lowered) -> None:
    model = flatbuffer.parse(looped.content)
    assert len(whiles(looped)) == 1
    assert [each.signatureKey for each in model.signatureDefs] == [flatbuffer.SIGNATURE.encode()]
    assert len(model.subgraphs) == 3
    assert not any(flatbuffer.custom_code(model, each) for _, each in flatbuffer.operators(model))
    assert looped.notes["deploypipe::lltm_packed"] == "100 steps, by a WHILE with 16 in a round"


def test_weights_are_stored_once(looped: Lowered) -> None:
    """The body of the loop and the steps after it share them."""
    model = flatbuffer.parse(looped.content)
    sizes = [len(data) for each in model.buffers if (data := flatbuffer.data_of(each)) is not None]
    assert sizes.count(WEIGHTS) == 1
    # What the loop begins with is as long as its output for one row.
    assert sum(sizes) - WEIGHTS < 1.5 * 4 * 6 * loops.BLOCK * HIDDEN


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> int:
    """Short rounds, and loops for sequences that are longer than one: they are converted sooner."""
    for module, name in ((loops, "UNROLLED"), (loops, "BLOCK"), (modules, "BLOCK")):
        monkeypatch.setattr(module, name, 4)
    return 4


def test_a_loop_has_at_least_one_round() -> None:
    assert loops.UNROLLED >= loops.BLOCK


@pytest.mark.parametrize("remainder", [0, 1])
def test_what_remains_after_the_rounds_may_be_one_step_or_none(tmp_path: Path, soon: int, remainder: int) -> None:
    """Here the sequence of outputs is used by nobody."""
    length = 2 * soon + remainder
    file = lowered(tmp_path, Calls(last_state, layer()), normal(length, 2, FEATURES), **STATIC)
    assert len(whiles(file)) == 1
    assert max(errors(file, normal(length, 2, FEATURES, seed=1))) < 1e-5


def test_a_short_sequence_is_written_out(tmp_path: Path, soon: int) -> None:
    file = lowered(tmp_path, Calls(last_state, layer()), normal(soon, 1, FEATURES), **STATIC)
    assert not whiles(file)
    assert file.notes["deploypipe::lltm_packed"] == "4 steps, written out"
    assert max(errors(file, normal(soon, 1, FEATURES, seed=1))) < 1e-5


def test_two_loops_in_one_model(tmp_path: Path, soon: int) -> None:
    def stacked(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
        outputs: Tensor = second(first(x)[0])[0]
        return outputs

    layers = (seeded(lambda: LLTM(FEATURES, 5)), seeded(lambda: LLTM(5, 4)))
    file = lowered(tmp_path, Calls(stacked, *layers), normal(soon + 1, 2, FEATURES), **STATIC)
    options = [each.builtinOptions for each in whiles(file)]
    assert len({each.bodySubgraphIndex for each in options}) == 2
    assert max(errors(file, normal(soon + 1, 2, FEATURES, seed=1))) < 1e-5


@pytest.mark.usefixtures("soon")
def test_an_op_whose_parameters_are_computed_is_written_out(tmp_path: Path) -> None:
    """A loop has a copy of the parameters."""

    def scaled(x: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor) -> Any:
        return torch.ops.deploypipe.lltm(x, h, c, weight * 0.5, bias)[0]

    call = lltm.sample("long", (6, 2, 3, 4), torch.Generator().manual_seed(1))
    names = ["x", "h", "c", "weight", "bias"]
    file = lowered(tmp_path, Calls(scaled), *call.inputs, input_names=names, dynamic_axes={})
    assert not whiles(file)
    assert file.notes["deploypipe::lltm"] == "6 steps, written out"
    assert max(errors(file, *call.inputs)) < 1e-5


def body_types(file: Lowered) -> set[int]:
    model = flatbuffer.parse(file.content)
    body = model.subgraphs[whiles(file)[0].builtinOptions.bodySubgraphIndex]
    return {tensor.type for tensor in body.tensors}


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-weight"])
def test_weights_of_a_loop_are_quantized(looped: Lowered, precision: str) -> None:
    file = quantized(looped, precision)
    assert flatbuffer.schema().TensorType.INT8 in body_types(file)
    assert len(looped.content) - len(file.content) > 0.6 * WEIGHTS
    assert [(each.name, each.precision) for each in file.layers] == [("layers.0", "int8")]
    assert max(errors(file, normal(100, 3, FEATURES, seed=1))) < 0.1


def test_a_loop_of_a_layer_that_stays_float_does(looped: Lowered) -> None:
    with pytest.raises(DeployError, match="nothing in the model that int8-dynamic could quantize"):
        quantized(looped, "int8-dynamic", kept=("layers.0",))


def test_activations_of_a_loop_cannot_be_calibrated(looped: Lowered) -> None:
    with pytest.raises(DeployError, match="inside of a WHILE") as caught:
        quantized(looped, "int8-static")
    assert "int8-dynamic" in caught.value.cure
