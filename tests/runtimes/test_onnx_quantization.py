"""Precisions of ONNX Runtime: what becomes 8 or 4 bits is read from the file, and what may not stays float."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from deploypipe import ModelSpec, native, precision
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.layers import LayerState
from deploypipe.ops import CWS, LLTM
from deploypipe.parity import normalized_error
from deploypipe.runtimes import Form, onnxruntime

SIZE = 64
SMALLER = [name for name in onnxruntime.PRECISIONS if name != "fp32"]
# What computes with the weights of a linear layer.
PRODUCTS = {"int8-dynamic": "MatMulInteger", "int8-static": "DequantizeLinear", "int4-weight": "MatMulNBits"}


class Hashing(nn.Module):
    """Hashes of what a layer gives, looked up and summed, beside a layer on the same values."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(SIZE, SIZE)
        self.cws = CWS(SIZE, 16)
        self.table = nn.Embedding(SIZE, SIZE)
        self.beside = nn.Linear(SIZE, SIZE)
        self.head = nn.Linear(SIZE, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u = torch.relu(self.before(x))
        index, t = self.cws(u)
        rows = self.table(index.clamp(min=0)).sum(dim=1)
        return self.head(torch.relu(rows + self.beside(u))), index, t


@dataclass(frozen=True)
class File:
    """A model and its file."""

    module: nn.Module
    path: Path
    layers: Sequence[LayerState]

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def ops(self) -> Counter[str]:
        return Counter(node.op_type for node in self.model.graph.node)

    @property
    def precisions(self) -> dict[str, str]:
        return {layer.name: layer.precision for layer in self.layers}

    def reason(self, name: str) -> str:
        return next(layer.reason for layer in self.layers if layer.name == name)

    def run(self, *inputs: torch.Tensor, libraries: Sequence[Path] = ()) -> tuple[Any, ...]:
        return onnxruntime.load(self.path, libraries).run([each.numpy() for each in inputs])

    def eager(self, *inputs: torch.Tensor) -> list[Any]:
        with torch.no_grad():
            return [each.numpy() for each in torch.utils._pytree.tree_leaves(self.module(*inputs))]


def lowered(folder: Path, module: nn.Module, *inputs: torch.Tensor, form: Form, **fields: Any) -> File:
    """Lowers a model, calibrated on its example unless told otherwise."""
    folder.mkdir(exist_ok=True)
    spec = resolve(ModelSpec("m", module, inputs, **({"calibration": [inputs]} | fields)))
    prepare = None if form.precision == "fp32" else functools.partial(onnxruntime.prepare, form=form)
    capture(spec, None, folder, prepare)
    found = onnxruntime.lower(Program.load(spec, folder, None, prepare), form, folder / "model.onnx")
    return File(spec.module, folder / "model.onnx", found.layers)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


Hashings = Callable[[str], File]


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> Hashings:
    """The file of `Hashing` in a precision; each is made once."""
    torch.manual_seed(0)
    module = Hashing()

    @functools.cache
    def of(name: str) -> File:
        folder = tmp_path_factory.mktemp("hashing") / name
        return lowered(folder, module, normal(32, SIZE), form=Form(precision=name))

    return of


@pytest.mark.parametrize("name", SMALLER)
def test_a_smaller_precision_is_smaller_and_stays_near(hashing: Hashings, name: str) -> None:
    file = hashing(name)
    # What computes the input of CWS stays float, and so do its tables.
    assert file.size < 0.75 * hashing("fp32").size
    for batch in (1, 50):
        x = normal(batch, SIZE, seed=9)
        found, expected = file.run(x)[0], file.eager(x)[0]
        assert found.dtype == np.float32
        assert 0 < normalized_error(found, expected) < precision.NORMALIZED_ERRORS[name]


@pytest.mark.parametrize("name", SMALLER)
def test_the_weights_in_the_file_have_few_bits(hashing: Hashings, name: str) -> None:
    file = hashing(name)
    tensors = {each.name: onnx.TensorProto.DataType.Name(each.data_type) for each in file.model.graph.initializer}
    assert tensors["table.weight"] == "INT8"
    assert file.ops[PRODUCTS[name]] >= 2
    for layer in ("beside", "head"):
        weights = [kind for tensor, kind in tensors.items() if tensor.startswith(f"{layer}.weight")]
        assert ("UINT8" if name == "int4-weight" else "INT8") in weights
        assert f"{layer}.weight" not in tensors
    if name == "int4-weight":
        bits = [a.i for node in file.model.graph.node for a in node.attribute if a.name == "bits"]
        assert bits == [4, 4]


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static"])
def test_sums_of_two_products_fit_16_bits(hashing: Hashings, name: str) -> None:
    """As x86 without VNNI needs it: an activation of 8 bits, unsigned, times a weight."""
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in hashing(name).model.graph.initializer}
    weights = [each for key, each in tensors.items() if key.startswith("head.weight") and each.dtype == np.int8]
    assert 2 * 255 * max(np.abs(each.astype(int)).max() for each in weights) < 2**15


