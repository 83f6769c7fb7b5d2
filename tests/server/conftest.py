"""The example server, as a process of its own and inside this one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

import deploypipe
from benchmarks import serving
from deploypipe.bundle.load import Model

sys.path.insert(0, str(serving.APP))

# Seconds that a bundle has to verify itself, and between two questions whether it has.
PATIENCE, PAUSE = 120, 0.02
X = np.array([[0.5, -1.0, 2.0, 0.25], [1.0, 2.0, 3.0, 4.0]], np.float32)


@pytest.fixture(scope="session")
def running(built_onnx: Path) -> Iterator[serving.Server]:
    """A process that serves `plain`: `x float32[batch,4] -> y float32[batch,3]`."""
    with serving.server(built_onnx) as server:
        yield server


@pytest.fixture
def http(running: serving.Server) -> Iterator[httpx.Client]:
    """A client of that process."""
    with httpx.Client(base_url=running.url) as client:
        yield client


@pytest.fixture(scope="session")
def direct(built_onnx: Path) -> Iterator[Model]:
    """The same bundle, loaded into this process."""
    with deploypipe.load(built_onnx) as model:
        yield model


def tensor(array: Any, name: str = "x", **changes: Any) -> dict[str, Any]:
    """An input in JSON, flat."""
    info = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
    return info | changes


def numbers(answer: httpx.Response, name: str = "y") -> Any:
    """An output in JSON, as an array."""
    assert answer.status_code == httpx.codes.OK, answer.text
    (output,) = [each for each in answer.json()["outputs"] if each["name"] == name]
    return np.array(output["data"], np.float32).reshape(output["shape"])


@contextmanager
def inside(bundle: Path, **settings: Any) -> Iterator[TestClient]:
    """The server inside this process; it has begun to verify its bundle."""
    from server.app import create
    from server.service import Service, Settings

    with TestClient(create(Service(Settings(bundle, **settings)))) as client:
        yield client


def verified(client: TestClient) -> dict[str, Any]:
    """Waits until the bundle has a verdict, and returns what the server says of it: ready, or why not."""
    for _ in range(int(PATIENCE / PAUSE)):
        found: dict[str, Any] = client.get("/v2/health/ready").json()
        if found != {"ready": False}:
            return found
        time.sleep(PAUSE)
    raise AssertionError(f"The bundle has no verdict after {PATIENCE} s")
