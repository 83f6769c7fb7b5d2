"""OpSpec: the Python half of a custom op. Its C++ half (signature, shapes, compute) is a struct in `ops.h`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deploypipe.parity import NORMALIZED_ERROR, Metric

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sample:
    """Arguments of one call, used by opcheck and by the conformance suite.

    Attributes:
        name: Short, for a test id: `batch1`, `odd`, `empty`.
        inputs: The tensors, in the order of the signature.
        attributes: Attributes by name; those left out take their default.
    """

    name: str
    inputs: tuple[torch.Tensor, ...]
    attributes: Mapping[str, int | float] = field(default_factory=dict)

    def arguments(self, op: torch._ops.OpOverload) -> tuple[Any, ...]:
        """Returns the arguments of a call in the order of the op's signature, attributes among them."""
        tensors = iter(self.inputs)
        return tuple(
            next(tensors) if "Tensor" in str(each.type) else self.attributes.get(each.name, each.default_value)
            for each in op._schema.arguments
        )


@dataclass(frozen=True)
class Gradient:
    """How autograd runs backward through an op (see `torch.library.register_autograd`).

    Attributes:
        backward: Takes the context and one gradient per output; returns one per input.
        setup_context: Saves what backward needs; takes the context, the inputs and the outputs.
        training: Name of a training op that takes the arguments of the op and returns its outputs, then more
            that backward needs. Where autograd records, it is called instead of the op, and `backward` and
            `setup_context` are those of its outputs. None where the op's own inputs and outputs are enough.
    """

    backward: Callable[..., Any]
    setup_context: Callable[..., None]
    training: str | None = None


@dataclass(frozen=True)
class OpSpec:
    """What Python has to know about an op: everything else comes from its C++ signature.

    Attributes:
        name: As in the C++ signature.
        reference: The op in readable PyTorch, same arguments and outputs. It is the oracle of the
            tests and the decomposition for runtimes that have no native kernel.
        samples: Makes the calls that the tests run on every runtime; the same on each call.
        metric: How outputs of this op are compared with the reference.
        gradient: None when the op is not differentiable.
        onnx_body: Nodes of the ONNX function that stands in for the kernel, in ONNX text syntax
            (opset 20), between the op's own input and output names. None derives it from
            `reference`, which must then export with every named dimension dynamic.
        float_inputs: Inputs that no quantizer may touch.
        states: Inputs that carry state along axis 0 of the first input, in order. The op over a sequence then
            equals the op over its parts one after another: its first output grows along axis 0, and the
            others are the states after it. What follows the states are parameters.
        finite: The op is undefined for NaN and infinity: models that use it refuse such inputs.
    """

    name: str
    reference: Callable[..., Any]
    samples: Callable[[], tuple[Sample, ...]]
    metric: Metric = NORMALIZED_ERROR
    gradient: Gradient | None = None
    onnx_body: str | None = None
    float_inputs: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    finite: bool = False
