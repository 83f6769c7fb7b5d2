"""cws_dense and cws_sparse: cws with a float32 table that is packed once, for dense rows and for sparse ones."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import Tensor

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import cws, cws_layouts, cws_onnx
from deploypipe.parity import UNEQUAL_SHARE


def dense_reference(input: Tensor, hashes: int, table: Tensor) -> tuple[Tensor, Tensor]:
    """Hashes every row as `cws.reference` does.

    Args:
        input: Nonnegative finite weights, float32[B,D].
        hashes: k.
        table: float32[(k+15)/16,D,64]: for each tile and feature 16 each of ri, beta, s and r.
    """
    return cws.hashes_of(input, cws_layouts.unpack(table, hashes, feature_major=False))


def sparse_reference(input: Tensor, hashes: int, table: Tensor) -> tuple[Tensor, Tensor]:
    """Hashes every row as `cws.reference` does.

    Args:
        input: Nonnegative finite weights, float32[B,D].
        hashes: k.
        table: float32[D,(k+15)/16,64]: for each feature and tile 16 each of ri, beta, s and r.
    """
    return cws.hashes_of(input, cws_layouts.unpack(table, hashes, feature_major=True))


def samples(feature_major: bool) -> tuple[Sample, ...]:
    """Returns the calls of cws."""
    return tuple(_sample(name, data, hashes, feature_major) for name, data, hashes in cws.cases())


def _sample(name: str, data: Tensor, hashes: int, feature_major: bool) -> Sample:
    parameters = cws_layouts.parameters(*cws.tables_of(data, hashes))
    return Sample(name, (data, cws_layouts.pack(parameters, feature_major)), {"hashes": hashes})


def _spec(name: str, reference: Callable[..., tuple[Tensor, Tensor]], feature_major: bool) -> OpSpec:
    return OpSpec(
        name=name,
        reference=reference,
        samples=functools.partial(samples, feature_major),
        metric=UNEQUAL_SHARE,
        onnx_body=f"""
            {cws_onnx.CONSTANTS}
            {cws_onnx.unpacked(4, feature_major)}
            ri, beta, s, r = Split <axis: int = 0, num_outputs: int = 4> (parts)
            {cws_onnx.HASHES}
        """,
        float_inputs=("input", "table"),
        finite=True,
    )


DENSE = _spec("cws_dense", dense_reference, feature_major=False)
SPARSE = _spec("cws_sparse", sparse_reference, feature_major=True)
