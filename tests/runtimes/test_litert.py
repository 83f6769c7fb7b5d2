"""The runtime litert: what runs each custom op, times of operators, and files that do not load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deploypipe import ModelSpec, native
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.ops import CWS
from deploypipe.runtimes import Form, litert

OP = "deploypipe::cws_dense"


class Hashing(nn.Module):
    """A layer, and hashes of what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 24)
        self.hashes = CWS(24, 32)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        index, t = self.hashes(torch.relu(self.layer(x)))
        return index, t


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("program")
    spec = resolve(ModelSpec("m", Hashing(), (torch.randn(2, 4),)))
    capture(spec, None, folder)
    return Program.load(spec, folder)


@pytest.fixture(scope="module")
def native_file(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifact = tmp_path_factory.mktemp("native") / litert.ARTIFACT
    litert.lower(program, Form(), artifact)
    return artifact


@pytest.fixture(scope="module")
def decomposed_file(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifact = tmp_path_factory.mktemp("decomposed") / litert.ARTIFACT
    litert.lower(program, Form(decomposed=True), artifact)
    return artifact


def test_a_native_op_gives_the_bits_of_torch_at_every_batch(program: Program, native_file: Path) -> None:
    session = litert.load(native_file, [native.library("litert")])
    for batch in (1, 17, 3):
        x = torch.randn(batch, 4, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = program.spec.module(x)
        for found, wanted in zip(session.run([x.numpy()]), expected, strict=True):
            np.testing.assert_array_equal(found, wanted.numpy(), strict=True)


def test_what_runs_an_op_is_seen_in_a_run(native_file: Path, decomposed_file: Path) -> None:
    x = np.ones((2, 4), np.float32)
    found = litert.load(native_file, [native.library("litert")]).op_paths([x], [OP, "deploypipe::square"])
    assert found == {OP: "native", "deploypipe::square": "decomposed"}
    assert litert.load(decomposed_file, []).op_paths([x], [OP]) == {OP: "decomposed"}


def test_times_tell_the_delegate_from_custom_operators(native_file: Path) -> None:
    session = litert.load(native_file, [native.library("litert")])
    events = session.profile([np.ones((64, 4), np.float32)], 5)
    assert {each.kind for each in events} >= {"delegate", "custom"}
    (custom,) = [each for each in events if each.kind == "custom"]
    assert custom.name.startswith("custom_call.deploypipe.cws_dense;hashes=32")
    assert custom.calls == 1


def test_a_file_whose_kernel_is_missing_names_it(native_file: Path) -> None:
    with pytest.raises(DeployError, match=r"custom_call\.deploypipe\.cws_dense") as caught:
        litert.load(native_file, [])
    assert "op library" in caught.value.cure


@pytest.mark.parametrize("damage", ["empty", "cut in half", "garbage"])
def test_a_damaged_file_is_an_error_with_a_cure(decomposed_file: Path, tmp_path: Path, damage: str) -> None:
    content = decomposed_file.read_bytes()
    damaged = {"empty": b"", "cut in half": content[: len(content) // 2], "garbage": b"TFL3" * 100}[damage]
    (tmp_path / litert.ARTIFACT).write_bytes(damaged)
    with pytest.raises(DeployError, match="does not load in LiteRT") as caught:
        litert.load(tmp_path / litert.ARTIFACT, [])
    assert caught.value.cure


def test_a_session_gives_the_same_answers_again(decomposed_file: Path) -> None:
    session = litert.load(decomposed_file, [])
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32)
    first = session.run([x])
    session.run([x[:2]])
    for one, other in zip(session.run([x]), first, strict=True):
        np.testing.assert_array_equal(one, other)
