"""torch's own checks of every op, and every kernel against its reference."""

from __future__ import annotations

import pytest
import torch

from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import LIBRARY

CASES = [
    pytest.param(spec, sample, id=f"{spec.name}-{sample.name}") for spec in LIBRARY.specs for sample in spec.samples()
]


def _call(name: str, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    outputs = getattr(torch.ops.deploypipe, name)(*inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize(("spec", "sample"), CASES)
def test_opcheck(spec: OpSpec, sample: Sample) -> None:
    overload = getattr(torch.ops.deploypipe, spec.name).default
    torch.library.opcheck(overload, sample.inputs)


@pytest.mark.parametrize(("spec", "sample"), [case for case in CASES if case.values[0].gradient])
def test_opcheck_when_training(spec: OpSpec, sample: Sample) -> None:
    overload = getattr(torch.ops.deploypipe, spec.name).default
    torch.library.opcheck(overload, tuple(tensor.clone().requires_grad_() for tensor in sample.inputs))


@pytest.mark.parametrize(("spec", "sample"), [case for case in CASES if case.values[0].gradient])
def test_opcheck_of_the_backward_op(spec: OpSpec, sample: Sample) -> None:
    overload = getattr(torch.ops.deploypipe, f"{spec.name}_backward").default
    grads = tuple(torch.ones_like(output) for output in _call(spec.name, *sample.inputs))
    inputs = sample.inputs
    if spec.name == "lltm":  # what the forward pass saves stands in for the bias
        output, _, _, gates, cells = torch.ops.deploypipe.lltm_training(*inputs)
        inputs = (*inputs[:4], output, gates, cells)
    torch.library.opcheck(overload, (*grads, *inputs))


@pytest.mark.parametrize(("spec", "sample"), CASES)
def test_the_kernel_agrees_with_the_reference(spec: OpSpec, sample: Sample) -> None:
    expected = spec.reference(*sample.inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for output, reference in zip(_call(spec.name, *sample.inputs), expected, strict=True):
        assert output.dtype == reference.dtype
        assert output.shape == reference.shape
        assert spec.metric.distance(output.numpy(), reference.numpy()) <= 1e-6


@pytest.mark.parametrize("spec", LIBRARY.specs, ids=lambda spec: spec.name)
def test_the_samples_are_the_same_on_each_call(spec: OpSpec) -> None:
    for one, other in zip(spec.samples(), spec.samples(), strict=True):
        for mine, its in zip(one.inputs, other.inputs, strict=True):
            torch.testing.assert_close(mine, its, rtol=0, atol=0, equal_nan=True)
