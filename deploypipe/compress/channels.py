"""Structured pruning: whole channels, neurons or hidden units go, and with them what they feed."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from deploypipe.compress import lltm
from deploypipe.errors import DeployError, first_line

Kinds = tuple[type[nn.Module], ...]

CHANNELS: Kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
HIDDEN: Kinds = lltm.KINDS


def pruned(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    share: float,
    kinds: Kinds = CHANNELS,
    keep: Sequence[str] = (),
) -> nn.Module:
    """Returns a smaller copy: every layer loses the share of its channels whose weights have the least norm.

    Layers whose channels are outputs of the model keep them all.

    Args:
        module: Is not changed.
        example_inputs: One tensor per argument of its forward.
        share: 0 to below 1.
        kinds: Layers whose output channels are pruned: `CHANNELS`, or `HIDDEN` for the hidden units of LLTMs.
        keep: Names of layers that keep their channels, as in `named_modules()`.

    Raises:
        DeployError: torch-pruning cannot follow the model, or sizes are written down in the model's code.
    """
    copied = copy.deepcopy(module).eval()
    expected = [tuple(output.shape) for output in _outputs(copied, example_inputs)]
    try:
        with _traceable(copied):
            _prune(copied, example_inputs, share, kinds, keep)
        found = [tuple(output.shape) for output in _outputs(copied, example_inputs)]
    except Exception as error:
        raise _refused(module, first_line(error)) from error
    if found != expected:
        raise _refused(module, f"its outputs would be of shapes {found}, not {expected}")
    return copied


def prunable(module: nn.Module, example_inputs: tuple[Tensor, ...], kinds: Kinds = CHANNELS) -> list[str]:
    """Returns the names of the layers that `pruned` would make smaller; none where it cannot follow the model."""
    copied = copy.deepcopy(module).eval()
    if not any(isinstance(part, kinds) for part in copied.modules()):
        return []
    try:
        with _traceable(copied):
            fixed = _output_layers(copied, example_inputs)
    except Exception:
        return []
    return [name for name, part in copied.named_modules() if isinstance(part, kinds) and part not in fixed]


@contextlib.contextmanager
def _traceable(module: nn.Module) -> Iterator[None]:
    """Lets torch-pruning find out through autograd what feeds what."""
    module.requires_grad_(True)
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters outside of layers: what must go with others, goes
        yield


def _refused(module: nn.Module, reason: str) -> DeployError:
    return DeployError(
        f"The channels of {type(module).__name__} cannot be pruned: {reason}",
        "Take sizes from the tensors in its forward, or prune by magnitude.",
    )


def _outputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        leaves: list[Tensor] = torch.utils._pytree.tree_leaves(module(*inputs))
    return leaves


def _prune(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    share: float,
    kinds: Kinds,
    keep: Sequence[str],
) -> None:
    pruner = tp.pruner.BasePruner(
        module,
        inputs,
        importance=lltm.Importance(),
        pruning_ratio=share,
        ignored_layers=[*_output_layers(module, inputs), *(module.get_submodule(name) for name in keep)],
        root_module_types=list(kinds),
        customized_pruners=_customized(),
        # These are filled, so the defaults would grow from call to call.
        in_channel_groups={},
        out_channel_groups={},
        num_heads={},
    )
    pruner.step()


def _customized() -> dict[Any, Any]:
    return dict.fromkeys(lltm.KINDS, lltm.PRUNER)


def _output_layers(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[nn.Module]:
    """Returns the layers whose channels are outputs of the model."""
    ends: list[Any] = []

    def remember(outputs: Any) -> Any:
        ends.extend(leaf.grad_fn for leaf in torch.utils._pytree.tree_leaves(outputs))
        return outputs

    graph: Any = tp.DependencyGraph().build_dependency(
        module, inputs, customized_pruners=_customized(), output_transform=remember
    )
    together = [
        [item.dep.target for item in group if graph.is_out_channel_pruning_fn(item.dep.handler)]
        for group in graph.get_all_groups(root_module_types=[*CHANNELS, *HIDDEN])
    ]
    return [node.module for nodes in together if any(node.grad_fn in ends for node in nodes) for node in nodes]
