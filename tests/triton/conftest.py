"""Triton's own definition of its configuration, from its client's package."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ReadConfig = Callable[[Path], Any]


@pytest.fixture(scope="session")
def read_config() -> ReadConfig:
    """Parses a `config.pbtxt` strictly: an unknown field or value is an error."""
    text_format = pytest.importorskip("google.protobuf.text_format")
    messages = _messages()
    return lambda path: text_format.Parse(path.read_text(), messages.ModelConfig())


def _messages() -> Any:
    """Loads the file itself, since the package around it asks for gRPC."""
    package = pytest.importorskip("tritonclient")
    path = Path(package.__file__).parent / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was made for the protobuf before
        spec.loader.exec_module(module)
    return module
