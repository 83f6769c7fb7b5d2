"""Arithmetic of 64-bit integers, which litert-torch does in 32 bits although LiteRT has it in 64."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from deploypipe.runtimes.tflite import lowerings

Lowering = Callable[..., Any]


@functools.cache
def register() -> None:
    """Replaces the lowerings of sums, products and quotients, where operands are of 64 bits."""
    import torch
    from litert_torch.backend import lowerings as registry

    aten = torch.ops.aten
    table: list[tuple[Any, Callable[[Lowering], Lowering]]] = [
        *((op, functools.partial(_builtin, "tfl.mul")) for op in (aten.mul.Tensor, aten.mul.Scalar)),
        *((op, functools.partial(_builtin, "tfl.add")) for op in (aten.add.Tensor, aten.add.Scalar)),
        *((op, functools.partial(_builtin, "tfl.sub")) for op in (aten.sub.Tensor, aten.sub.Scalar)),
        *((op, _quotient) for op in (aten.div.Tensor, aten.div.Scalar)),
    ]
    for op, make in table:
        registry.lower(op)(make(registry.lookup(op)))


def _builtin(name: str, usual: Lowering) -> Lowering:
    def lower(context: Any, one: Any, other: Any, *rest: Any, **kwargs: Any) -> Any:
        import torch

        scaled = rest or any(value != 1 for value in kwargs.values())
        if context.node.meta["val"].dtype != torch.int64 or scaled:
            return usual(context, one, other, *rest, **kwargs)
        operands = [_wide(context, 0, one), _wide(context, 1, other)]
        return lowerings.emit(context, name, operands, {"fused_activation_function": _text("NONE")})

    return lower


def _quotient(usual: Lowering) -> Lowering:
    """Takes floats for operands from the beginning, as torch does."""

    def lower(context: Any, one: Any, other: Any) -> Any:
        return usual(context, _float(context, 0, one), _float(context, 1, other))

    return lower


def _wide(context: Any, place: int, value: Any) -> Any:
    """Returns an operand as a tensor of 64 bits; of a number litert-torch has kept 32."""
    import numpy as np
    from litert_converter.mlir import ir
    from litert_torch.backend.lowerings import utils

    given = context.node.args[place]
    if isinstance(given, int):
        return utils.numpy_array_constant(np.array(given, np.int64))
    return _cast(value, ir.IntegerType.get_signless(64))


def _float(context: Any, place: int, value: Any) -> Any:
    """Returns an integral operand as a float, which a quotient is."""
    import numpy as np
    from litert_converter.mlir import ir
    from litert_torch.backend.lowerings import utils

    given = context.node.args[place]
    if isinstance(given, int):
        return utils.numpy_array_constant(np.array(given, np.float32))
    whole = isinstance(value, ir.Value) and isinstance(value.type.element_type, ir.IntegerType)
    return _cast(value, ir.F32Type.get()) if whole else value


def _cast(value: Any, kind: Any) -> Any:
    from litert_converter.mlir import ir
    from litert_converter.mlir.dialects import stablehlo

    if value.type.element_type == kind:
        return value
    return stablehlo.convert(ir.RankedTensorType.get(value.type.shape, kind), value)


def _text(value: str) -> Any:
    from litert_converter.mlir import ir

    return ir.StringAttr.get(value)
