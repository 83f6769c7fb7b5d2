"""Ops that must stay float: hashes are the same bits in every precision, and what comes after is quantized."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.ops import CWS
from deploypipe.runtimes import Form
from deploypipe.runtimes.tflite import flatbuffer

from .models import Calls, Lowered, lowered, normal, quantized, seeded

HASHES, FEATURES = 64, 24
PRECISIONS = ("int8-static", "int8-dynamic", "int8-weight", "int4-weight")


def hashed(x: Tensor, before: nn.Module, hashes: nn.Module, table: nn.Module, after: nn.Module) -> tuple[Tensor, ...]:
    """Returns what the hashes choose, and the hashes."""
    index, t = hashes(torch.relu(before(x)))
    return after(table(index.clamp(min=0)).sum(1)), index, t


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    layers = (
        seeded(lambda: nn.Linear(16, FEATURES)),
        CWS(FEATURES, HASHES),
        seeded(lambda: nn.Embedding(FEATURES, 64)),
        seeded(lambda: nn.Linear(64, 32)),
    )
    calibration = [(normal(16, 16, seed=seed),) for seed in range(4)]
    folder = tmp_path_factory.mktemp("hashing")
    return lowered(folder, Calls(hashed, *layers), normal(2, 16), calibration=calibration)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_hashes_are_the_same_bits_in_every_precision(hashing: Lowered, precision: str) -> None:
    file = quantized(hashing, precision)
    # Values far beyond those of the calibration.
    x = 30 * normal(20, 16, seed=9)
    with hashing.opened() as one, file.opened() as other:
        expected, found = (each.run([x.numpy()]) for each in (one, other))
    for hashes, same in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(hashes, same, strict=True)
    assert found[1].dtype == np.int64
    assert len(np.unique(found[1])) > 10


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_comes_before_stays_float_and_what_comes_after_is_quantized(hashing: Lowered, precision: str) -> None:
    file = quantized(hashing, precision)
    before, after = ("FLOAT32", "INT4" if precision == "int4-weight" else "INT8")
    assert weights_by_rows(file) == {FEATURES: before, 32: after}
    assert int(file.notes["quantized_tensors"]) >= 2
    assert int(file.notes["operators_kept_float"]) >= 5


def weights_by_rows(file: Lowered) -> dict[int, str]:
    """Returns the types in which weights of fully connected layers are stored, by how many outputs these have."""
    model, codes = flatbuffer.parse(file.content), flatbuffer.schema().BuiltinOperator
    types = flatbuffer.names(flatbuffer.schema().TensorType)
    operators = [(flatbuffer.builtin_of(model, each), each) for each in model.subgraphs[0].operators]
    stored = {each.outputs[0]: each.inputs[0] for code, each in operators if code == codes.DEQUANTIZE}
    weights = [each.inputs[1] for code, each in operators if code == codes.FULLY_CONNECTED]
    tensors = [model.subgraphs[0].tensors[stored.get(index, index)] for index in weights]
    return {flatbuffer.shape_of(each)[0]: types[each.type] for each in tensors}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_and_outputs_keep_their_types(hashing: Lowered, precision: str) -> None:
    with quantized(hashing, precision).opened() as opened:
        assert [each.dtype for each in opened.inputs] == [np.float32]
        assert [each.dtype for each in opened.outputs] == [np.float32, np.int64, np.int64]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_became_of_each_layer_is_told(hashing: Lowered, precision: str) -> None:
    states = {each.name: (each.precision, each.reason) for each in quantized(hashing, precision).layers}
    after = "int4" if precision == "int4-weight" else "int8"
    assert states == {
        "layers.0": ("fp32", "an op that takes float only needs what it gives"),
        "layers.1": ("fp32", "its hashes would change: it takes float only"),
        "layers.2": (after, ""),
        "layers.3": (after, ""),
    }


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_layer_that_was_asked_to_stay_float_does(hashing: Lowered, precision: str) -> None:
    file = quantized(hashing, precision, kept=("layers.3",))
    assert weights_by_rows(file) == {FEATURES: "FLOAT32", 32: "FLOAT32"}
    states = {each.name: (each.precision, each.reason) for each in file.layers}
    assert states["layers.3"] == ("fp32", "it was asked to stay float")
    assert states["layers.2"][0] != "fp32"


def test_what_is_within_a_module_that_stays_float_does_too(hashing: Lowered) -> None:
    with pytest.raises(DeployError, match="nothing in the model that int8-dynamic could quantize"):
        quantized(hashing, "int8-dynamic", kept=("layers",))


@pytest.fixture(scope="module")
def native_hashing(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """A layer, hashes by our kernel, and a layer on what they choose."""

    def hashed(x: Tensor, before: nn.Module, hashes: nn.Module, after: nn.Module) -> tuple[Tensor, ...]:
        index, t = hashes(torch.relu(before(x)))
        return after(t.float()), index, t

    layers = (seeded(lambda: nn.Linear(16, FEATURES)), CWS(FEATURES, HASHES), seeded(lambda: nn.Linear(HASHES, 32)))
    calibration = [(normal(16, 16, seed=seed),) for seed in range(4)]
    folder = tmp_path_factory.mktemp("native")
    return lowered(folder, Calls(hashed, *layers), normal(2, 16), form=Form(), calibration=calibration)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_kernel_gets_the_same_input_in_every_precision(native_hashing: Lowered, precision: str) -> None:
    file = quantized(native_hashing, precision)
    assert "custom_call.deploypipe.cws_dense;hashes=64" in file.names
    x = 30 * normal(20, 16, seed=9)
    library = native.library("litert")
    with native_hashing.opened(library) as one, file.opened(library) as other:
        expected, found = (each.run([x.numpy()]) for each in (one, other))
    for hashes, same in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(hashes, same, strict=True)
    assert [each.precision for each in file.layers] == ["fp32", "fp32", "int4" if "4" in precision else "int8"]


def test_a_model_with_nothing_to_quantize_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = lowered(tmp_path_factory.mktemp("bare"), CWS(FEATURES, 16), torch.rand(2, FEATURES))
    for precision in ("int8-dynamic", "int8-weight", "int4-weight"):
        with pytest.raises(DeployError, match=f"nothing in the model that {precision} could quantize") as caught:
            quantized(file, precision)
        assert "fp32" in caught.value.cure
