"""The precisions of TorchScript: what is in the file, what stays float, and what is refused."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from deploypipe.errors import DeployError
from deploypipe.precision import NORMALIZED_ERRORS
from deploypipe.runtimes import Form, torchscript
from tests.runtimes.mixed import KEPT, Made, program

Make = Callable[..., Made]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Lowers the model to a precision, once."""
    done: dict[str, Made] = {}

    def make(precision: str) -> Made:
        if precision not in done:
            done[precision] = Made(tmp_path_factory.mktemp(precision), "torchscript", precision, KEPT)
        return done[precision]

    return make


def calls(file: Path) -> Any:
    """Returns the calls in a file by what is called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.load(file).inlined_graph
    return [node.kind() for node in graph.nodes()]


def types(file: Path) -> set[torch.dtype]:
    """Returns the types of the matrices in a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.load(file).inlined_graph
    values = [node.output().toIValue() for node in graph.nodes() if node.kind() == "prim::Constant"]
    return {value.dtype for value in values if isinstance(value, torch.Tensor) and value.dim() >= 2}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-dynamic"])
def test_the_answers_are_those_of_the_model_and_the_hashes_have_its_bits(made: Make, precision: str) -> None:
    made(precision).check_answers(NORMALIZED_ERRORS[precision])


def test_8_bit_weights_are_in_the_file(made: Make) -> None:
    kinds = calls(made("int8-dynamic").file)
    assert kinds.count("quantized::linear_dynamic") == 2
    assert kinds.count("deploypipe::lltm_int8") == 1
    assert "deploypipe::lltm_packed" not in kinds
    assert torch.int8 in types(made("int8-dynamic").file)


def test_bfloat16_weights_are_in_the_file(made: Make) -> None:
    assert torch.bfloat16 in types(made("bf16").file)
    assert torch.bfloat16 not in types(made("fp32").file)


def test_every_layer_says_what_became_of_it(made: Make) -> None:
    assert made("int8-dynamic").precisions == {
        "convolution": "fp32",
        "lltm": "int8",
        "before": "fp32",
        "cws": "fp32",
        "table": "int8",
        "middle.first": "int8",
        KEPT: "fp32",
        "head": "int8",
    }
    floats = {"lltm": "fp32", "before": "fp32", "cws": "fp32", KEPT: "fp32"}
    others = dict.fromkeys(("convolution", "table", "middle.first", "head"), "bf16")
    assert made("bf16").precisions == floats | others
    assert set(made("fp32").precisions.values()) == {"fp32"}


def test_a_layer_that_stays_float_says_why(made: Make) -> None:
    made_ = made("int8-dynamic")
    assert made_.layer("convolution").reason == "torch has no int8-dynamic form of it"
    assert made_.layer("before").reason == "an op that takes float only needs what it gives"
    assert made_.layer(KEPT).reason == "it was asked to stay float"
    assert not made_.layer("head").reason


def test_custom_ops_are_native(made: Make) -> None:
    made_ = made("int8-dynamic")
    image = torch.rand(2, 1, 8, 8).numpy()
    assert set(made_.session.op_paths([image], made_.program.facts.ops).values()) == {"native"}
    assert "deploypipe::lltm_int8" in made_.program.facts.ops


def test_the_file_is_smaller(made: Make) -> None:
    sizes = {precision: made(precision).file.stat().st_size for precision in ("fp32", "bf16", "int8-dynamic")}
    assert sizes["int8-dynamic"] < 0.65 * sizes["fp32"]  # what was asked to stay float and hashes are half of it
    assert sizes["bf16"] < 0.8 * sizes["fp32"]


def test_records_are_compressed_and_say_nothing_of_where_they_were_built(made: Make) -> None:
    with zipfile.ZipFile(made("fp32").file) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        assert not [name for name in archive.namelist() if name.endswith(".debug_pkl")]


@pytest.mark.parametrize(("precision", "kind"), [("bf16", "bf16"), ("int8-dynamic", "int8")])
def test_a_model_that_is_one_layer(tmp_path: Path, precision: str, kind: str) -> None:
    form = Form(precision=precision)
    module = nn.Linear(8, 4)
    lowered = torchscript.lower(program(tmp_path / "p", torchscript, form, module), form, tmp_path / "model.pt")
    assert [layer.precision for layer in lowered.layers] == [kind]


@pytest.mark.parametrize("precision", ["bf16", "int8-dynamic"])
def test_a_model_with_nothing_to_quantize_is_refused(tmp_path: Path, precision: str) -> None:
    form = Form(precision=precision)
    captured = program(tmp_path / "p", torchscript, form, nn.ReLU())
    with pytest.raises(DeployError, match=f"nothing in the model that {precision} could quantize") as caught:
        torchscript.lower(captured, form, tmp_path / "model.pt")
    assert "Take fp32" in caught.value.cure
