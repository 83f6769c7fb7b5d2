from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from deploypipe.compress import channels
from deploypipe.errors import DeployError
from deploypipe.ops import LLTM, LLTMCell
from deploypipe.spec import ModelSpec
from deploypipe.zoo import models


class Reader(nn.Module):
    """A projection, a recurrent layer and a head."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.first, self.recurrent, self.head = nn.Linear(5, 8), recurrent, nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.recurrent(self.first(x))
        head: Tensor = self.head(h)
        return head


class Stepper(Reader):
    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.recurrent(self.first(x))
        head: Tensor = self.head(h)
        return head


class Written(nn.Module):
    """A size is written down where it could be read from the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 16), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        head: Tensor = self.head(self.first(x).reshape(-1, 2, 8).sum(dim=1))
        return head


class TwoOutputs(nn.Module):
    """A hidden layer that is an output too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.second(torch.relu(self.first(x)))
        return hidden, self.head(torch.relu(hidden))


def test_every_hidden_layer_loses_its_share_and_the_outputs_stay(mlp: ModelSpec) -> None:
    pruned = channels.pruned(mlp.module, mlp.example_inputs, 0.25)
    shapes = [tuple(value.shape) for value in pruned.state_dict().values() if value.dim() == 2]
    assert shapes == [(384, 64), (384, 384), (10, 384)]
    assert mlp.module.layers[1].weight.shape == (512, 64)


def test_layers_may_be_kept(mlp: ModelSpec) -> None:
    pruned = channels.pruned(mlp.module, mlp.example_inputs, 0.5, keep=["layers.1"])
    assert [pruned.get_submodule(f"layers.{n}").out_features for n in (1, 3, 5)] == [512, 256, 10]


def test_a_hidden_layer_that_is_an_output_stays() -> None:
    module, inputs = TwoOutputs(), (torch.rand(3, 4),)
    assert channels.prunable(module, inputs) == ["first"]
    hidden, logits = channels.pruned(module, inputs, 0.5)(*inputs)
    assert (hidden.shape, logits.shape) == ((3, 16), (3, 2))


@pytest.mark.parametrize(
    ("module", "inputs"),
    [(Reader(LLTM(8, 12)), torch.randn(4, 3, 5)), (Stepper(LLTMCell(8, 12)), torch.randn(3, 5))],
    ids=["layer", "cell"],
)
def test_hidden_units_that_do_nothing_go_without_a_trace(module: Reader, inputs: Tensor) -> None:
    """A unit with all weights zero has the state 0, and what it feeds has nothing of it."""
    idle = torch.tensor([1, 4, 11])
    with torch.no_grad():
        rows = torch.cat([idle, idle + 12, idle + 24])
        module.recurrent.weight[rows] = 0
        module.recurrent.weight[:, idle] = 0
        module.recurrent.bias[rows] = 0
        module.head.weight[:, idle] = 0
    pruned = channels.pruned(module, (inputs,), 0.25, channels.HIDDEN)
    assert (pruned.recurrent.hidden_size, pruned.recurrent.input_size) == (9, 8)
    assert pruned.recurrent.weight.shape == (27, 17)
    assert pruned.head.weight.shape == (3, 9)
    torch.testing.assert_close(pruned(inputs), module(inputs))
    assert pruned.recurrent.deployed().hidden_size == 9
    assert pruned.recurrent.quantized().hidden_size == 9


def test_an_lltm_loses_the_columns_of_channels_that_go() -> None:
    module, inputs = Reader(LLTM(8, 12)), torch.randn(4, 3, 5)
    idle = torch.tensor([0, 7])
    with torch.no_grad():
        module.first.weight[idle] = 0
        module.first.bias[idle] = 0
        module.recurrent.weight[:, 12 + idle] = 0
    pruned = channels.pruned(module, (inputs,), 0.25)
    assert (pruned.recurrent.hidden_size, pruned.recurrent.input_size) == (12, 6)
    torch.testing.assert_close(pruned(inputs), module(inputs))


def test_half_of_the_lltm_of_the_zoo(lltm: ModelSpec) -> None:
    assert channels.prunable(lltm.module, lltm.example_inputs) == []
    assert channels.prunable(lltm.module, lltm.example_inputs, channels.HIDDEN) == ["lltm"]
    pruned = channels.pruned(lltm.module, lltm.example_inputs, 0.5, channels.HIDDEN)
    assert pruned.lltm.weight.shape == (3 * 64, 64 + 8)
    assert pruned.head.weight.shape == (10, 64)


def test_mobilenet_is_pruned_and_exports_with_a_dynamic_batch() -> None:
    module = models.get("mobilenet_v3_small").build((1, 8, 8), 10, 0).eval()
    inputs = (torch.rand(4, 3, 64, 64),)
    pruned = channels.pruned(module, inputs, 0.5)
    sizes = [sum(p.numel() for p in each.parameters()) for each in (module, pruned)]
    assert sizes[1] < 0.3 * sizes[0]
    exported = torch.export.export(pruned, inputs, dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    other = torch.rand(7, 3, 64, 64)
    torch.testing.assert_close(exported(other), pruned(other))


def test_sizes_that_are_written_down_are_refused() -> None:
    with pytest.raises(DeployError, match="channels of Written cannot be pruned"):
        channels.pruned(Written(), (torch.rand(2, 4),), 0.3)


def test_no_call_changes_the_defaults_of_the_library(mlp: ModelSpec) -> None:
    """torch-pruning fills the dictionaries that are its defaults."""
    import inspect

    import torch_pruning as tp

    channels.pruned(mlp.module, mlp.example_inputs, 0.5)
    defaults = inspect.signature(tp.pruner.BasePruner).parameters
    assert not any(defaults[name].default for name in ("in_channel_groups", "out_channel_groups", "num_heads"))