@pytest.mark.parametrize("name", onnxruntime.PRECISIONS)
def test_hashes_are_the_same_bits_with_and_without_the_library(hashing: Hashings, name: str) -> None:
    file = hashing(name)
    assert [(each.domain, each.name) for each in file.model.functions] == [("deploypipe", "cws_dense")]
    assert file.ops["cws_dense"] == 1
    x = normal(200, SIZE, seed=5)
    expected = hashing("fp32").run(x, libraries=[native.library("onnxruntime")])[1:]
    for libraries in ([], [native.library("onnxruntime")]):
        for found, other in zip(file.run(x, libraries=libraries)[1:], expected, strict=True):
            np.testing.assert_array_equal(found, other, strict=True)


@pytest.mark.parametrize("name", SMALLER)
def test_nothing_of_8_bits_comes_before_the_hashes(hashing: Hashings, name: str) -> None:
    model = hashing(name).model
    made = {output: node for node in model.graph.node for output in node.output}
    (node,) = (each for each in model.graph.node if each.op_type == "cws_dense")
    kinds, value = [], node.input[0]
    while value in made:
        kinds.append(made[value].op_type)
        value = made[value].input[0]
    assert set(kinds) <= {"Relu", "Gemm", "Add", "MatMul"}
    assert value == model.graph.input[0].name


@pytest.mark.parametrize("name", SMALLER)
def test_the_layers_tell_what_became_of_them(hashing: Hashings, name: str) -> None:
    file = hashing(name)
    few = "int4" if name == "int4-weight" else "int8"
    assert file.precisions == {"before": "fp32", "cws": "fp32", "table": "int8", "beside": few, "head": few}
    assert file.reason("before") == "an op that takes float only needs what it gives"
    assert "float only" in file.reason("cws")


def test_a_file_tells_nothing_of_the_machine_that_made_it(hashing: Hashings) -> None:
    for name in ("fp32", "int8-static"):
        content = hashing(name).path.read_bytes()
        assert b"stack_trace" not in content
        assert str(Path(__file__).parent.parent).encode() not in content


@pytest.mark.parametrize("name", SMALLER)
def test_a_decomposed_cws_is_kept_float_too(tmp_path: Path, name: str) -> None:
    """Here there is no node that tells what it is."""
    torch.manual_seed(0)
    file = lowered(tmp_path, Hashing(), normal(32, SIZE), form=Form(precision=name, decomposed=True))
    assert file.precisions["before"] == "fp32"
    assert file.precisions["head"] != "fp32"
    x = normal(200, SIZE, seed=5)
    assert not file.ops["cws_dense"]
    for found, expected in zip(file.run(x)[1:], file.eager(x)[1:], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static"])
def test_the_own_kernels_take_the_int8_form_of_an_lltm(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lltm, self.head = LLTM(8, 48), nn.Linear(48, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.lltm(x)[0][-1])
            return logits

    module, x = Reader(), normal(5, 3, 8)
    fields = {"input_names": ["x"], "dynamic_axes": {"x": {1: "batch"}}, "calibration": [(normal(5, 64, 8),)]}
    files = [lowered(tmp_path / kind, module, x, form=Form(precision=kind), **fields) for kind in ("fp32", name)]
    file = files[1]
    assert file.precisions == {"lltm": "int8", "head": "int8"}
    assert file.size < 0.5 * files[0].size
    assert file.ops["lltm_int8"] == 1
    sums = next(each for each in file.model.graph.initializer if each.name.startswith("lltm.sums"))
    assert sums.data_type == onnx.TensorProto.INT16  # of weights; the op takes 32 bits
    for libraries in ([], [native.library("onnxruntime")]):
        found = file.run(normal(5, 7, 8, seed=1), libraries=libraries)[0]
        assert normalized_error(found, file.eager(normal(5, 7, 8, seed=1))[0]) < 0.1


class Branches(nn.Module):
    """Layers on three axes, whose weights the exporter turns around, one of them called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(SIZE, SIZE), nn.Linear(SIZE, SIZE))
        self.last = nn.Linear(SIZE, SIZE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        twice, once = self.inner
        result: torch.Tensor = self.last(twice(torch.tanh(twice(x))) + once(x))
        return result


@pytest.mark.parametrize("name", SMALLER)
def test_layers_that_are_kept_float_have_their_weights_as_they_were(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    module, x = Branches(), normal(4, 3, SIZE)
    file = lowered(tmp_path, module, x, form=Form(precision=name, kept_float=("inner.0",)))
    few = "int4" if name == "int4-weight" else "int8"
    assert file.precisions == {"inner.0": "fp32", "inner.1": few, "last": few}
    assert file.reason("inner.0") == "it was asked to stay float"
    floats = [onnx.numpy_helper.to_array(each) for each in file.model.graph.initializer if len(each.dims) == 2]
    weight = module.inner.get_parameter("0.weight").detach().numpy()
    assert any(np.array_equal(each, weight.T) for each in floats)


def test_what_is_in_a_module_that_is_kept_float_stays_float(tmp_path: Path) -> None:
    form = Form(precision="int8-dynamic", kept_float=("inner",))
    file = lowered(tmp_path, Branches(), normal(4, 3, SIZE), form=form)
    assert {name for name, kind in file.precisions.items() if kind == "fp32"} == {"inner.0", "inner.1"}


class Mixed(nn.Module):
    """A convolution, a recurrent layer of each kind, and a linear one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(8, SIZE, 3, padding=1), nn.BatchNorm1d(SIZE)
        self.lstm, self.gru = nn.LSTM(SIZE, SIZE, batch_first=True), nn.GRU(SIZE, SIZE, batch_first=True)
        self.head = nn.Linear(SIZE, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x))).transpose(1, 2)
        logits: torch.Tensor = self.head(self.gru(self.lstm(y)[0])[0][:, -1])
        return logits


