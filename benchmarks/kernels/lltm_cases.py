"""The cases of the recurrent layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.kernels import lltm_data, lltm_peers, onnx_models
from benchmarks.kernels.bounds import BYTES, MULTIPLY, Need, read
from benchmarks.kernels.case import Case, Comparison, Kind
from benchmarks.kernels.compiled import Stopwatch
from benchmarks.kernels.lltm_data import LltmData
from benchmarks.kernels.own import Own, tensors
from benchmarks.kernels.timing import Lane, Outputs, repeat
from deploypipe.ops import lltm_int8

# A layer with four gates does 4/3 of the work of one with three.
_PER_FLOP = 3 / 4
_STATES = ("output", "h", "c")
# For (hidden units, batch): against torch eager, torch.compile, ORT's LSTM, own float32, ORT's LSTM on int8.
_ASKED: dict[tuple[int, int], dict[str, float]] = {
    (128, 1): {"eager": 10, "compile": 5, "lstm": 0.7, "int8": 2.2, "lstm int8": 0.65},
    (128, 32): {"eager": 3, "lstm": 1.0, "lstm int8": 1.1},
    (512, 1): {"eager": 2, "lstm": 0.85, "int8": 5, "lstm int8": 0.65},
    (512, 32): {"eager": 2.3, "lstm": 1.0, "int8": 1.8, "lstm int8": 1.1},
}


def forward(own: Own, hidden: int, batch: int) -> Case:
    """A forward pass in float32 and on int8 weights."""
    data = lltm_data.draw(batch, hidden)
    layer = lltm_peers.lstm(data)
    asked = _ASKED.get((hidden, batch), {})
    lanes = [
        *_own(own, data),
        *_own_int8(own, data),
        *lltm_peers.torch_lanes(data),
        onnx_models.standard_lane(data),
        lltm_peers.lstm_lane(data, layer),
        *onnx_models.lstm_lanes(data, layer),
    ]
    notes = []
    if "compile" in asked:
        stopwatch = Stopwatch()
        lanes.append(lltm_peers.compiled_lane(data))
        notes.append(stopwatch.note(f"LLTM H={hidden}, B={batch}"))
    lines = _float_lines(f"LLTM T=28, H={hidden}, B={batch}", data, asked)
    lines += _int8_lines(f"LLTM int8, H={hidden}, B={batch}", data, asked)
    return Case(lanes, lines, [_int8_oracle(data)], notes)


def _own(own: Own, data: LltmData) -> list[Lane]:
    inputs = [data.input, data.zeros, data.zeros, data.packed()]
    return [
        *own.kernel("kernel", "lltm_packed", inputs, group="lltm"),
        *own.torch_op("torch op", "lltm_packed", inputs, "lltm"),
        *onnx_models.op_lanes(own, "ORT op", "lltm_packed", data.input, inputs[1:], _STATES, "lltm"),
    ]


def _own_int8(own: Own, data: LltmData) -> list[Lane]:
    inputs = [data.input, data.zeros, data.zeros, *data.quantized()]
    lanes = [
        *own.kernel("kernel int8", "lltm_int8", inputs, group="int8"),
        *onnx_models.op_lanes(own, "ORT op int8", "lltm_int8", data.input, inputs[1:], _STATES, "int8"),
    ]
    return [dataclasses.replace(lane, limit=lltm_int8.LIMIT) for lane in lanes]


def _int8_oracle(data: LltmData) -> Lane:
    """The op's reference in torch."""
    from deploypipe.oplib import registry

    spec = registry.get("deploypipe").find("lltm_int8")
    assert spec is not None
    reference = spec.reference

    def result() -> Outputs:
        import torch

        inputs = [data.input, data.zeros, data.zeros, *data.quantized()]
        return tensors(lambda: reference(*(torch.from_numpy(array) for array in inputs)))

    return Lane("reference", repeat(lambda: None), result, "int8")


