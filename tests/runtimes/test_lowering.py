"""Lowering: what each artifact must keep of its model, and what is said where that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deploypipe import ModelSpec, runtimes
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError
from deploypipe.ops import CWS, LLTM


def program(folder: Path, module: torch.nn.Module, *inputs: torch.Tensor, **fields: Any) -> Program:
    spec = resolve(ModelSpec("m", module, inputs, **fields))
    capture(spec, 64, folder)
    return Program.load(spec, folder)


def test_an_onnx_file_gives_the_same_answers_in_plain_onnxruntime(tmp_path: Path) -> None:
    """One file, with a function body for each custom op, and no library of ours."""
    import onnx
    import onnxruntime

    module = LLTM(3, 2)
    captured = program(
        tmp_path, module, torch.rand(4, 2, 3), input_names=["x"], dynamic_axes={"x": {0: "time", 1: "batch"}}
    )
    (tmp_path / "out").mkdir()
    artifact = tmp_path / "out" / "model.onnx"
    runtimes.get("onnxruntime").lower(captured, runtimes.Form(), artifact)

    assert list(artifact.parent.iterdir()) == [artifact]
    model = onnx.load(artifact)
    assert [(node.domain, node.op_type) for node in model.graph.node if node.domain] == [("deploypipe", "lltm_packed")]
    assert [(function.domain, function.name) for function in model.functions] == [("deploypipe", "lltm_packed")]
    assert [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim] == ["time", "batch", ""]

    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    for size in ((1, 1, 3), (9, 30, 3)):
        x = torch.rand(size)
        with torch.no_grad():
            expected, _ = module(x)
        np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["onnxruntime", "torchscript"])
def test_the_batch_stays_dynamic_beyond_the_exported_size(tmp_path: Path, name: str) -> None:
    module = torch.nn.Conv2d(1, 2, 3)
    runtime = runtimes.get(name)
    runtime.lower(program(tmp_path, module, torch.rand(2, 1, 6, 6)), runtimes.Form(), tmp_path / runtime.ARTIFACT)
    session = runtime.load(tmp_path / runtime.ARTIFACT, [])
    for batch in (1, 3, 64):
        x = torch.rand(batch, 1, 6, 6)
        np.testing.assert_allclose(session.run([x.numpy()])[0], module(x).detach().numpy(), atol=1e-5)


def test_torchscript_has_no_decomposed_form(tmp_path: Path) -> None:
    captured = program(tmp_path, CWS(3, 4), torch.rand(2, 3))
    with pytest.raises(DeployError, match="TorchScript has no decomposed form"):
        runtimes.get("torchscript").lower(captured, runtimes.Form(decomposed=True), tmp_path / "model.pt")


def fails(*_: Any, **__: Any) -> Any:
    raise TypeError("an operator is not known")


@pytest.mark.parametrize(
    ("name", "home", "function"),
    [
        ("torchscript", torch.jit, "trace"),
        ("aotinductor", torch._inductor, "aoti_compile_and_package"),
        ("onnxruntime", torch.onnx, "export"),
    ],
)
def test_a_compiler_that_fails_is_an_error_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, home: Any, function: str
) -> None:
    captured = program(tmp_path, torch.nn.ReLU(), torch.rand(2, 3))
    monkeypatch.setattr(home, function, fails)
    with pytest.raises(DeployError, match="an operator is not known") as caught:
        runtimes.get(name).lower(captured, runtimes.Form(), tmp_path / "artifact")
    assert "another runtime" in caught.value.cure


@pytest.mark.parametrize("name", runtimes.NAMES)
@pytest.mark.parametrize("write", [lambda path: path.write_bytes(b"not a model"), lambda path: path.touch()])
def test_a_file_that_is_no_artifact_is_an_error_with_a_cure(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    runtime = runtimes.get(name)
    artifact = tmp_path / runtime.ARTIFACT
    write(artifact)
    with pytest.raises(DeployError, match=f"{artifact.name} does not load in") as caught:
        runtime.load(artifact, [])
    assert caught.value.cure
