"""cws_codes: cws with a table of one byte per number; a hash family of its own, and a fifth of the bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import cws, cws_layouts, cws_onnx
from deploypipe.parity import UNEQUAL_SHARE


def reference(input: Tensor, hashes: int, table: Tensor) -> tuple[Tensor, Tensor]:
    """Hashes every row as `cws.reference` does with the tables that the codes stand for.

    Args:
        input: Nonnegative finite weights, float32[B,D].
        hashes: k.
        table: uint8[D,(k+15)/16,48]: for each feature and tile 16 codes each of r, beta and log c.
    """
    codes = cws_layouts.unpack(table, hashes, feature_major=True)
    return cws.reference(input, *cws_layouts.decode(codes))


def samples() -> tuple[Sample, ...]:
    """Returns the calls of cws, and one that uses every code."""
    every = torch.arange(256, dtype=torch.uint8).expand(3, 3, 256).clone()
    every[1], every[2] = every[1].roll(85, 1), every[2].roll(171, 1)
    data = torch.rand(4, 256, generator=torch.Generator().manual_seed(5)) + 0.01
    return (*(_sample(*case) for case in cws.cases()), _call("every_code", data, every))


def _sample(name: str, data: Tensor, hashes: int) -> Sample:
    return _call(name, data, cws_layouts.encode(*cws.tables_of(data, hashes)))


def _call(name: str, data: Tensor, codes: Tensor) -> Sample:
    return Sample(name, (data, cws_layouts.pack(codes, feature_major=True)), {"hashes": codes.size(1)})


def _onnx_body() -> str:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256).expand(3, 1, 256)
    # Looking r up is exact in every runtime; all of these have few digits.
    lookup = ", ".join(repr(value) for value in cws_layouts.decode(every)[0].flatten().tolist())
    return f"""
        {cws_onnx.CONSTANTS}
        {cws_onnx.unpacked(3, feature_major=True)}
        code_r, code_beta, code_log_c = Split <axis: int = 0, num_outputs: int = 3> (parts)
        half = Constant <value_float: float = 0.5> ()
        width_beta = Constant <value_float: float = 0.00390625> ()
        width_log_c = Constant <value_float: float = 0.046875> ()
        lowest_log_c = Constant <value_float: float = 8.0> ()
        values_r = Constant <value_floats: floats = [{lookup}]> ()
        places_r = Cast <to: int = 6> (code_r)
        r = Gather (values_r, places_r)
        numbers_beta = Cast <to: int = 1> (code_beta)
        middles_beta = Add (numbers_beta, half)
        beta = Mul (middles_beta, width_beta)
        numbers_log_c = Cast <to: int = 1> (code_log_c)
        middles_log_c = Add (numbers_log_c, half)
        above_lowest = Mul (middles_log_c, width_log_c)
        log_c = Sub (above_lowest, lowest_log_c)
        {cws_onnx.DERIVED}
        {cws_onnx.HASHES}
    """


SPEC = OpSpec(
    name="cws_codes",
    reference=reference,
    samples=samples,
    metric=UNEQUAL_SHARE,
    onnx_body=_onnx_body(),
    float_inputs=("input",),
    finite=True,
)
