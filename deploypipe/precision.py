"""The precisions: one vocabulary for every runtime."""

from __future__ import annotations

from dataclasses import dataclass

PRECISIONS: dict[str, str] = {
    "fp32": "32-bit floats, as trained",
    "bf16": "weights and products in bfloat16, half of the bytes",
    "int8-dynamic": "8-bit weights; activations quantized as they come",
    "int8-static": "8-bit weights; activations quantized with scales from calibration data",
    "int8-weight": "8-bit weights, computed with in float",
    "int4-weight": "4-bit weights",
}

# RMS error over the spread of the reference that is to be expected of a precision at most.
NORMALIZED_ERRORS: dict[str, float] = {
    "fp32": 1e-4,
    "bf16": 0.05,
    "int8-dynamic": 0.1,
    "int8-static": 0.1,
    "int8-weight": 0.1,
    "int4-weight": 0.3,
}


@dataclass(frozen=True)
class Refusal:
    """Why a runtime does not offer a precision.

    Attributes:
        reason: A sentence without its full stop.
        nearest: What works instead: `int8-dynamic`, or `int8-weight on litert`.
    """

    reason: str
    nearest: str
