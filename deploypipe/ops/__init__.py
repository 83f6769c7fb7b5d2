"""The project's ops for PyTorch: modules, references, and `torch.ops.deploypipe.*`.

Importing this package builds the native torch library when it is not there yet, and loads it.
"""

from __future__ import annotations

from deploypipe import native
from deploypipe.oplib.load import attach, load
from deploypipe.oplib.registry import OpLibrary
from deploypipe.ops import cws, cws_codes, cws_generated, cws_packed, lltm, lltm_int8, lltm_packed, square
from deploypipe.ops.cws_layer import CWS, split_signs
from deploypipe.ops.lltm_layers import (
    LLTM,
    LLTMCell,
    PackedLLTM,
    PackedLLTMCell,
    QuantizedLLTM,
    QuantizedLLTMCell,
)
from deploypipe.ops.square import Square

__all__ = [
    "CWS",
    "LIBRARY",
    "LLTM",
    "LLTMCell",
    "PackedLLTM",
    "PackedLLTMCell",
    "QuantizedLLTM",
    "QuantizedLLTMCell",
    "Square",
    "load",
    "split_signs",
]

_SPECS = (
    square.SPEC,
    lltm.SPEC,
    lltm_packed.SPEC,
    lltm_int8.SPEC,
    cws.SPEC,
    cws_packed.DENSE,
    cws_packed.SPARSE,
    cws_codes.SPEC,
    cws_generated.SPEC,
)
LIBRARY = attach(OpLibrary(native.PROJECT, _SPECS))