@pytest.mark.parametrize(
    ("name", "quantized"),
    [("int8-dynamic", {"lstm", "head"}), ("int8-static", {"conv", "head"}), ("int4-weight", {"head"})],
)
def test_each_precision_takes_the_layers_that_it_is_good_for(tmp_path: Path, name: str, quantized: set[str]) -> None:
    """A convolution is folded with the normalisation after it, and still known for what it is."""
    torch.manual_seed(0)
    file = lowered(tmp_path, Mixed().eval(), normal(6, 8, 5), form=Form(precision=name))
    assert {layer for layer, kind in file.precisions.items() if kind != "fp32"} == quantized
    assert file.reason("gru") == f"ONNX Runtime has no {name} form of GRU"
    if name == "int8-dynamic":
        assert "slower" in file.reason("conv")
    x = normal(9, 8, 5, seed=3)
    assert normalized_error(file.run(x)[0], file.eager(x)[0]) < precision.NORMALIZED_ERRORS[name]


def test_products_of_two_activations_stay_float(tmp_path: Path) -> None:
    """Their scores hold masks, which no 8 bits span."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(SIZE, SIZE), nn.Linear(SIZE, SIZE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = self.q(x) @ self.k(x).transpose(1, 2)
            mask = torch.ones(x.size(1), x.size(1)).triu(1).bool()
            mixed: torch.Tensor = scores.masked_fill(mask, -torch.inf).softmax(dim=-1) @ x
            return mixed

    file = lowered(tmp_path, Attention(), normal(4, 6, SIZE), form=Form(precision="int8-static"))
    weights = [each for each in file.model.graph.initializer if each.data_type == onnx.TensorProto.INT8]
    assert len([each for each in weights if len(each.dims) == 2]) == 2
    x = normal(4, 6, SIZE, seed=2)
    assert normalized_error(file.run(x)[0], file.eager(x)[0]) < 0.2


def test_static_needs_calibration_data(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="int8-static needs calibration data") as caught:
        lowered(tmp_path, nn.Linear(4, 3), normal(2, 4), form=Form(precision="int8-static"), calibration=None)
    assert "calibration=" in caught.value.cure


@pytest.mark.parametrize("name", SMALLER)
def test_a_model_without_weights_to_quantize_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeployError, match=f"nothing in the model that {name} could quantize") as caught:
        lowered(tmp_path, CWS(8, 4), torch.rand(2, 8), form=Form(precision=name))
    assert "fp32" in caught.value.cure


def test_a_quantizer_that_fails_is_an_error_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("an operator is not known")

    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", fails)
    with pytest.raises(DeployError, match="int8-dynamic: an operator is not known") as caught:
        lowered(tmp_path, nn.Linear(4, 3), normal(2, 4), form=Form(precision="int8-dynamic"))
    assert caught.value.cure == "Take another precision."


def test_the_logging_of_the_process_stays_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    lowered(tmp_path, nn.Linear(SIZE, SIZE), normal(2, SIZE), form=Form(precision="int4-weight"))
    assert (root.handlers, root.level) == before
