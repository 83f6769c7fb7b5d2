"""Files as they are shipped: the same answers and signatures, without what nobody reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from deploypipe import native
from deploypipe.ops import CWS, LLTM
from deploypipe.runtimes import Form
from deploypipe.runtimes.tflite import compact, flatbuffer
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess

from .models import Calls, Lowered, lowered, normal, quantized, seeded

STEPS, FEATURES, HIDDEN = 6, 5, 32


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """A sequence that is written out: many operators, and many small constants that are equal."""

    def last(x: torch.Tensor, layer: nn.Module, head: nn.Module) -> Any:
        return head(layer(x.transpose(0, 1))[0][-1])

    folder = tmp_path_factory.mktemp("steps")
    layers = seeded(lambda: LLTM(FEATURES, HIDDEN)), seeded(lambda: nn.Linear(HIDDEN, 4))
    return lowered(folder, Calls(last, *layers), normal(2, STEPS, FEATURES))


def constants(content: bytes) -> list[bytes]:
    """Returns the constants of a file, small and large, as often as they stand in it."""
    return [bytes(data) for each in flatbuffer.parse(content).buffers if (data := flatbuffer.data_of(each)) is not None]


@pytest.mark.parametrize("name", ["fp32", "int8-dynamic", "int8-weight"])
def test_nothing_is_left_that_nobody_reads(steps: Lowered, name: str) -> None:
    file = quantized(steps, name)
    model = flatbuffer.parse(file.content)
    assert not model.metadata
    assert not any(tensor.name for graph in model.subgraphs for tensor in graph.tensors)
    assert len(constants(file.content)) == len(set(constants(file.content)))
    assert len(model.buffers) == 1 + len(constants(file.content))
    assert len(file.content) < 0.75 * len(file.marked)


@pytest.mark.parametrize("name", ["fp32", "int8-dynamic", "int8-weight"])
def test_the_answers_have_the_same_bits(steps: Lowered, name: str, tmp_path: Path) -> None:
    file, x = quantized(steps, name), normal(7, STEPS, FEATURES, seed=1)
    before = tmp_path / "before.tflite"
    before.write_bytes(flatbuffer.write(flatbuffer.parse(file.marked)))
    expected = Lowered(file.program, before, {}, b"", ()).opened().run([x.numpy()])
    np.testing.assert_array_equal(file.opened().run([x.numpy()]), expected)
    np.testing.assert_array_equal(file.classic(x), expected)


def test_the_legacy_runtime_reads_it(steps: Lowered, legacy: LegacyProcess) -> None:
    x = normal(7, STEPS, FEATURES, seed=1)
    legacy.load(quantized(steps, "int8-dynamic", legacy=True).path)
    np.testing.assert_allclose(legacy.run([x.numpy()])[0], steps.eager(x)[0], atol=0.05)


def test_what_is_compact_stays_as_it_is(steps: Lowered) -> None:
    assert compact.written(steps.content) == steps.content


def test_two_states_that_begin_with_the_same_zeros_are_two_states(tmp_path: Path) -> None:
    """A kernel then reads one constant twice."""
    module = Calls(lambda x, layer: layer(x), seeded(lambda: LLTM(FEATURES, HIDDEN)))
    x = normal(STEPS, 2, FEATURES)
    file = lowered(tmp_path, module, x, form=Form(), input_names=["x"], dynamic_axes={})
    for found, expected in zip(file.opened(native.library("litert")).run([x.numpy()]), file.eager(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_generated_table_takes_no_room(tmp_path: Path) -> None:
    file = lowered(tmp_path, CWS(64, 256, storage="generated"), torch.rand(2, 64), form=Form())
    assert sum(map(len, constants(file.content))) < 100
    assert len(file.content) < 2048
