"""What the generic ONNX Runtime binding does: shapes at load time, attributes, errors, an older runtime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from deploypipe import native


def session(libraries: list[Path], nodes: list[Any], inputs: list[Any], outputs: list[str], threads: int = 0) -> Any:
    """Loads a model of the given nodes; the shapes of its outputs are left to inference."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs]
    graph = helper.make_graph(nodes, "graph", values, [onnx.ValueInfoProto(name=name) for name in outputs])
    opsets = [helper.make_opsetid(domain, 1) for domain in ("deploypipe", "mine", "slow")] + [
        helper.make_opsetid("", 20)
    ]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    for library in libraries:
        options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def pool(mine: native.OpSource, shape: list[Any], **attributes: Any) -> Any:
    node = helper.make_node("pool", ["x"], ["low", "at"], domain="mine", **attributes)
    return session([native.library("onnxruntime", mine)], [node], [("x", shape)], ["low", "at"])


def test_two_libraries_in_one_session(mine: native.OpSource) -> None:
    nodes = [
        helper.make_node("square", ["x"], ["a"], domain="deploypipe"),
        helper.make_node("square", ["a"], ["b"], domain="mine"),
    ]
    libraries = [native.library("onnxruntime"), native.library("onnxruntime", mine)]
    model = session(libraries, nodes, [("x", ["N"])], ["b"])
    assert model.run(None, {"x": np.array([1, 2], np.float32)})[0].tolist() == [101.0, 116.0]


def test_attributes_and_outputs_of_other_types(mine: native.OpSource) -> None:
    model = pool(mine, ["B", 5], width=3)
    low, at = model.run(None, {"x": np.array([[3, 1, 2, 5, 4]], np.float32)})
    assert (low.dtype, low.tolist(), at.dtype, at.tolist()) == (np.int8, [[4, 8]], np.int64, [[1, 0]])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([7, 20], [7, 9]), (["B", 20], ["B", 9]), ([None, 20], None), (["B", "L"], None)],
)
def test_known_sizes_reach_the_outputs(mine: native.OpSource, shape: list[Any], expected: list[Any] | None) -> None:
    found = pool(mine, shape, width=4).get_outputs()[0].shape
    if expected:
        assert found == expected
    else:  # a size that is not known gets a name of its own, never one that another output has
        assert [isinstance(size, str) for size in found] == [not isinstance(shape[0], int), shape[1] != 20]
        assert len(set(found)) == 2


def test_a_size_known_by_one_input_is_known(mine: native.OpSource) -> None:
    node = helper.make_node("lltm", ["x", "h0", "c0", "w", "b"], ["y", "h", "c"], domain="deploypipe")
    inputs = [("x", ["T", "B", 7]), ("h0", ["B", None]), ("c0", [3, 9]), ("w", [27, 16]), ("b", [27])]
    model = session([native.library("onnxruntime")], [node], inputs, ["y", "h", "c"])
    assert [output.shape for output in model.get_outputs()] == [["T", 3, 9], [3, 9], [3, 9]]


def test_sizes_that_contradict_each_other() -> None:
    node = helper.make_node("lltm", ["x", "h0", "c0", "w", "b"], ["y", "h", "c"], domain="deploypipe")
    inputs = [("x", [1, 2, 7]), ("h0", [2, 9]), ("c0", [3, 9]), ("w", [27, 16]), ("b", [27])]
    model = session([native.library("onnxruntime")], [node], inputs, ["y"])
    with pytest.raises(Exception, match=r"lltm: c0 dimension 0 \(B\) is 3 and must be 2"):
        model.run(None, {name: np.zeros(shape, np.float32) for name, shape in inputs})


# Tells for every element where the piece begins that it was in; a piece takes a while.
SLOW_OPS_H = """
#pragma once
#include <algorithm>
#include <chrono>
#include <thread>
#include "op.h"
namespace op {
struct Slow {
  static constexpr auto signature = "slow(x[N]) -> first[N]";
  static void compute(View<const float> x, View<float> first, const Parallel& parallel) {
    parallel(x.size(), 1, [&](std::int64_t from, std::int64_t to) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      std::fill_n(first.data + from, to - from, static_cast<float>(from));
    });
  }
};
using Ops = List<Slow>;
}  // namespace op
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_node_learns_how_many_threads_share_its_work(
    own: Callable[[str, str], native.OpSource], threads: int
) -> None:
    library = native.library("onnxruntime", own("slow", SLOW_OPS_H))
    node = helper.make_node("slow", ["x"], ["first"], domain="slow")
    model = session([library], [node], [("x", ["N"])], ["first"], threads)
    data = np.zeros(64, np.float32)
    pieces = [len(set(model.run(None, {"x": data})[0])) for _ in range(6)]
    assert pieces[0] > threads
    assert pieces[-1] == threads
    (first,) = model.run(None, {"x": data})
    assert first.tolist() == sorted(first.tolist())  # every element in one piece, whatever the threads


def test_a_missing_attribute(mine: native.OpSource) -> None:
    with pytest.raises(Exception, match="pool: the attribute width is missing"):
        pool(mine, ["B", 5])


def test_a_wrong_shape_when_run(mine: native.OpSource) -> None:
    with pytest.raises(Exception, match="pool: low would have a negative size: -2"):
        pool(mine, ["B", "L"], width=9).run(None, {"x": np.ones((2, 3), np.float32)})


def test_the_library_is_not_linked_with_the_runtime() -> None:
    data = native.library("onnxruntime").read_bytes()
    assert b"libonnxruntime" not in data


class ApiBase(ctypes.Structure):
    """OrtApiBase: how a library asks the runtime for a version of its API."""

    _fields_ = (
        ("get_api", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
        ("get_version", ctypes.CFUNCTYPE(ctypes.c_void_p)),
    )


# The first members of OrtApi are CreateStatus, GetErrorCode and GetErrorMessage.
GET_ERROR_MESSAGE = 2


def test_an_older_runtime_is_told_what_is_needed() -> None:
    runtime = ctypes.CDLL(str(next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*"))))
    runtime.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
    real = runtime.OrtGetApiBase().contents
    version = ctypes.create_string_buffer(b"1.20.0")
    old = ApiBase(
        ApiBase._fields_[0][1](lambda wanted: real.get_api(wanted) if wanted <= 20 else None),
        ApiBase._fields_[1][1](lambda: ctypes.addressof(version)),
    )
    library = ctypes.CDLL(str(native.library("onnxruntime")))
    library.RegisterCustomOps.restype = ctypes.c_void_p
    status = library.RegisterCustomOps(None, ctypes.byref(old))
    api = ctypes.cast(real.get_api(1), ctypes.POINTER(ctypes.c_void_p))
    message = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(api[GET_ERROR_MESSAGE])(status)
    assert message == b"the op library 'deploypipe' needs ONNX Runtime 1.21 or newer, this is 1.20.0"
