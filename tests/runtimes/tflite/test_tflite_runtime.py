"""The runtime tflite-runtime: what it lowers, what it keeps out, and a bundle from end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import ModelSpec, environments, installed
from deploypipe.errors import DeployError
from deploypipe.runtimes import Form, tflite_runtime
from deploypipe.runtimes.protocol import Lowered
from deploypipe.runtimes.tflite import compact, convert
from deploypipe.runtimes.tflite.legacy_process import LegacyProcess

from . import files

MISREAD = files.quantized(files.dense(), files.dynamic(8, "CHANNELWISE"))
# The gate looks at operators and types; that these shapes do not go together, the runtime finds itself.
UNFIT = files.operator("SUB", [(files.FLOAT, (2,)), (files.FLOAT, (3,))], (3,))


def program(*ops: str) -> Any:
    return SimpleNamespace(facts=SimpleNamespace(ops=ops))


def converts_to(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Has the converter return a file; returns how it is asked."""
    asked: list[bool] = []

    def lower(program: object, form: Form, legacy: bool = False) -> convert.File:
        asked.append(legacy)
        return convert.File(content, Lowered({"batch": "any"}))

    monkeypatch.setattr(convert, "lower", lower)
    return asked


def test_a_file_that_passes_is_written(legacy: LegacyProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = converts_to(files.dense(), monkeypatch)
    lowered = tflite_runtime.lower(program("deploypipe::lltm"), Form(decomposed=True), tmp_path / "model.tflite")
    assert asked == [True]
    assert lowered.notes == {"batch": "any"}
    assert (tmp_path / "model.tflite").read_bytes() == compact.written(files.dense())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MISREAD, r"would fail on this file or misread it\. FULLY_CONNECTED 'out' ignores the scales of 'constant_1'"),
        (UNFIT, "does not load in tflite-runtime: .*broadcast"),
    ],
)
def test_a_file_that_does_not_is_refused(
    content: bytes, said: str, legacy: LegacyProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converts_to(content, monkeypatch)
    with pytest.raises(DeployError, match=said):
        tflite_runtime.lower(program(), Form(), tmp_path / "model.tflite")


def test_there_are_no_kernels_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"the model has deploypipe::lltm\. .*build for the runtime litert"):
        tflite_runtime.lower(program("deploypipe::lltm"), Form(decomposed=False), tmp_path / "model.tflite")


def test_it_is_available_with_its_environment_and_extra(
    legacy: LegacyProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tflite_runtime.available().ok
    assert installed.version("tflite-runtime") is None
    assert tflite_runtime.version() == "2.14.0"
    monkeypatch.setenv("DEPLOYPIPE_ENVIRONMENTS", str(tmp_path))
    assert "Run `deploypipe runtimes install tflite-runtime`" in tflite_runtime.available().reason
    assert tflite_runtime.version() is None
    with pytest.raises(DeployError, match="The environment of tflite-runtime is not installed"):
        tflite_runtime.python()


def test_its_probe_notices_packages_that_do_not_work_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: LegacyProcess, content: bytes | None = None) -> dict[str, str]:
        raise DeployError("_ARRAY_API not found")

    found = environments.find(tflite_runtime.ENVIRONMENT)
    assert found
    assert dict(tflite_runtime.ENVIRONMENT.probe(found.python)) == dict(found.versions)
    monkeypatch.setattr(LegacyProcess, "probe", refused)
    with pytest.raises(DeployError, match="_ARRAY_API"):
        tflite_runtime.ENVIRONMENT.probe(found.python)


@pytest.mark.slow
def test_a_bundle_is_built_verified_and_loaded(
    own_cache: Path, plain: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    spec = plain()
    (bundle,) = deploypipe.build(spec, out=tmp_path / "dist", runtimes=["tflite-runtime"])
    assert bundle.manifest.verdict
    assert bundle.manifest.verdict.passed
    assert bundle.manifest.runtime.built_with == "2.14.0"
    model = deploypipe.load(bundle.path)
    for rows in (5, 1, 3):
        x = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
        np.testing.assert_allclose(model(x)[0], reference(spec, x), rtol=1e-4, atol=1e-5)


def reference(spec: ModelSpec, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import torch

    with torch.no_grad():
        found: np.ndarray[Any, Any] = spec.module(torch.from_numpy(x)).numpy()
    return found
