"""Constants: computed ahead where they can be, and unsigned bytes, which litert-torch cannot write."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fold(module: torch.fx.GraphModule) -> None:
    """Computes everything in a graph that depends on constants alone."""
    from torchao.quantization.pt2e import constant_fold

    # Its own function leaves out what begins with a constructor, such as the numbers that a table is drawn from.
    folder = constant_fold.ConstantFolder(module)
    folder.run()
    for node, value in folder.node_replacements.items():
        constant_fold.replace_node_with_constant(module, node, value)
    module.graph.eliminate_dead_code()
    module.recompile()
    _make_contiguous(module)


def _make_contiguous(module: torch.fx.GraphModule) -> None:
    """Keeps litert-torch from taking one constant for another.

    It recognises a constant by the address of a contiguous copy that it does not keep, so that the next copy may
    lie there.
    """
    for node in module.graph.find_nodes(op="get_attr"):
        owner, _, name = node.target.rpartition(".")
        parent = module.get_submodule(owner)
        value = getattr(parent, name)
        if not value.is_contiguous():
            delattr(parent, name)
            parent.register_buffer(name, value.detach().contiguous())


@functools.cache
def register() -> None:
    """Teaches litert-torch to write constants of unsigned bytes."""
    from litert_torch.backend import inline_consts, lowerings

    placeholder = inline_consts.tensor_lowering_placeholder
    lowerings.lower(placeholder)(_lowering(lowerings.lookup(placeholder)))


def _lowering(usual: Any) -> Any:
    def lower(context: Any, value: torch.Tensor) -> Any:
        import torch

        return _bytes(value) if value.dtype == torch.uint8 else usual(context, value)

    return lower


def _bytes(value: torch.Tensor) -> Any:
    from litert_converter.mlir import ir
    from litert_converter.mlir.dialects import stablehlo

    kind = ir.RankedTensorType.get(tuple(value.shape), ir.IntegerType.get_unsigned(8))
    content = ir.DenseElementsAttr.get(value.contiguous().numpy(), type=kind)
    return stablehlo.ConstantOp(content).results[0]
