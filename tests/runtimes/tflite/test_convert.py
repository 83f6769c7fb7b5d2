"""Conversion: fixed batches where an axis cannot be open, integers of 64 bits, attributes of custom operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deploypipe.errors import DeployError
from deploypipe.runtimes import Form, litert
from deploypipe.runtimes.tflite import convert, flatbuffer, lowerings
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess

from .models import Calls, Lowered, lowered, normal

PIECES = Form(decomposed=True, batches=(4, 1))


def picked(x: Tensor, index: Tensor) -> Tensor:
    """Takes an element of each row, for which the rows are numbered by a constant."""
    return x[torch.arange(x.size(0)), index]


@pytest.fixture(scope="module")
def picking(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    folder = tmp_path_factory.mktemp("picking")
    return lowered(folder, Calls(picked), normal(2, 5), torch.tensor([0, 1]), form=PIECES)


@pytest.mark.parametrize("batch", [1, 4, 11])
def test_a_batch_that_cannot_be_open_is_run_in_pieces(picking: Lowered, batch: int) -> None:
    inputs = normal(batch, 5), torch.arange(batch) % 5
    found = litert.load(picking.path, []).run([each.numpy() for each in inputs])
    np.testing.assert_array_equal(found[0], picking.eager(*inputs)[0])


def test_the_notes_tell_the_batches_and_the_reason(picking: Lowered) -> None:
    assert picking.notes["batch"].startswith("signatures for 1, 4: a constant of ")
    keys = [each.signatureKey.decode() for each in flatbuffer.parse(picking.content).signatureDefs]
    assert keys == ["batch_1", "batch_4"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.arange(x.size(0)).unsqueeze(1),
        lambda x: x * x.size(0),
    ],
    ids=["numbered rows", "the number of rows"],
)
def test_a_model_whose_rows_depend_on_their_place_is_not_cut(tmp_path: Path, function: object) -> None:
    """In pieces it would answer something else, without a word."""
    with pytest.raises(
        DeployError, match=r"cannot leave the batch open: a constant of .* Nor can .* in pieces"
    ) as caught:
        lowered(tmp_path, Calls(function), normal(2, 4), form=PIECES)
    assert "dynamic_axes" in caught.value.cure


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"cannot be converted to LiteRT: .*bitwise_left_shift") as caught:
        lowered(tmp_path, Calls(lambda x: torch.bitwise_left_shift(x, 3)), torch.arange(4))
    assert "another runtime" in caught.value.cure


def arithmetic(x: Tensor) -> tuple[Tensor, ...]:
    """Sums, products and quotients far beyond 32 bits; litert-torch by itself cuts them off."""
    return (
        x * 2**33,
        x * 3,
        x * x,
        x * x[:, :1],
        x * x.to(torch.int32),
        x + 2**40,
        x - 2**40,
        2**40 - x,
        x / 3,
        x / 2**34,
        torch.remainder(x, 2**34 + 1),
    )


@pytest.fixture(scope="module")
def integers(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    return lowered(tmp_path_factory.mktemp("integers"), Calls(arithmetic), torch.arange(8).reshape(2, 4))


def large() -> Tensor:
    return torch.randint(-(2**45), 2**45, (3, 4), generator=torch.Generator().manual_seed(1))


def same(found: tuple[np.ndarray, ...] | list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6 if one.dtype == np.float32 else 0, strict=True)


def test_integers_have_64_bits(integers: Lowered) -> None:
    x = large()
    with integers.opened() as opened:
        same(opened.run([x.numpy()]), integers.eager(x))
    same(integers.classic(x), integers.eager(x))


def test_they_have_so_in_the_legacy_runtime(integers: Lowered, legacy: LegacyProcess) -> None:
    x = large()
    legacy.load(integers.path)
    same(legacy.run([x.numpy()]), integers.eager(x))


def test_attributes_of_a_custom_operator_stand_in_its_code() -> None:
    """Every bit of them, and defaults that were not given."""
    values = [0.1, 1e-7, 1 / 3, 3.4028234663852886e38]
    with torch.library._scoped_library("probing", "DEF") as library:
        library.define("probe(Tensor x, float scale, int step=2, float rest=0.5) -> Tensor")
        library.impl("probe", lambda x, scale, step=2, rest=0.5: torch.empty_like(x), "Meta")
        lowerings.register(["probing::probe"])
        module = Calls(lambda x: [torch.ops.probing.probe(x, value, step=-(2**40)) for value in values])
        graph = torch.export.export(module, (torch.ones(2),)).module()
        content = convert._converted([(flatbuffer.SIGNATURE, graph, (torch.ones(2),))])
    model = flatbuffer.parse(content)
    codes = [flatbuffer.custom_code(model, each) for _, each in flatbuffer.operators(model)]
    settings = [dict(part.split("=") for part in code.split(";")[1:]) for code in codes]
    assert {code.partition(";")[0] for code in codes} == {"custom_call.probing.probe"}
    assert sorted(float(each["scale"]) for each in settings) == sorted(values)
    assert {(int(each["step"]), float(each["rest"])) for each in settings} == {(-(2**40), 0.5)}


def test_an_input_without_axes_has_no_batch(tmp_path: Path) -> None:
    file = lowered(tmp_path, Calls(lambda x: x * 2), torch.tensor(3.0))
    assert file.notes["batch"] == "fixed, as in the example"
    (found,) = file.opened().run([np.array(4, np.float32)])
    assert found.shape == ()
    assert found == 8


def test_dropout_and_norms_are_those_of_inference(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    file = lowered(tmp_path, module, normal(2, 4))
    x = normal(7, 4, seed=1)
    np.testing.assert_allclose(file.opened().run([x.numpy()])[0], file.eager(x)[0], rtol=1e-5, atol=1e-6)
