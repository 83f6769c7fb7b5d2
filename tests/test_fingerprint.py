"""Digests: equal for equal content in every process, and different for whatever changes an answer."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe.fingerprint import UnknownContentError, digest, file_digest, sources_digest


def layer(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.1))


def changed(change: Callable[[Any], object]) -> torch.nn.Module:
    module = layer()
    with torch.no_grad():
        change(module)
    return module


def test_equal_modules_have_equal_digests() -> None:
    assert digest(layer()) == digest(layer())


@pytest.mark.parametrize(
    "change",
    [
        lambda module: module[0].weight[0, 0].add_(1e-7),
        lambda module: setattr(module[1], "p", 0.2),
        lambda module: module.append(torch.nn.ReLU()),
        lambda module: setattr(module[0], "bias", None),
        lambda module: module[0].register_buffer("extra", torch.zeros(1)),
        lambda module: module.double(),
        lambda module: module.register_forward_hook(lambda _module, _inputs, output: output + 1),
        lambda module: module.register_forward_pre_hook(lambda _module, inputs: inputs),
    ],
    ids=["weight", "setting", "layer", "bias", "buffer", "dtype", "hook", "pre-hook"],
)
def test_whatever_changes_an_answer_changes_the_digest(change: Callable[[Any], object]) -> None:
    assert digest(changed(change)) != digest(layer())


def adding(number: float) -> Callable[[float], float]:
    return lambda x: x + number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        (b"1", "1"),
        (None, "None"),
        (["ab"], ["a", "b"]),
        ([[1], [2]], [[1, 2]]),
        ({"a": 1}, {"a": 2}),
        (Path("a"), "a"),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(1, "int32"), np.zeros(1, "float32")),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.float32, torch.float64),
        (adding(1), adding(2)),
        (functools.partial(adding, 1), functools.partial(adding, 2)),
        (torch.nn.ReLU, torch.nn.GELU),
        (torch.tanh, torch.sigmoid),
    ],
)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    assert digest(one) == digest(one)
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2, 3}, {3, 2, 1}),
        (torch.zeros(2, 3).T, torch.zeros(3, 2)),
        (adding(1), adding(1)),
    ],
)
def test_order_and_layout_without_meaning_do_not_count(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


def recursive() -> Callable[[int], int]:
    def count(n: int) -> int:
        return count(n - 1) if n else 0

    return count


def cyclic() -> torch.nn.Module:
    module = layer()
    vars(module)["all"] = [module]
    return module


@pytest.mark.parametrize(
    "value", [object(), iter([]), recursive(), cyclic()], ids=["object", "iterator", "fn", "module"]
)
def test_content_that_cannot_be_told_is_an_error_that_callers_expect(value: Any) -> None:
    with pytest.raises(UnknownContentError):
        digest(value)


def test_a_function_without_a_source_file_has_no_known_content() -> None:
    """As in a notebook or at the prompt."""
    namespace: dict[str, Any] = {}
    exec(compile("def evaluate(predict): return 1.0", "<stdin>", "exec"), namespace)
    namespace["evaluate"].__module__ = "__main__"
    with pytest.raises(UnknownContentError, match="not on disk"):
        digest(namespace["evaluate"])


FILES = {
    "net.py": "from helpers import scaled\nclass Net:\n    def forward(self, x): return scaled(x)\n",
    "helpers.py": "import factors\ndef scaled(x): return factors.FACTOR * x\n",
    "factors.py": "FACTOR = 2\n",
    "unrelated.py": "",
}
PRINT = "import net, unrelated; from deploypipe.fingerprint import digest; print(digest(net.Net))"


def in_process(folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", PRINT], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_model_counts_with_the_files_that_its_own_file_imports(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    first = in_process(tmp_path)
    (tmp_path / "unrelated.py").write_text("CHANGED = True\n")
    assert in_process(tmp_path) == first
    (tmp_path / "factors.py").write_text("FACTOR = 3\n")
    assert in_process(tmp_path) != first


def test_a_file_counts_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_sources_of_a_part_are_part_of_all() -> None:
    assert sources_digest("capture") == sources_digest("capture")
    assert len({sources_digest(), sources_digest("capture"), sources_digest("spec.py")}) == 3
