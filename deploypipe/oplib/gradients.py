"""Connects ops with autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploypipe.oplib.spec import OpSpec

if TYPE_CHECKING:
    import torch

_REGISTRATIONS: list[Any] = []  # they end with these objects


def register(namespace: str, spec: OpSpec) -> None:
    """Registers the gradient of an op of a library that is loaded; an op without one is left alone."""
    import torch

    gradient = spec.gradient
    if gradient is None:
        return
    differentiable = f"{namespace}::{gradient.training or spec.name}"
    torch.library.register_autograd(differentiable, gradient.backward, setup_context=gradient.setup_context)
    if gradient.training:
        ops = getattr(torch.ops, namespace)
        _train_with(getattr(ops, spec.name).default, getattr(ops, gradient.training).default)


def _train_with(op: torch._ops.OpOverload, training: torch._ops.OpOverload) -> None:
    """Lets an op call its training op where autograd records.

    This stands at the dispatch key of autograd. torch.export looks at a graph before that key, so it sees the
    op itself; torch.compile looks after it, and sees the training op where gradients are wanted.
    """
    import torch

    outputs = len(op._schema.returns)

    def autograd(keys: torch.DispatchKeySet, *arguments: Any) -> Any:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            results = training(*arguments)
            return results[:outputs] if outputs > 1 else results[0]
        with torch._C._AutoDispatchBelowAutograd():
            return op.redispatch(keys & torch._C._after_autograd_keyset, *arguments)

    library = torch.library.Library(op.namespace, "IMPL")
    library.impl(op._schema.name.partition("::")[2], autograd, "Autograd", with_keyset=True)
    _REGISTRATIONS.append(library)
