"""Precisions: files shrink, answers stay near, and what cannot be had is refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_quantizer import quantizer
from torch import nn

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.ops import LLTM, Square
from deploypipe.parity import normalized_error
from deploypipe.precision import NORMALIZED_ERRORS, PRECISIONS
from deploypipe.runtimes import Form, litert, tflite_runtime
from deploypipe.runtimes.tflite import flatbuffer, gate, precision, statistics

from .models import Calls, Lowered, lowered, normal, program, quantized, seeded, written

SIZE = 256


def layers() -> nn.Module:
    return nn.Sequential(nn.Linear(SIZE, SIZE), nn.ReLU(), nn.Linear(SIZE, 32))


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    calibration = [(normal(24, SIZE, seed=seed),) for seed in range(30)]
    return lowered(tmp_path_factory.mktemp("dense"), seeded(layers), normal(2, SIZE), calibration=calibration)


@pytest.mark.parametrize("name", [name for name in precision.PRECISIONS if name != "fp32"])
def test_a_smaller_precision_stays_near(dense: Lowered, name: str) -> None:
    file = quantized(dense, name)
    assert len(file.content) < 0.5 * len(dense.content)
    x = normal(40, SIZE, seed=99)
    for found in (file.opened().run([x.numpy()]), file.classic(x)):
        assert found[0].dtype == np.float32
        error = normalized_error(found[0], file.eager(x)[0])
        assert 0 < error < NORMALIZED_ERRORS[name]


def test_four_bits_take_less_than_eight(dense: Lowered) -> None:
    sizes = [len(quantized(dense, name).content) for name in ("int4-weight", "int8-weight")]
    assert sizes[0] < 0.6 * sizes[1]


def test_full_precision_is_the_file_itself(dense: Lowered) -> None:
    assert precision.quantized(dense.marked, dense.program, Form(), legacy=False) == (dense.marked, {})


@pytest.mark.parametrize("legacy", [True, False])
def test_only_the_legacy_runtime_gets_one_scale_for_a_layer(dense: Lowered, legacy: bool) -> None:
    model = flatbuffer.parse(quantized(dense, "int8-dynamic", legacy).content)
    scales = [
        len(graph.tensors[each.inputs[1]].quantization.scale)
        for graph, each in flatbuffer.operators(model)
        if flatbuffer.builtin_of(model, each) == flatbuffer.schema().BuiltinOperator.FULLY_CONNECTED
    ]
    assert scales == ([1, 1] if legacy else [SIZE, 32])


def test_narrow_rows_share_one_scale(tmp_path: Path) -> None:
    """A scale and a zero point for each would take a good part of what the bytes save."""
    file = lowered(tmp_path, seeded(lambda: nn.Linear(64, 48)), normal(2, 64))
    (weights,) = (each for each in tensors(quantized(file, "int8-dynamic")) if flatbuffer.shape_of(each) == (48, 64))
    assert len(weights.quantization.scale) == 1


def tensors(file: Lowered) -> list[flatbuffer.Tensor]:
    return [each for graph in flatbuffer.parse(file.content).subgraphs for each in graph.tensors]


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static", "int8-weight"])
def test_the_gate_of_the_legacy_runtime_lets_its_files_pass(dense: Lowered, name: str) -> None:
    assert gate.refusals(quantized(dense, name, legacy=True).content) == []


def test_static_needs_calibration_data(tmp_path: Path) -> None:
    file = lowered(tmp_path, seeded(lambda: nn.Linear(4, 3)), normal(2, 4))
    with pytest.raises(DeployError, match="int8-static needs calibration data") as caught:
        quantized(file, "int8-static")
    assert "calibration=" in caught.value.cure


@pytest.fixture(scope="module")
def native_square(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """Layers before and after a custom operator."""
    folder = tmp_path_factory.mktemp("square")
    module = nn.Sequential(seeded(lambda: nn.Linear(64, 64)), Square(), seeded(lambda: nn.Linear(64, 16)))
    captured = program(folder, module, normal(2, 64), calibration=[(normal(40, 64, seed=seed),) for seed in range(3)])
    return written(folder, captured, Form())


def test_activations_around_a_custom_operator_are_calibrated_by_running_it(native_square: Lowered) -> None:
    file = quantized(native_square, "int8-static")
    assert "QUANTIZE" in file.names
    x = normal(20, 64, seed=9)
    found = file.opened(native.library("litert")).run([x.numpy()])
    assert 0 < normalized_error(found[0], file.eager(x)[0]) < NORMALIZED_ERRORS["int8-static"]


def test_they_are_what_the_quantizer_itself_finds_where_it_can(dense: Lowered) -> None:
    model = flatbuffer.parse(dense.marked)
    (signature,) = model.signatureDefs
    samples = {signature.signatureKey.decode(): [*statistics._samples(model, signature, dense.program)]}
    work = quantizer.Quantizer(bytearray(dense.marked))
    work.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
    expected = work.calibrate(samples, num_threads=1)
    found = statistics._measured(model, dense.program, samples)
    for name in set(expected) & set(found):
        np.testing.assert_allclose(found[name]["max"], expected[name]["max"], rtol=1e-4)
        np.testing.assert_allclose(found[name]["min"], expected[name]["min"], rtol=1e-4, atol=1e-5)
    assert len(set(expected) & set(found)) == 3


def test_the_weights_beside_a_custom_operator_are_quantized(native_square: Lowered) -> None:
    file = quantized(native_square, "int8-dynamic")
    assert "INT8" in precision.dtypes_of(file.content)
    assert "custom_call.deploypipe.square" in file.names


def counted(x: torch.Tensor, layer: nn.Module) -> tuple[torch.Tensor, ...]:
    """Integers beside what is quantized."""
    count = (x > 0).sum(1, keepdim=True)
    return layer(x), count * count + 2**40, count * 2**33


@pytest.mark.parametrize("name", ["int8-static", "int8-dynamic", "int8-weight"])
def test_integers_are_left_alone(counting: Lowered, name: str) -> None:
    x = normal(7, 32, seed=3)
    found = quantized(counting, name).opened().run([x.numpy()])
    for one, other in zip(found[1:], counting.eager(x)[1:], strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    module = Calls(counted, seeded(lambda: nn.Linear(32, 32)))
    calibration = [(normal(8, 32, seed=1),)]
    return lowered(tmp_path_factory.mktemp("counting"), module, normal(2, 32), calibration=calibration)


def test_calibration_rows_are_cut_to_the_size_of_the_file(tmp_path: Path) -> None:
    """Here into pieces of two, of which the last is filled up; both sizes of the data are others."""
    calibration = [(normal(5, 8, seed=1),), (normal(1, 8, seed=2),)]
    module = Calls(lambda x, layer: layer(x), seeded(lambda: nn.Linear(8, 8)))
    file = lowered(tmp_path, module, normal(2, 8), input_names=["x"], dynamic_axes={}, calibration=calibration)
    found = quantized(file, "int8-static")
    x = torch.cat([each for (each,) in calibration])[:2]
    assert normalized_error(found.opened().run([x.numpy()])[0], found.eager(x)[0]) < 0.1


@pytest.fixture(scope="module")
def recurrent() -> tuple[nn.Module, torch.Tensor]:
    return Calls(lambda x, layer, head: head(layer(x)[0][-1]), seeded(lambda: LLTM(8, 40)), nn.Linear(40, 4)), normal(
        6, 3, 8
    )


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-static", "int8-weight", "int4-weight"])
def test_a_layer_with_a_kernel_for_bytes_is_exported_with_them(
    recurrent: tuple[nn.Module, torch.Tensor], tmp_path: Path, name: str
) -> None:
    """In every precision, since there is no kernel for fewer bits."""
    form = Form(precision=name)
    module, x = recurrent
    calibration = [(normal(6, 3, 8, seed=seed),) for seed in range(3)]
    fields = {"input_names": ["x"], "dynamic_axes": {}, "calibration": calibration}
    captured = program(tmp_path, module, x, form=form, **fields)
    file = written(tmp_path, captured, form)
    assert "custom_call.deploypipe.lltm_int8" in file.names
    assert file.layers[0].precision == "int8"
    found = file.opened(native.library("litert")).run([x.numpy()])
    assert 0 < normalized_error(found[0], file.eager(x)[0]) < NORMALIZED_ERRORS[name]


@pytest.fixture(scope="module")
def written_out(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """The recurrent model of the zoo, step by step: operators weigh as much as bytes save."""
    module = Calls(
        lambda x, layer, head: head(layer(x.permute(2, 0, 1, 3).flatten(2))[1][0]),
        seeded(lambda: LLTM(8, 128)),
        seeded(lambda: nn.Linear(128, 10)),
    )
    return lowered(tmp_path_factory.mktemp("written_out"), module, normal(2, 1, 8, 8))


@pytest.mark.parametrize("legacy", [True, False])
def test_a_sequence_that_is_written_out_takes_less_than_a_third(written_out: Lowered, legacy: bool) -> None:
    file, x = quantized(written_out, "int8-dynamic", legacy), normal(16, 1, 8, 8, seed=1)
    assert len(file.content) <= 0.3 * len(written_out.content)
    assert normalized_error(file.opened().run([x.numpy()])[0], file.eager(x)[0]) < 0.05


def test_a_model_of_such_a_layer_alone_counts_as_quantized(tmp_path: Path) -> None:
    form = Form(precision="int8-dynamic")
    module, x = Calls(lambda x, layer: layer(x)[0], seeded(lambda: LLTM(8, 40))), normal(6, 3, 8)
    captured = program(tmp_path, module, x, form=form, input_names=["x"], dynamic_axes={})
    file = written(tmp_path, captured, form)
    assert file.notes["quantized_tensors"] == "0"
    assert [each.precision for each in file.layers] == ["int8"]


@pytest.mark.parametrize("module", [litert, tflite_runtime])
def test_every_precision_is_offered_or_refused_with_a_reason(module: Any) -> None:
    assert {*module.PRECISIONS} | {*module.REFUSED} == {*PRECISIONS}
    assert not {*module.PRECISIONS} & {*module.REFUSED}
