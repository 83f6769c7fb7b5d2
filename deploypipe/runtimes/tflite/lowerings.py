"""How ops are lowered that litert-torch does not know, or lowers to something that serves worse."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

# The converter writes CUSTOM operators for names that begin so, and builtins nobody has kernels for otherwise.
PREFIX = "custom_call."


def code_of(op: str, attributes: Mapping[str, int | float] = MappingProxyType({})) -> str:
    """Returns the code of a custom operator, given as `namespace::op`; the attributes are part of it.

    A kernel is found by its code alone: the options of an operator reach only the last one of that code.
    """
    said = "".join(f";{key}={value!r}" for key, value in attributes.items())
    return PREFIX + op.replace("::", ".") + said


def op_of(code: str) -> str:
    """Returns the op, as `namespace::op`, whose custom operator has a code, or an empty text for other codes."""
    namespace, _, name = code.partition(";")[0].removeprefix(PREFIX).partition(".")
    return f"{namespace}::{name}" if code.startswith(PREFIX) else ""


def register(ops: Sequence[str]) -> None:
    """Teaches litert-torch to lower ops of libraries, given as `namespace::op`, and to use more builtins."""
    import torch
    from litert_torch.backend import lowerings

    for op in ops:
        namespace, name = op.split("::")
        overload = getattr(getattr(torch.ops, namespace), name).default
        lowerings.lower(overload)(_custom(overload, op))
    _builtins()


def _custom(overload: Any, op: str) -> Any:
    arguments = overload._schema.arguments

    def lower(context: Any, *args: Any, **kwargs: Any) -> Any:
        given = [*args, *(kwargs.get(each.name, each.default_value) for each in arguments[len(args) :])]
        pairs = list(zip(arguments, given, strict=True))
        attributes = {each.name: value for each, value in pairs if "Tensor" not in str(each.type)}
        inputs = [value for each, value in pairs if "Tensor" in str(each.type)]
        return emit(context, code_of(op, attributes), inputs)

    return lower


def emit(context: Any, code: str, inputs: Sequence[Any], attributes: dict[str, Any] | None = None) -> Any:
    """Emits a call of a CUSTOM operator, or of a builtin one as `tfl.<name>`, with the outputs of the node.

    The attributes of a builtin operator must be there even if it has none, else the converter crashes.
    """
    from litert_converter.mlir import ir
    from litert_converter.mlir.dialects import stablehlo
    from litert_torch.backend.lowerings import utils

    found: Any = stablehlo.custom_call(
        result=utils.node_meta_to_ir_types(context.node),
        inputs=list(inputs),
        call_target_name=ir.StringAttr.get(code),
        has_side_effect=ir.BoolAttr.get(False),
        backend_config=ir.StringAttr.get("" if code.startswith(PREFIX) else str(ir.DictAttr.get(attributes or {}))),
    )
    return found


@functools.cache
def _builtins() -> None:
    import torch
    from litert_torch.backend import lowerings

    for op, make in ((torch.ops.aten.gather.default, _gather), (torch.ops.aten.elu.default, _elu)):
        lowerings.lower(op)(make(lowerings.lookup(op)))


def _gather(usual: Any) -> Any:
    """Gathers along the last axis by the builtin operator, which reads each row from its own batch.

    litert-torch numbers the rows instead, by a constant that fixes the batch.
    """

    def lower(context: Any, table: Any, dim: int, index: Any, **kwargs: Any) -> Any:
        shape, rows = (each.meta["val"].shape for each in (context.node.args[0], context.node.args[2]))
        axis = len(shape) - 1
        if dim % len(shape) != axis or shape[:-1] != rows[:-1]:
            return usual(context, table, dim, index, **kwargs)
        return emit(context, "tfl.gather", [table, index], {"axis": number(axis), "batch_dims": number(axis)})

    return lower


def _elu(usual: Any) -> Any:
    """Takes the builtin operator, which XNNPACK has, in the place of four that it does not have all of."""

    def lower(context: Any, value: Any, *scales: float, **kwargs: Any) -> Any:
        if kwargs or any(scale != 1 for scale in scales):
            return usual(context, value, *scales, **kwargs)
        return emit(context, "tfl.elu", [value])

    return lower


def number(value: int) -> Any:
    """Returns an attribute of 32 bits."""
    from litert_converter.mlir import ir

    return ir.IntegerAttr.get(ir.IntegerType.get_signless(32), value)
