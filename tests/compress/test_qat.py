from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

from deploypipe.compress import magnitude, qat, scores, tuning
from deploypipe.errors import DeployError
from deploypipe.ops import CWS, LLTM
from deploypipe.ops.hash_sum import HashSum
from deploypipe.spec import ModelSpec


class Norms(nn.Module):
    """A convolution and a batch norm with an epsilon of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=0.1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        head: Tensor = self.head(torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3)))
        return head


class Hashed(nn.Module):
    """A layer before hashes, and one after."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.cws, self.sum, self.after = nn.Linear(6, 6), CWS(6, 8), HashSum(8, 2, 0, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        after: Tensor = self.after(self.sum(*self.cws(torch.relu(self.before(x)))))
        return after


def _nothing(_module: nn.Module, _epochs: int) -> None:
    """Trains nothing."""


def _step(module: nn.Module, epochs: int) -> None:
    """Trains on a batch of another size than the example."""
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(epochs):
        optimizer.zero_grad()
        module(torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(0))).square().sum().backward()
        optimizer.step()
    module.eval()


def _quantized(spec: ModelSpec, module: nn.Module) -> nn.Module:
    """Quantizes to int8-static as the desktop runtimes do."""
    batch = torch.export.Dim("batch")
    graph = torch.export.export(module, spec.example_inputs, dynamic_shapes=({0: batch},)).module()
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(graph, quantizer)
    with torch.no_grad():
        for sample in spec.calibration or ():
            prepared(*sample)
    converted: nn.Module = convert_pt2e(prepared)
    return converted


def _with_outliers(module: nn.Module) -> nn.Module:
    """Makes 16 neurons of each hidden layer 300 times as large, and what reads them as much smaller."""
    changed = copy.deepcopy(module)
    with torch.no_grad():
        for layer, reader in ((changed.layers[1], changed.layers[3]), (changed.layers[3], changed.layers[5])):
            chosen = torch.randperm(512, generator=torch.Generator().manual_seed(0))[:16]
            layer.weight[chosen] *= 300
            layer.bias[chosen] *= 300
            reader.weight[:, chosen] /= 300
    return changed


def test_weights_with_outliers_learn_to_be_quantized(mlp: ModelSpec) -> None:
    """With one scale for all neurons of a layer, the others have no levels left; plain training cures it less."""
    spec = dataclasses.replace(mlp, module=_with_outliers(mlp.module))
    modules = {
        "as it is": spec.module,
        "trained on": tuning.fine_tuned(spec, spec.module, 3),
        "trained under quantization": qat.trained(spec, 3),
    }
    accuracy = {name: scores.scores(spec, _quantized(spec, each))["accuracy"] for name, each in modules.items()}
    assert scores.scores(spec, spec.module)["accuracy"] > 96
    assert accuracy["as it is"] < 60
    assert accuracy["trained under quantization"] > 93
    assert accuracy["trained under quantization"] > accuracy["trained on"] + 2


def test_what_comes_back_is_the_users_own_module(lltm: ModelSpec) -> None:
    trained = qat.trained(lltm, 1)
    assert type(trained) is type(lltm.module)
    assert trained.state_dict().keys() == lltm.module.state_dict().keys()
    assert not torch.equal(trained.lltm.weight, lltm.module.lltm.weight)
    assert type(trained.lltm) is LLTM
    assert scores.scores(lltm, trained)["accuracy"] > 96


def test_lltm_weights_are_rounded_as_the_op_of_8_bits_has_them(lltm: ModelSpec) -> None:
    layer = lltm.module.lltm
    rounded = qat._Rounded(layer.hidden_size)(layer.weight)
    quantized = copy.deepcopy(layer)
    quantized.weight = nn.Parameter(rounded.detach())
    for one, other in zip(layer.quantized().buffers(), quantized.quantized().buffers(), strict=True):
        torch.testing.assert_close(one, other)
    rounded.sum().backward()
    torch.testing.assert_close(layer.weight.grad, torch.ones_like(layer.weight))
    layer.weight.grad = None


def test_batch_norms_keep_their_statistics_and_their_epsilon() -> None:
    """The graph of torchao has an epsilon of 1e-5, under which other weights would be learned."""
    module = Norms().eval()
    spec = ModelSpec("norms", module, (torch.rand(2, 1, 5, 5),), train=_step)
    trained = qat.trained(spec, 2)
    assert torch.equal(trained.norm.running_var, module.norm.running_var)
    assert not torch.equal(trained.conv.weight, module.conv.weight)
    graph = qat._prepared(spec)
    with torch.no_grad():
        graph(*spec.example_inputs)
        torch.testing.assert_close(graph(*spec.example_inputs), module(*spec.example_inputs), rtol=0, atol=0.02)


def test_what_hashes_are_computed_from_is_not_rounded() -> None:
    spec = ModelSpec("hashed", Hashed().eval(), (torch.rand(4, 6),), train=_nothing)
    graph = qat._prepared(spec)
    rounded = {str(node.args[0]) for node in graph.graph.nodes if "activation_post_process" in str(node.target)}
    assert "after_weight" in rounded
    assert not rounded & {"x", "before_weight", "linear", "relu"}


def test_pruned_weights_stay_zero(mlp: ModelSpec) -> None:
    pruned = magnitude.pruned(mlp.module, 0.5)
    trained = qat.trained(dataclasses.replace(mlp, module=pruned), 1)
    for before, after in zip(magnitude.layers(pruned), magnitude.layers(trained), strict=True):
        assert not after.weight[before.weight == 0].any()


def test_an_example_of_one_row_does_not_fix_the_batch() -> None:
    spec = ModelSpec("norms", Norms().eval(), (torch.rand(1, 1, 5, 5),), train=_step)
    qat.trained(spec, 1)


def test_a_model_with_nothing_to_round_is_told_so() -> None:
    spec = ModelSpec("cws", nn.Sequential(nn.ReLU()), (torch.rand(4, 6),), train=_nothing)
    with pytest.raises(DeployError, match="nothing in the model 'cws'"):
        qat.trained(spec, 1)


def test_a_train_function_that_needs_the_users_class_is_told_so(mlp: ModelSpec) -> None:
    def reaching(module: nn.Module, _epochs: int) -> None:
        module.layers[1].weight.zero_()

    with pytest.raises(DeployError, match="has no attribute 'layers'"):
        qat.trained(dataclasses.replace(mlp, train=reaching), 1)
