"""torch's own checks of every op, and every kernel against its reference."""

from __future__ import annotations

import pytest
import torch

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import LIBRARY

CASES = [
    pytest.param(spec, sample, id=f"{spec.name}-{sample.name}") for spec in LIBRARY.specs for sample in spec.samples()
]


TRAINED = [case for case in CASES if case.values[0].gradient]


def _op(name: str) -> torch._ops.OpOverload:
    return getattr(torch.ops.deploypipe, name).default


def _tuple(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize(("spec", "sample"), CASES)
def test_opcheck(spec: OpSpec, sample: Sample) -> None:
    torch.library.opcheck(_op(spec.name), sample.arguments(_op(spec.name)))


@pytest.mark.parametrize("training", [False, True], ids=["op", "training"])
@pytest.mark.parametrize(("spec", "sample"), TRAINED)
def test_opcheck_when_training(spec: OpSpec, sample: Sample, training: bool) -> None:
    assert spec.gradient is not None
    name = spec.gradient.training if training and spec.gradient.training else spec.name
    torch.library.opcheck(_op(name), tuple(tensor.clone().requires_grad_() for tensor in sample.inputs))


@pytest.mark.parametrize(("spec", "sample"), TRAINED)
def test_opcheck_of_the_backward_op(spec: OpSpec, sample: Sample) -> None:
    backward = _op(f"{spec.name}_backward")
    given = dict(zip((each.name for each in _op(spec.name)._schema.arguments), sample.inputs, strict=True))
    assert spec.gradient is not None
    forward = _op(spec.gradient.training or spec.name)
    outputs = _tuple(forward(*sample.inputs))
    given |= dict(zip((each.name for each in forward._schema.returns), outputs, strict=True))
    count = len(_op(spec.name)._schema.returns)
    rest = [given[each.name] for each in backward._schema.arguments[count:]]
    torch.library.opcheck(backward, (*map(torch.ones_like, outputs[:count]), *rest))


@pytest.mark.parametrize(("spec", "sample"), CASES)
def test_the_kernel_agrees_with_the_reference(spec: OpSpec, sample: Sample) -> None:
    arguments = sample.arguments(_op(spec.name))
    expected = _tuple(spec.reference(*arguments))
    for output, reference in zip(_tuple(_op(spec.name)(*arguments)), expected, strict=True):
        assert output.dtype == reference.dtype
        assert output.shape == reference.shape
        assert spec.metric.distance(output.numpy(), reference.numpy()) <= 1e-6


@pytest.mark.parametrize("spec", LIBRARY.specs, ids=lambda spec: spec.name)
def test_the_samples_are_the_same_on_each_call(spec: OpSpec) -> None:
    for one, other in zip(spec.samples(), spec.samples(), strict=True):
        for mine, its in zip(one.inputs, other.inputs, strict=True):
            torch.testing.assert_close(mine, its, rtol=0, atol=0, equal_nan=True)
