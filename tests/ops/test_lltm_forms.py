"""The forms of LLTM for inference: packed, which gives the same answers, and with 8-bit weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deploypipe.ops import (
    LLTM,
    LLTMCell,
    PackedLLTM,
    PackedLLTMCell,
    QuantizedLLTM,
    QuantizedLLTMCell,
    lltm,
    lltm_int8,
    panels,
)
from deploypipe.parity import normalized_error

SIZES = [(1, 1), (3, 16), (28, 17), (5, 48)]  # I, H


def _layer(inputs: int, hidden: int, kind: type[Any] = LLTM) -> Any:
    torch.manual_seed(inputs * 100 + hidden)
    return kind(inputs, hidden)


@pytest.mark.parametrize(("inputs", "hidden"), SIZES)
def test_unpacking_undoes_packing(inputs: int, hidden: int) -> None:
    weight = torch.randn(3 * hidden, hidden + inputs)
    packed = panels.pack(weight)
    assert packed.shape == ((hidden + 15) // 16, hidden + inputs, 48)
    assert torch.equal(panels.unpack(packed, hidden), weight)
    whole = torch.randint(-127, 128, (3 * hidden, 12), dtype=torch.int8)
    packed = panels.pack_bytes(whole)
    assert packed.shape == ((hidden + 15) // 16, 3, 192)
    assert torch.equal(panels.unpack_bytes(packed, hidden), whole)


def test_the_order_within_a_panel() -> None:
    weight = torch.arange(3 * 20 * 22.0).reshape(60, 22)
    packed = panels.pack(weight)
    assert packed[1, 7, 16 + 2] == weight[20 + 18, 7]  # output gate of unit 18
    assert not packed[1, :, 4:16].any()
    whole = panels.pack_bytes(torch.arange(60)[:, None].expand(60, 8).to(torch.int8))
    assert whole[1, 0, (32 + 2) * 4 : (32 + 3) * 4].tolist() == [40 + 18] * 4  # candidate of unit 18


@pytest.mark.parametrize(("inputs", "hidden"), SIZES)
@pytest.mark.parametrize(("kind", "form"), [(LLTM, PackedLLTM), (LLTMCell, PackedLLTMCell)])
def test_the_packed_form_gives_the_same_answers(inputs: int, hidden: int, kind: type, form: type) -> None:
    layer = _layer(inputs, hidden, kind).eval()
    packed = layer.deployed()
    assert type(packed) is form
    assert not packed.training
    assert not list(packed.parameters())
    assert repr(packed) == repr(layer).replace("LLTM", "PackedLLTM")
    x = torch.randn(5, 3, inputs) if kind is LLTM else torch.randn(3, inputs)
    state = (torch.randn(3, hidden), torch.randn(3, hidden))
    for given in ((x,), (x, state)):
        torch.testing.assert_close(packed(*given), layer(*given), rtol=0, atol=2e-6)


def test_a_packed_form_still_tells_its_weight() -> None:
    layer = _layer(3, 20)
    packed = layer.deployed()
    assert torch.equal(packed.weight, layer.weight)
    assert torch.equal(packed.bias, layer.bias)
    assert not packed.weight.requires_grad


def test_a_packed_form_keeps_its_panels_in_its_state() -> None:
    packed, other = _layer(3, 20).deployed(), PackedLLTM(3, 20)
    assert list(packed.state_dict()) == ["panels"]
    other.load_state_dict(packed.state_dict())
    x = torch.randn(4, 2, 3)
    assert torch.equal(other(x)[0], packed(x)[0])


def test_a_subclass_that_does_something_else_is_not_replaced() -> None:
    class Doubled(LLTM):
        def forward(self, input: torch.Tensor, state: Any = None) -> Any:
            return super().forward(2 * input, state)

    class Named(LLTM):
        name = "ours"

    assert type(_layer(3, 4, Doubled).deployed()) is Doubled
    assert type(_layer(3, 4, Named).deployed()) is PackedLLTM


def test_a_parametrized_weight_is_packed_as_it_is_computed() -> None:
    layer = _layer(3, 20)
    torch.nn.utils.parametrizations.weight_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(2)
    assert torch.equal(layer.deployed().weight, layer.weight)


@pytest.mark.parametrize(("kind", "form"), [(LLTM, QuantizedLLTM), (LLTMCell, QuantizedLLTMCell)])
def test_the_quantized_form(kind: type, form: type) -> None:
    layer = _layer(28, 40, kind)
    quantized = layer.quantized()
    assert type(quantized) is form
    assert not list(quantized.parameters())
    assert repr(quantized) == repr(layer).replace("LLTM", "QuantizedLLTM")
    torch.manual_seed(3)
    x = torch.randn(12, 5, 28) if kind is LLTM else torch.randn(5, 28)
    for mine, its in zip(_leaves(quantized(x)), _leaves(layer(x)), strict=True):
        assert normalized_error(mine.numpy(), its.detach().numpy()) < 0.02


def _leaves(outputs: Any) -> list[torch.Tensor]:
    return list(torch.utils._pytree.tree_leaves(outputs))


@pytest.mark.parametrize("form", [PackedLLTM, PackedLLTMCell, QuantizedLLTM, QuantizedLLTMCell])
def test_the_forms_can_be_scripted_and_exported(form: type) -> None:
    torch.manual_seed(1)
    source = LLTM(4, 5) if "Cell" not in form.__name__ else LLTMCell(4, 5)
    module = form.from_weight(source.weight.detach(), source.bias.detach())
    x = torch.randn(3, 2, 4) if "Cell" not in form.__name__ else torch.randn(2, 4)
    exported = torch.export.export(module, (x,)).module()
    for made in (torch.jit.script(module), exported):
        torch.testing.assert_close(made(x), module(x), rtol=0, atol=0)


def test_every_row_has_a_scale_for_the_state_and_one_for_the_input() -> None:
    weight = torch.cat([torch.randn(60, 20), 1000 * torch.randn(60, 3)], dim=1)
    weight[7] = 0
    bias = torch.randn(60)
    packed, sums, scales = lltm_int8.quantize(weight, bias)
    whole = panels.unpack_bytes(packed, 20).float()
    assert whole.shape == (60, 24)
    assert not whole[:, 23].any()
    factors = panels.unpack(scales, 20)
    torch.testing.assert_close(factors[:, 0] * 127, weight[:, :20].abs().amax(1) / 127)
    torch.testing.assert_close(factors[:, 1], weight[:, 20:].abs().amax(1) / 127)
    assert torch.equal(factors[:, 2], bias)
    restored = torch.cat([whole[:, :20] * factors[:, :1] * 127, whole[:, 20:23] * factors[:, 1:2]], dim=1)
    step = torch.cat([factors[:, :1] * 127, factors[:, 1:2]], dim=1).repeat_interleave(torch.tensor([20, 3]), dim=1)
    assert ((restored - weight).abs() <= 0.5001 * step).all()
    assert torch.equal(panels.unpack(sums, 20)[:, 0], whole[:, :20].sum(1).int())
    assert torch.equal(panels.unpack(sums, 20)[:, 1], whole[:, 20:].sum(1).int())
    assert sums.dtype == torch.int32


def test_a_row_of_the_input_has_a_scale_of_its_own() -> None:
    """A row a million times as large as another must not take its levels away."""
    layer = _layer(6, 20).quantized()
    x = torch.randn(3, 2, 6)
    together = layer(x * torch.tensor([1.0, 1e6])[:, None])[0]
    assert torch.equal(together[:, :1], layer(x[:, :1])[0])


@pytest.mark.parametrize("op", ["lltm_packed", "lltm_int8"])
@pytest.mark.parametrize(("inputs", "hidden"), [(7, 20), (6, 19), (60, 20), (6, 200)])
def test_a_wrong_shape_is_an_error_that_names_the_op(op: str, inputs: int, hidden: int) -> None:
    layer = _layer(6, 20)
    module = layer.deployed() if op == "lltm_packed" else layer.quantized()
    with pytest.raises((ValueError, RuntimeError), match=op):
        module(torch.zeros(2, 3, inputs), (torch.zeros(3, hidden), torch.zeros(3, hidden)))


class Recorded:
    """Records the custom ops that are called while it is entered."""

    def __enter__(self) -> Recorded:
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
        self.profile.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.profile.__exit__(*error)
        keys = [event.key for event in self.profile.key_averages()]
        self.ops = sorted(key.removeprefix("deploypipe::") for key in keys if key.startswith("deploypipe::"))


def test_training_calls_the_op_that_saves_what_backward_needs() -> None:
    layer, x = _layer(3, 5), torch.randn(4, 2, 3)
    with Recorded() as trained:
        layer(x)[0].sum().backward()
    assert trained.ops == ["lltm", "lltm_backward", "lltm_training"]
    with Recorded() as used, torch.no_grad():
        layer(x)
    assert used.ops == ["lltm"]
    layer.requires_grad_(False)
    with Recorded() as frozen:
        layer(x)
    assert frozen.ops == ["lltm"]


def test_a_compiled_layer_trains_with_the_same_gradients() -> None:
    layer, x = _layer(3, 5), torch.randn(4, 2, 3)
    layer(x)[0].square().sum().backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    with Recorded() as trained:
        torch.compile(layer, backend="aot_eager")(x)[0].square().sum().backward()
    assert {"lltm_training", "lltm_backward"} <= set(trained.ops)
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("strict", [False, True])
def test_an_export_with_gradients_enabled_holds_the_op_itself(strict: bool) -> None:
    program = torch.export.export(_layer(3, 5), (torch.randn(4, 2, 3),), strict=strict)
    for graph in (program.graph, program.run_decompositions().graph):
        calls = [str(node.target) for node in graph.nodes if "deploypipe" in str(node.target)]
        assert calls == ["deploypipe.lltm.default"]


def test_only_the_gradients_that_are_wanted_are_needed() -> None:
    x = torch.randn(4, 2, 3, requires_grad=True)
    layer = _layer(3, 5).requires_grad_(False)
    layer(x)[0].sum().backward()
    state = lltm.reference(x.detach().requires_grad_(), torch.zeros(2, 5), torch.zeros(2, 5), layer.weight, layer.bias)
    assert x.grad is not None
    assert x.grad.shape == (4, 2, 3)
    torch.testing.assert_close(layer(x)[0], state[0], rtol=0, atol=2e-6)
