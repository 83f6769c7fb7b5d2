"""Files as objects: nothing is lost by writing, constants are aligned and stored once, names are unique."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deploypipe.runtimes.tflite import call_model, flatbuffer
from deploypipe.runtimes.tflite.call_model import Call

from . import files
from .models import Array

SIZES = (4, 60, 64, 100, 4096)


def model_of(*constants: Array, code: str = "") -> Any:
    """Makes a model whose operators each add a constant, or hand it to a custom operator."""
    tensors = {"x": ("float32", (1,)), **{f"y{number}": ("float32", (1,)) for number in range(len(constants))}}
    calls = [Call(code or "custom_call.test", ["x"], [f"y{number}"]) for number in range(len(constants))]
    model = flatbuffer.parse(call_model.write(tensors, calls, ["x"], [f"y{n}" for n in range(len(constants))]))
    graph = model.subgraphs[0]
    for number, constant in enumerate(constants):
        index = flatbuffer.add_constant(model, graph, "constant", constant)
        inputs, outputs = [0, index], graph.operators[number].outputs
        if code:
            graph.operators[number].inputs = inputs
        else:
            options = flatbuffer.schema().AddOptionsT()
            graph.operators[number] = flatbuffer.add_operator(model, "ADD", 1, inputs, outputs, options)
    return model


def numbered(*sizes: int) -> list[Array]:
    """Returns constants of so many bytes, no two of them equal."""
    return [np.arange(size // 4, dtype=np.int32).view(np.float32) + number for number, size in enumerate(sizes)]


def constants_of(model: Any) -> Iterator[Array]:
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            value = flatbuffer.constant(model, tensor)
            if value is not None:
                yield value


def places(content: bytes) -> dict[int, int]:
    """Returns where constants behind the flatbuffer begin, by their sizes."""
    model = flatbuffer.schema().ModelT.InitFromPackedBuf(content, 0)
    return {buffer.size: buffer.offset for buffer in model.buffers if buffer.offset > 1}


@pytest.mark.parametrize("code", ["", "custom_call.test"])
def test_constants_survive_being_written(code: str) -> None:
    given = numbered(*SIZES)
    content = flatbuffer.write(flatbuffer.parse(flatbuffer.write(model_of(*given, code=code))))
    assert flatbuffer.write(flatbuffer.parse(content)) == content
    for found, expected in zip(constants_of(flatbuffer.parse(content)), given, strict=True):
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


def test_large_constants_begin_with_a_cache_line() -> None:
    found = places(flatbuffer.write(model_of(*numbered(*SIZES))))
    assert sorted(found) == [size for size in SIZES if size >= flatbuffer.ALIGNMENT]
    assert {place % flatbuffer.ALIGNMENT for place in found.values()} == {0}


def test_constants_of_custom_operators_do_so_of_any_size() -> None:
    found = places(flatbuffer.write(model_of(*numbered(*SIZES), code="custom_call.test")))
    assert sorted(found) == sorted(SIZES)
    assert {place % flatbuffer.ALIGNMENT for place in found.values()} == {0}


def test_writing_leaves_the_model_as_it_was() -> None:
    model = model_of(*numbered(*SIZES))
    before = flatbuffer.inline(model)
    flatbuffer.write(model)
    assert flatbuffer.inline(model) == before


def test_equal_constants_share_one_buffer() -> None:
    one, other = numbered(100, 100)
    model = model_of(one, other, one.copy(), one[:4], one[:4].copy())
    flatbuffer.share_constants(model)
    buffers = [tensor.buffer for tensor in model.subgraphs[0].tensors if tensor.name.startswith(b"constant")]
    assert buffers[0] == buffers[2] != buffers[1]
    assert buffers[3] == buffers[4] != buffers[0]
    for found, expected in zip(constants_of(model), [one, other, one, one[:4], one[:4]], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_nothing_uses_is_dropped() -> None:
    kept, *dropped = numbered(100, 100, 100)
    model = model_of(kept)
    graph = model.subgraphs[0]
    for each in dropped:
        graph.tensors.insert(1, graph.tensors.pop(flatbuffer.add_constant(model, graph, "unused", each)))
    graph.outputs = [index + 2 for index in graph.outputs]
    graph.operators[0].inputs = [0, graph.operators[0].inputs[1] + 2]
    graph.operators[0].outputs = list(graph.outputs)
    model.signatureDefs[0].outputs[0].tensorIndex += 2
    flatbuffer.drop_unused(model)
    assert [tensor.name for tensor in graph.tensors] == [b"x", b"y0", b"constant"]
    assert model.signatureDefs[0].outputs[0].tensorIndex == graph.outputs[0] == graph.operators[0].outputs[0] == 1
    assert sum(len(data) for each in model.buffers if (data := flatbuffer.data_of(each)) is not None) == 100
    x = np.ones(1, np.float32)
    np.testing.assert_array_equal(files.run(flatbuffer.inline(model), [x]), x + kept)


def test_names_are_unique_after_they_are_numbered() -> None:
    model = model_of(*numbered(4, 4, 4))
    model.subgraphs[0].tensors[0].name = b"constant_1"
    flatbuffer.name_uniquely(model)
    names = [tensor.name for tensor in model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert {b"constant", b"constant_1"} < set(names)


def test_operators_are_told_by_their_names() -> None:
    model = model_of(*numbered(4, 4))
    assert flatbuffer.operator_names(model) == ["ADD"]
    assert flatbuffer.operator_names(model_of(*numbered(4), code="custom_call.own")) == ["custom_call.own"]
