"""cws_generated: cws with tables that are drawn from a seed where they are used; the model holds 8 bytes.

The draw counts instead of going on from number to number, so it can be made in any order. It is described in
csrc/kernels/cws_generated.h; here it is made with int64, which holds every product without overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import cws, cws_onnx
from deploypipe.parity import UNEQUAL_SHARE

_WORD = 0xFFFFFFFF
_STEP = 0x1E3779B9
# Shift, then multiply, three times, and a last shift.
_ROUNDS = ((17, 0x7FEB352D), (11, 0x31848BAB), (15, 0x2C1B3C6D))
_LAST_SHIFT = 14


def reference(input: Tensor, seed: Tensor, hashes: int) -> tuple[Tensor, Tensor]:
    """Hashes every row as `cws.reference` does with the tables of the seed.

    Args:
        input: Nonnegative finite weights, float32[B,D].
        seed: int64[1].
        hashes: k.
    """
    return cws.reference(input, *tables(seed, input.size(1), hashes))


def tables(seed: Tensor, features: int, hashes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draws r, log c and beta, float32[k,D] each, from a seed int64[1]."""
    low = seed & _WORD
    high = (seed - low) // (_WORD + 1) & _WORD
    numbers = torch.arange(1, 6).reshape(5, 1, 1)
    stream = _mix(_mix((low + numbers * _STEP) & _WORD) ^ high)
    of_feature = _mix((stream + torch.arange(features).reshape(1, 1, -1)) & _WORD)
    of_hash = _mix((_mix(stream) + torch.arange(hashes).reshape(1, -1, 1)) & _WORD)
    uniform = (_mix(of_feature ^ of_hash).to(torch.float64) + 0.5) * 2.0**-32
    r = -torch.log(uniform[0] * uniform[1])
    c = -torch.log(uniform[2] * uniform[3])
    return r.float(), torch.log(c).float(), uniform[4].float()


def _mix(x: Tensor) -> Tensor:
    for shift, factor in _ROUNDS:
        x = ((x ^ (x // 2**shift)) * factor) & _WORD
    mixed: Tensor = x ^ (x // 2**_LAST_SHIFT)
    return mixed


def samples() -> tuple[Sample, ...]:
    """Returns the calls of cws with several seeds, one of them negative."""
    return tuple(
        Sample(name, (data, torch.tensor([seed])), {"hashes": hashes})
        for seed, (name, data, hashes) in zip((0, 1, -7, 2**40 + 5, 99), cws.cases(), strict=True)
    )


def _mix_nodes(x: str, to: str) -> str:
    """Nodes of `_mix` from a value to another; what lies between begins with the name of the latter."""
    nodes = []
    for number, (shift, factor) in enumerate(_ROUNDS):
        name = f"{to}_{number}"
        nodes += [
            f"{name}_by = Constant <value_int: int = {2**shift}> ()",
            f"{name}_factor = Constant <value_int: int = {factor}> ()",
            f"{name}_shifted = Div ({x}, {name}_by)",
            f"{name}_mixed = BitwiseXor ({x}, {name}_shifted)",
            f"{name}_product = Mul ({name}_mixed, {name}_factor)",
            f"{name} = BitwiseAnd ({name}_product, word)",
        ]
        x = name
    last = [f"{to}_by = Constant <value_int: int = {2**_LAST_SHIFT}> ()", f"{to}_shifted = Div ({x}, {to}_by)"]
    return "\n".join([*nodes, *last, f"{to} = BitwiseXor ({x}, {to}_shifted)"])


_ONNX_BODY = f"""
    {cws_onnx.CONSTANTS}
    word = Constant <value_int: int = {_WORD}> ()
    word_size = Constant <value_int: int = {_WORD + 1}> ()
    zero = Constant <value_int: int = 0> ()
    one = Constant <value_int: int = 1> ()
    steps_flat = Constant <value_ints: ints = [{", ".join(str(n * _STEP) for n in range(1, 6))}]> ()
    as_numbers = Constant <value_ints: ints = [5, 1, 1]> ()
    as_features = Constant <value_ints: ints = [1, 1, -1]> ()
    as_hashes = Constant <value_ints: ints = [1, -1, 1]> ()
    steps = Reshape (steps_flat, as_numbers)
    low = BitwiseAnd (seed, word)
    above = Sub (seed, low)
    high_signed = Div (above, word_size)
    high = BitwiseAnd (high_signed, word)
    stepped = Add (low, steps)
    started = BitwiseAnd (stepped, word)
    {_mix_nodes("started", "started_mix")}
    with_high = BitwiseXor (started_mix, high)
    {_mix_nodes("with_high", "stream")}
    features_shape = Shape <start: int = 1> (input)
    features = Squeeze (features_shape, axis0)
    feature_range = Range (zero, features, one)
    feature_numbers = Reshape (feature_range, as_features)
    feature_sum = Add (stream, feature_numbers)
    feature_word = BitwiseAnd (feature_sum, word)
    {_mix_nodes("feature_word", "of_feature")}
    {_mix_nodes("stream", "stream_mix")}
    hash_range = Range (zero, hashes_scalar, one)
    hash_numbers = Reshape (hash_range, as_hashes)
    hash_sum = Add (stream_mix, hash_numbers)
    hash_word = BitwiseAnd (hash_sum, word)
    {_mix_nodes("hash_word", "of_hash")}
    crossed = BitwiseXor (of_feature, of_hash)
    {_mix_nodes("crossed", "drawn")}
    half_float = Constant <value_float: float = 0.5> ()
    width_float = Constant <value_float: float = {2.0**-32}> ()
    half = Cast <to: int = 11> (half_float)
    width = Cast <to: int = 11> (width_float)
    drawn_real = Cast <to: int = 11> (drawn)
    drawn_middle = Add (drawn_real, half)
    uniform = Mul (drawn_middle, width)
    u0, u1, u2, u3, u4 = Split <axis: int = 0, num_outputs: int = 5> (uniform)
    product_r = Mul (u0, u1)
    log_r = Log (product_r)
    real_r = Neg (log_r)
    product_c = Mul (u2, u3)
    log_of_product_c = Log (product_c)
    real_c = Neg (log_of_product_c)
    real_log_c = Log (real_c)
    r = Cast <to: int = 1> (real_r)
    log_c = Cast <to: int = 1> (real_log_c)
    beta = Cast <to: int = 1> (u4)
    {cws_onnx.DERIVED}
    {cws_onnx.HASHES}
"""

SPEC = OpSpec(
    name="cws_generated",
    reference=reference,
    samples=samples,
    metric=UNEQUAL_SHARE,
    onnx_body=_ONNX_BODY,
    float_inputs=("input",),
    finite=True,
)
