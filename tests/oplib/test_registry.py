"""The registry of op libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import deploypipe.ops
from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.oplib import registry
from deploypipe.oplib.registry import OpLibrary


def test_the_project_is_registered() -> None:
    library = registry.get("deploypipe")
    assert library is deploypipe.ops.LIBRARY
    assert library in registry.libraries()
    assert {"square", "lltm", "lltm_packed", "cws", "cws_dense"} <= {spec.name for spec in library.specs}


@pytest.mark.parametrize("name", ["deploypipe::lltm", "deploypipe::lltm.default", "deploypipe::lltm.out"])
def test_a_torch_op_leads_to_its_spec(name: str) -> None:
    found = registry.for_torch_op(name)
    assert found is not None
    assert found[0].namespace == "deploypipe"
    assert found[1].name == "lltm"


@pytest.mark.parametrize("name", ["aten::add.Tensor", "deploypipe::lltm_backward", "deploypipe::nothing", "lltm"])
def test_other_ops_lead_nowhere(name: str) -> None:
    assert registry.for_torch_op(name) is None


def test_an_unknown_namespace_is_an_error() -> None:
    with pytest.raises(DeployError, match=r"no op library 'deploypip'.*deploypipe"):
        registry.get("deploypip")


def test_a_taken_namespace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="namespace 'deploypipe' is taken"):
        registry.register(OpLibrary(native.OpSource(tmp_path, "deploypipe"), ()))


def test_the_registry_imports_nothing_heavy() -> None:
    code = "import sys, deploypipe.oplib.registry; assert not {'torch', 'numpy', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_project_is_loaded_when_it_is_asked_for() -> None:
    code = (
        "from deploypipe.oplib import registry; assert not registry.libraries(); "
        "registry.get('deploypipe'); import torch; torch.ops.deploypipe.square(torch.ones(2))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
