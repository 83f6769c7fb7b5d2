"""A server answers only when its bundle has proved itself on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks import serving
from tests.bundle import damage

from .conftest import X, inside, tensor, verified

INFER = "/v2/models/plain/infer"


@pytest.fixture
def lying(onnx_bundle: Path) -> Path:
    """A bundle whose golden outputs are not what the model says."""
    path = onnx_bundle / "golden.safetensors"
    save_file({name: array + np.float32("outputs" in name) for name, array in load_file(path).items()}, path)
    damage.mend(onnx_bundle)
    return onnx_bundle


def test_before_the_verdict_it_lives_but_is_not_ready(onnx_bundle: Path) -> None:
    from fastapi.testclient import TestClient
    from server.app import create
    from server.service import Service, Settings

    client = TestClient(create(Service(Settings(onnx_bundle))))  # not entered, so nothing has started
    assert client.get("/v2/health/live").status_code == 200
    ready, model = client.get("/v2/health/ready"), client.get("/v2/models/plain/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})
    assert (model.status_code, model.json()) == (503, {"name": "plain", "ready": False})
    answer = client.post(INFER, json={"inputs": [tensor(X)]})
    assert (answer.status_code, "still verifying" in answer.json()["error"]) == (503, True)


def test_a_bundle_that_fails_is_never_ready(lying: Path) -> None:
    with inside(lying) as client:
        said = verified(client)
        assert said["ready"] is False
        assert "normalized_error" in said["error"]
        answer = client.post(INFER, json={"inputs": [tensor(X)]})
        assert answer.status_code == 503
        assert "failed its verification on this machine: y: normalized_error" in answer.json()["error"]
        assert 'deploypipe_verdict_passed{model="plain"} 0.0' in client.get("/metrics").text


def test_a_bundle_that_passes_is_ready(onnx_bundle: Path) -> None:
    with inside(onnx_bundle, sessions=2) as client:
        assert verified(client) == {"ready": True}
        assert 'deploypipe_verdict_passed{model="plain"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bundle: damage.flip(bundle / "model.onnx"), "SHA-256 differs"),
        (lambda bundle: (bundle / "manifest.json").unlink(), "is not a bundle"),
    ],
)
def test_a_damaged_bundle_does_not_start(onnx_bundle: Path, change: Callable[[Path], None], said: str) -> None:
    change(onnx_bundle)
    command = [sys.executable, "-m", "server", "--bundle", str(onnx_bundle), "--port", "0"]
    done = subprocess.run(command, cwd=serving.APP, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
