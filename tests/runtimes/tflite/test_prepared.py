"""What stands in the place of layers before the export: 8-bit forms, where a kernel runs them."""

from __future__ import annotations

import pytest
from torch import nn

from deploypipe.ops import CWS, LLTM, QuantizedLLTM
from deploypipe.runtimes import Form, tflite_runtime
from deploypipe.runtimes.tflite import prepared


@pytest.fixture
def model() -> nn.Sequential:
    return nn.Sequential(LLTM(4, 8), nn.Embedding(10, 64), CWS(4, 8), nn.Linear(8, 2))


def kinds(model: nn.Module) -> list[type[nn.Module]]:
    return [type(each) for each in model.children()]


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static", "int8-weight", "int4-weight"])
def test_a_layer_whose_op_has_a_kernel_for_bytes_gets_it(model: nn.Sequential, precision: str) -> None:
    found = prepared.of(model, Form(precision=precision))
    assert kinds(found) == [QuantizedLLTM, nn.Embedding, CWS, nn.Linear]
    assert isinstance(model[0], LLTM)


@pytest.mark.parametrize(
    "form", [Form(True, "int8-dynamic"), Form(), Form(precision="int8-dynamic", kept_float=("0",))], ids=str
)
def test_it_stays_where_nothing_runs_it_or_it_was_asked_to(model: nn.Sequential, form: Form) -> None:
    assert kinds(prepared.of(model, form))[0] is LLTM


def test_the_legacy_runtime_has_no_kernels(model: nn.Sequential) -> None:
    assert tflite_runtime.prepare(model, Form(True, "int8-static")) is model
