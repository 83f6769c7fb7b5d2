"""ONNX Runtime: sessions of one op of ours, of the same layer as standard ops, of its LSTMs, and of nothing."""

from __future__ import annotations

import functools
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.kernels.lltm_data import LltmData
from benchmarks.kernels.own import Own
from benchmarks.kernels.timing import Lane, Outputs, repeat
from deploypipe.runtimes import onnx_ops

if TYPE_CHECKING:
    from torch import nn

    Array = np.ndarray[Any, Any]

_DOMAIN = "deploypipe"
_IR_VERSION = 10
_STATES = ("output", "h", "c")


def op_lanes(
    own: Own,
    name: str,
    op: str,
    feed: Array,
    weights: Sequence[Array],
    outputs: Sequence[str],
    group: str = "",
    kept: int | None = None,
    **attributes: int,
) -> list[Lane]:
    """Returns a session of one node of ours: the first input is fed, the others stand in the file.

    Args:
        own: The op libraries.
        name: Of the lanes.
        op: Of the node.
        feed: The first input.
        weights: The other inputs.
        outputs: Names for the outputs of the node.
        group: Of the lanes.
        kept: So many of the outputs leave the session; all if left out.
        **attributes: Of the node.
    """
    node, constants = _node(op, weights, outputs, _DOMAIN, **attributes)
    run = _session(_model([node], feed, constants, outputs[:kept]), [own.library("onnxruntime")], feed)
    return own.lanes(name, repeat(run), run, group)


def trivial_lane(feed: Array) -> Lane:
    """Returns a session that hands its input on."""
    run = _session(_model([helper.make_node("Identity", ["x"], ["y"])], feed, {}, ["y"]), [], feed)
    return Lane("ORT trivial", repeat(run))


def standard_lane(data: LltmData) -> Lane:
    """Returns the layer without the op library, so that ONNX Runtime runs the function body of the op."""
    weights = (data.zeros, data.zeros, data.weight, data.bias)
    node, constants = _node("lltm", weights, _STATES, _DOMAIN)
    model = _model([node], data.input, constants, _STATES)
    onnx_ops.attach_bodies(model, [f"{_DOMAIN}::lltm"])
    run = _session(model, [], data.input)
    return Lane("ORT standard ops", repeat(run), run, "lltm")


def lstm_lanes(data: LltmData, layer: nn.LSTM) -> list[Lane]:
    """Returns ONNX Runtime's LSTM, and its LSTM on int8 weights as its own quantizer makes it."""
    model = _lstm(data, layer)
    quantized = _quantized(model)
    float_run, int8_run = (_session(each, [], data.input) for each in (model, quantized))
    return [
        Lane("ORT LSTM", repeat(float_run), functools.partial(_squeezed, float_run), "lstm"),
        Lane("ORT DynamicQuantizeLSTM", repeat(int8_run), functools.partial(_squeezed, int8_run), "lstm", 0.1),
    ]


def _squeezed(run: Any) -> Outputs:
    """Drops the axis of the directions."""
    y, h, c = run()
    return y[:, 0], h[0], c[0]


def _lstm(data: LltmData, layer: nn.LSTM) -> onnx.ModelProto:
    hidden = data.hidden

    def ordered(parameter: str) -> Array:
        """Gates of torch are i, f, g, o; of ONNX i, o, f, g."""
        i, f, g, o = np.split(getattr(layer, parameter).numpy(), 4)
        return np.concatenate([i, o, f, g])[None]

    bias = np.concatenate([ordered("bias_ih_l0"), ordered("bias_hh_l0")], axis=1)
    constants = {"w": ordered("weight_ih_l0"), "r": ordered("weight_hh_l0"), "b": bias}
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y", "y_h", "y_c"], hidden_size=hidden)
    return _model([node], data.input, constants, ["y", "y_h", "y_c"])


def _quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Quantizes the weights with ONNX Runtime's tool, as its users do."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "model.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, source)
        logging.disable(logging.WARNING)  # it would like shapes to be inferred first, which an LSTM does not need
        quantize_dynamic(source, target, weight_type=QuantType.QInt8)
        logging.disable(logging.NOTSET)
        made: onnx.ModelProto = onnx.load(target)
    if "DynamicQuantizeLSTM" not in {node.op_type for node in made.graph.node}:
        raise RuntimeError("ONNX Runtime's quantizer left the LSTM as it was")
    return made


def _node(
    op: str, weights: Sequence[Array], outputs: Sequence[str], domain: str, **attributes: int
) -> tuple[onnx.NodeProto, dict[str, Array]]:
    constants = {f"w{number}": array for number, array in enumerate(weights)}
    return helper.make_node(op, ["x", *constants], list(outputs), domain=domain, **attributes), constants


def _model(
    nodes: Sequence[onnx.NodeProto], feed: Array, constants: Mapping[str, Array], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Makes a model of one input x, whose outputs are those of its nodes that are named."""
    kind = helper.np_dtype_to_tensor_dtype(feed.dtype)
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, feed.shape)],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", onnx_ops.OPSET), helper.make_opsetid(_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def _session(model: onnx.ModelProto, libraries: Sequence[Path], feed: Array) -> Any:
    """Returns a function that runs the model in one thread and returns all outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for library in libraries:
        options.register_custom_ops_library(str(library))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return functools.partial(session.run, None, {"x": feed})