def _float_lines(work: str, data: LltmData, asked: dict[str, float]) -> list[Comparison]:
    needs = float_needs(data)

    def line(against: str, ours: str, peers: Sequence[str], asked: float | None, **fields: Any) -> Comparison:
        return Comparison(work, against, ours, tuple(peers), asked, kernel="kernel", needs=needs, **fields)

    share = {"kind": Kind.SHARE, "scale": _PER_FLOP}
    compiled = [line("torch.compile", "torch op", ["torch.compile"], asked["compile"])] if "compile" in asked else []
    return [
        line("torch eager", "torch op", ["torch eager"], asked.get("eager")),
        line("torch eager, inputs projected at once", "torch op", ["torch eager, projected"], None),
        *compiled,
        line("ORT LSTM per FLOP", "ORT op", ["ORT LSTM"], asked.get("lstm"), **share),
        line("ORT, the same layer as standard ops", "ORT op", ["ORT standard ops"], None),
        line("torch.nn.LSTM per FLOP", "torch op", ["torch.nn.LSTM"], None, **share),
    ]


def _int8_lines(work: str, data: LltmData, asked: dict[str, float]) -> list[Comparison]:
    def line(against: str, ours: str, peer: str, asked: float | None, **fields: Any) -> Comparison:
        return Comparison(work, against, ours, (peer,), asked, kernel="kernel int8", needs=int8_needs(data), **fields)

    share = {"kind": Kind.SHARE, "scale": _PER_FLOP}
    against = "ORT DynamicQuantizeLSTM per FLOP"
    return [
        line("own float32", "kernel int8", "kernel", asked.get("int8")),
        line(against, "ORT op int8", "ORT DynamicQuantizeLSTM", asked.get("lstm int8"), **share),
    ]


def float_needs(data: LltmData) -> tuple[Need, ...]:
    """The products; and with one sequence the recurrent weights, which every step reads again."""
    steps = data.input.shape[0]
    recurrent = 4 * 3 * data.hidden * data.hidden
    return Need(MULTIPLY, data.operations), read(recurrent, steps)


def int8_needs(data: LltmData) -> tuple[Need, ...]:
    """The same with bytes."""
    steps = data.input.shape[0]
    recurrent = 3 * data.hidden * data.hidden
    return Need(BYTES, data.operations), read(recurrent, steps)


def training(own: Own, hidden: int = 128, batch: int = 32) -> Case:
    """Forward and backward, all gradients."""
    data = lltm_data.draw(batch, hidden)
    *peers, ours = lltm_peers.training_lanes(data)
    lanes = [*own.lanes(ours.name, ours.run, ours.result or tuple, ours.group), *_training_kernels(own, data), *peers]
    own.library("torch")
    work = f"LLTM forward+backward, H={hidden}, B={batch}"
    # Backward has two products where forward has one: for the gradient of the state, and of the weight.
    needs = (Need(MULTIPLY, 3 * data.operations),)
    lines = [
        Comparison(work, "autograd through the reference", "torch op", ("autograd",), 3, kernel="kernel", needs=needs),
        Comparison(work, "autograd, inputs projected at once", "torch op", ("autograd, projected",), None),
    ]
    return Case(lanes, lines)


def _training_kernels(own: Own, data: LltmData) -> list[Lane]:
    arguments = [data.input, data.zeros, data.zeros, data.weight]
    forward = own.standalone.prepare("lltm_training", [*arguments, data.bias])
    forward()
    gradients = [gradient.numpy() for gradient in lltm_peers.output_gradients(data)]
    output, _, _, gates, cells = forward.outputs
    backward = own.standalone.prepare("lltm_backward", [*gradients, *arguments, output, gates, cells])

    def call() -> Outputs:
        forward()
        backward()
        return backward.outputs

    return own.lanes("kernel", repeat(call), call, "gradients")


def tax_arguments(data: LltmData, int8: bool) -> tuple[str, list[np.ndarray[Any, Any]]]:
    """Returns the op and its inputs."""
    states = [data.input, data.zeros, data.zeros]
    return ("lltm_int8", [*states, *data.quantized()]) if int8 else ("lltm_packed", [*states, data.packed()])
