"""Open axes: a file gives the answers of eager PyTorch at every size, or is declined with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deploypipe import Axis
from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import axes, axis_sizes, flatbuffer

from . import files
from .models import Calls, Lowered, lowered, normal, seeded

# Batches that grow and shrink.
BATCHES = (1, 17, 3, 8)
SEQUENCE = {"x": {0: Axis("batch"), 1: Axis("time", 4)}}


@dataclass(frozen=True)
class Model:
    """A module, and inputs of it for a batch."""

    module: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Tensor, ...]]
    fields: dict[str, Any]


def rows(function: Callable[..., Any], *layers: Callable[[], nn.Module], shape: tuple[int, ...] = (4,)) -> Model:
    """Takes x[batch, ...]."""
    return Model(lambda: Calls(function, *map(seeded, layers)), lambda batch: (normal(batch, *shape),), {})


def sequence(function: Callable[..., Any], *layers: Callable[[], nn.Module]) -> Model:
    """Takes x[batch,time,4], both open."""
    fields = {"input_names": ["x"], "dynamic_axes": SEQUENCE}
    return Model(
        lambda: Calls(function, *map(seeded, layers)), lambda batch: (normal(batch, batch % 7 + 4, 4),), fields
    )


def given(function: Callable[..., Any], *layers: Callable[[], nn.Module], dtype: torch.dtype, most: int) -> Model:
    """Takes x[batch,4] of a dtype, from 0 up to and without the most."""

    def inputs(batch: int) -> tuple[Tensor, ...]:
        return (torch.randint(most, (batch, 4), generator=torch.Generator().manual_seed(1)).to(dtype),)

    return Model(lambda: Calls(function, *map(seeded, layers)), inputs, {})


def linear(inputs: int = 4) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(inputs, 3)


def convolved() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))


def with_state(x: Tensor, layer: nn.Module) -> Any:
    return layer(torch.cat([x.float(), torch.zeros(x.size(0), 2)], 1))


def windows(x: Tensor, layer: nn.Module) -> Any:
    """Makes of two open axes one, and of one two."""
    return layer(x.reshape(-1, 2, 2)).reshape(x.size(0), x.size(1), 3)


def tokens(x: Tensor, table: nn.Module) -> tuple[Tensor, ...]:
    """The second output has no axis."""
    return table(x).flatten(1), x.float().mean(), x * 3 - 1


def constants(x: Tensor) -> tuple[Tensor, ...]:
    """Constants that an operator stretches by itself, that nothing else stretches, and that are outputs."""
    batch = x.size(0)
    return (
        x.sum(0, keepdim=True) + torch.zeros(batch, 4),
        torch.where(x > 0, x, torch.full((batch, 4), 3.0)),
        torch.zeros(batch, 3),
        torch.ones(3),
        torch.cat([x, -x]),
    )


def slices(x: Tensor, layer: nn.Module) -> tuple[Tensor, ...]:
    """Parts that are cut from the beginning or from the end, and a constant over both axes."""
    return (
        torch.relu(x[:, 1:]),
        torch.relu(x[:, :2]),
        torch.relu(x[:, :-1]),
        torch.relu(x[:, -3:-1]),
        torch.relu(x[:, ::2]),
        layer(x[:, -1]),
        x.sum(1) / x.size(1),
        torch.cat([x, torch.full((x.size(0), x.size(1), 2), 3.0)], 2),
    )


MODELS = {
    "convolution": rows(lambda x, layer: layer(x), convolved, shape=(1, 8, 8)),
    "state": rows(with_state, linear(6)),
    "state beside bools": given(with_state, linear(6), dtype=torch.bool, most=2),
    "integers": given(tokens, lambda: nn.Embedding(9, 3), dtype=torch.int64, most=9),
    "constants": rows(constants),
    "two open sizes": sequence(windows, lambda: nn.Conv1d(2, 3, 2)),
    "slices": sequence(slices, linear()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_pytorch_at_every_size(tmp_path: Path, name: str) -> None:
    model = MODELS[name]
    file = lowered(tmp_path, model.module(), *model.inputs(2), **model.fields)
    assert file.notes["batch"] == "any"
    with file.opened() as opened:
        for batch in BATCHES:
            inputs = model.inputs(batch)
            expected = file.eager(*inputs)
            for found in (opened.run([each.numpy() for each in inputs]), file.classic(*inputs)):
                for one, other in zip(found, expected, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, strict=True)


DECLINED = {
    "rows that are numbered": (lambda x: x + torch.arange(x.size(1)).unsqueeze(1), "a constant of ADD depends"),
    # At 8 rows and 10 steps there are 8 left, which must not be taken for the batch.
    "a length that is computed": (
        lambda x: torch.cat([x[:, 2:], torch.zeros(x.size(0), x.size(1) - 2, 1)], 2),
        "a shape holds 8 where",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_an_axis_that_cannot_be_open_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    function, reason = DECLINED[name]
    model = sequence(function)
    with pytest.raises(DeployError, match=f"LiteRT cannot leave batch, time open: {reason}") as caught:
        lowered(tmp_path, model.module(), *model.inputs(2), **model.fields)
    assert "dynamic_axes" in caught.value.cure


def pooled(size: int) -> bytes:
    """A pool over the whole of an image, whose sizes stand in the options of the operator."""
    options = flatbuffer.schema().Pool2DOptionsT()
    options.filterHeight, options.filterWidth, options.strideH, options.strideW = size, 4, 1, 1
    options.padding = flatbuffer.schema().Padding.VALID
    return files.operator("AVERAGE_POOL_2D", [("float32", (1, size, 4, 2))], (1, 1, 1, 2), options)


def test_an_option_that_depends_on_an_axis_is_seen() -> None:
    with pytest.raises(axis_sizes.FixedAxisError, match="an option of AVERAGE_POOL_2D depends on the size"):
        axes.opened(pooled(8), pooled(9), {"height": (8, 9)})


def cut(size: int, begin: int) -> bytes:
    """The middle of rows that are numbered."""
    where = [np.array(each, np.int32) for each in ([begin, 0], [4, 4])]
    return files.operator("SLICE", [("float32", (size, 4)), *where], (4, 4), flatbuffer.schema().SliceOptionsT())


def test_a_slice_that_moves_with_an_axis_only_halfway_is_declined() -> None:
    with pytest.raises(axis_sizes.FixedAxisError, match="a SLICE begins or ends at a place that depends"):
        axes.opened(cut(8, 2), cut(10, 3), {"batch": (8, 10)})


def halves(size: int) -> bytes:
    """A constant of a type that numpy has, but whose values are never looked at."""
    model, graph = files.empty()
    buffer = flatbuffer.schema().BufferT()
    buffer.data = np.full(size, 7, np.float16).view(np.uint8)
    model.buffers.append(buffer)
    kind = flatbuffer.schema().TensorType.FLOAT16
    graph.inputs = [flatbuffer.add_tensor(graph, "x", (size,), files.kind("float32"))]
    taken = flatbuffer.add_tensor(graph, "halves", (size,), kind, 1)
    graph.outputs = [flatbuffer.add_tensor(graph, "y", (size,), files.kind("float32"))]
    graph.operators = [flatbuffer.add_operator(model, "DEQUANTIZE", 1, [taken], graph.outputs)]
    files.sign(model)
    return flatbuffer.inline(model)


def test_a_constant_of_a_rare_type_that_depends_on_an_axis_is_seen() -> None:
    with pytest.raises(axis_sizes.FixedAxisError, match="a constant of DEQUANTIZE, of a rare type"):
        axes.opened(halves(8), halves(9), {"batch": (8, 9)})


def test_a_graph_of_another_structure_is_seen() -> None:
    one = files.operator("RELU", [("float32", (8, 4))], (8, 4))
    other = files.operator("TANH", [("float32", (9, 4))], (9, 4))
    with pytest.raises(axis_sizes.FixedAxisError, match="another structure"):
        axes.opened(one, other, {"batch": (8, 9)})


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """Twelve outputs; an input, the same output twice and a constant are among them."""

    def forward(x: Tensor) -> tuple[Tensor, ...]:
        doubled = x * 2
        return (x, doubled, doubled, *(x * (number + 3) for number in range(9)))

    return lowered(tmp_path_factory.mktemp("many"), Calls(forward), normal(2, 4))


def test_outputs_stand_in_their_order(many: Lowered) -> None:
    names = [f"output_{number}" for number in range(12)]
    assert [info.name for info in many.program.facts.outputs] == names
    for batch in BATCHES:
        x = normal(batch, 4)
        with many.opened() as opened:
            for found in (opened.run([x.numpy()]), many.classic(x)):
                for one, other in zip(found, many.eager(x), strict=True):
                    np.testing.assert_array_equal(one, other, strict=True)


def test_inputs_and_outputs_have_the_names_of_the_program(many: Lowered) -> None:
    model, facts = flatbuffer.parse(many.content), many.program.facts
    (signature,), (graph,) = model.signatureDefs, model.subgraphs
    for maps, infos, indices in (
        (signature.inputs, facts.inputs, graph.inputs),
        (signature.outputs, facts.outputs, graph.outputs),
    ):
        places = {each.name.decode(): each.tensorIndex for each in maps}
        assert [places[info.name] for info in infos] == list(indices)


def test_a_model_without_dynamic_axes_stays_as_it_is(tmp_path: Path) -> None:
    file = lowered(tmp_path, nn.ReLU(), normal(2, 4), input_names=["x"], dynamic_axes={})
    assert file.notes["batch"] == "fixed, as in the example"
    assert not any(each.shapeSignature is not None for each in flatbuffer.parse(file.content).subgraphs[0].tensors)
