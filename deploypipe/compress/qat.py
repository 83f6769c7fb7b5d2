"""Quantization-aware training: weights that lose less when a runtime quantizes them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim
from torch.nn.utils import parametrize
from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase
from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

from deploypipe.compress.tuning import trainer, zeros_held
from deploypipe.errors import DeployError, first_line
from deploypipe.oplib.float_inputs import float_nodes
from deploypipe.ops import LLTM, LLTMCell, panels
from deploypipe.spec import ModelSpec

_ORIGINAL = "parametrizations.weight.original"


def trained(spec: ModelSpec, epochs: int) -> nn.Module:
    """Returns a copy of the model, trained on while its weights and activations are rounded as int8-static does.

    An exported graph of the model is trained, in which torchao's fake quantization stands, with scales per channel of
    weights and per tensor of activations. Weights of LLTM layers are rounded as `lltm_int8` does; what computes a
    float input of a custom op is not. Batch norms keep their statistics. Which runtime quantizes afterwards does not
    matter: what is returned holds float weights.

    Args:
        spec: Its `train` is given a module that has the parameters of the model but none of its submodules.
        epochs: Passes over the training data.

    Raises:
        DeployError: The spec has no `train`, or the model cannot be exported or trained in that form.
    """
    train = trainer(spec)
    try:
        graph = _prepared(spec)
    except Exception as error:
        raise _failed(spec, error) from error
    if not _rounds(graph):
        raise DeployError(
            f"There is nothing in the model '{spec.name}' to train under quantization",
            "Leave quantization-aware training out for it.",
        )
    try:
        matrices = [parameter for parameter in graph.parameters() if parameter.dim() > 1]
        with zeros_held(matrices), torch.random.fork_rng(devices=[]):
            train(_Fixed(graph), epochs)
    except Exception as error:
        raise _failed(spec, error) from error
    return _with_weights(spec.module, graph)


def _rounds(graph: fx.GraphModule) -> bool:
    """Tells whether anything in a graph is rounded, be it by torchao or in an LLTM."""
    by_torchao = any(isinstance(part, FakeQuantizeBase) for part in graph.modules())
    return by_torchao or any(name.endswith(_ORIGINAL) for name, _ in graph.named_parameters())


def _failed(spec: ModelSpec, error: Exception) -> DeployError:
    return DeployError(
        f"The model '{spec.name}' cannot be trained under quantization: {first_line(error)}",
        "Leave quantization-aware training out for it.",
    )


class _Fixed(nn.Module):
    """A graph that is the same in training and in use; `train()` of an exported graph is refused by torch."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, *inputs: Tensor) -> Any:
        return self.graph(*inputs)

    def train(self, mode: bool = True) -> _Fixed:
        self.training = mode
        return self


class _Quantizer(X86InductorQuantizer):  # type: ignore[misc]
    """Leaves alone what computes a float input of an op."""

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        annotated: fx.GraphModule = super().annotate(model)
        for node in float_nodes(annotated.graph, ()):
            node.meta.pop(Q_ANNOTATION_KEY, None)
        return annotated


class _Rounded(nn.Module):
    """Rounds the weight[3H,H+I] of an LLTM as `lltm_int8` does; gradients pass as if it did not."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size

    def forward(self, weight: Tensor) -> Tensor:
        parts = weight.detach().tensor_split([self.hidden_size], dim=1)
        rounded = torch.cat([whole * scale.unsqueeze(1) for whole, scale in map(panels.quantize_rows, parts)], dim=1)
        return weight + (rounded - weight).detach()


def _prepared(spec: ModelSpec) -> fx.GraphModule:
    module = copy.deepcopy(spec.module).eval()
    for part in list(module.modules()):
        if isinstance(part, LLTM | LLTMCell):
            parametrize.register_parametrization(part, "weight", _Rounded(part.hidden_size))
    example, shapes = _example(spec)
    exported: Any = torch.export.export(module, example, dynamic_shapes=shapes).module(check_guards=False)
    quantizer = _Quantizer().set_global(get_default_x86_inductor_quantization_config(is_qat=True))
    prepared: fx.GraphModule = prepare_qat_pt2e(exported, quantizer)
    _restore_norms(module, prepared)
    return prepared


def _restore_norms(module: nn.Module, graph: fx.GraphModule) -> None:
    """Gives batch norms their statistics and their epsilon back.

    Beside a convolution torchao 0.18 puts one that takes the statistics of the batch, with an epsilon of 1e-5 whatever
    the model's was: trained in that form, mobilenet_v3_small, which has 1e-3, fell from 97 to 89 %.
    """
    for node in graph.graph.nodes:
        if node.target is torch.ops.aten.batch_norm.default and isinstance(node.args[3], fx.Node):
            norm: Any = module.get_submodule(str(node.args[3].target).rpartition(".")[0])
            node.args = (*node.args[:5], False, node.args[6], norm.eps, *node.args[8:])
    graph.recompile()


def _example(spec: ModelSpec) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
    """Returns inputs to export with, at least 2 along an axis that is dynamic, and which axes those are."""
    names = spec.input_names or [""] * len(spec.example_inputs)
    axes = [(0,) if spec.dynamic_axes is None else tuple(spec.dynamic_axes.get(name, ())) for name in names]
    inputs = list(spec.example_inputs)
    for number, chosen in enumerate(axes):
        for axis in chosen:
            if inputs[number].size(axis) == 1:
                inputs[number] = inputs[number].repeat_interleave(2, dim=axis)
    return tuple(inputs), tuple(dict.fromkeys(chosen, Dim.AUTO) for chosen in axes)


def _with_weights(module: nn.Module, graph: fx.GraphModule) -> nn.Module:
    """Returns a copy of the module with the weights of the graph that was made of it."""
    copied = copy.deepcopy(module).eval()
    found = {name.replace(_ORIGINAL, "weight"): value for name, value in graph.state_dict().items()}
    own = {name: found.get(name, value) for name, value in copied.state_dict().items()}
    copied.load_state_dict(own)
    return copied
