"""`deploypipe ops`, and a model with a user's own op from the skeleton to the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Cli = Callable[..., Any]

MODEL = """
import torch
import deploypipe.ops
from deploypipe import ModelSpec

deploypipe.ops.load("soft_clip")

class Net(torch.nn.Module):
    def forward(self, x):
        return torch.ops.soft_clip.soft_clip(x, slope=0.25)

def model():
    return ModelSpec("clipped", Net(), (torch.randn(2, 4),), ["x"], ["y"])
"""


def test_the_ops_of_the_project_are_listed(cli: Cli) -> None:
    listed = json.loads(cli("ops", "list", "--json", code=0).stdout)
    assert {"square", "lltm", "cws"} <= {op["name"] for op in listed["ops"]}
    assert "square(x[...]) -> y[...]" in cli("ops", "list", code=0).stdout


def test_an_op_of_ones_own_goes_from_the_skeleton_into_a_bundle(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "work"
    written = cli("ops", "new", "soft_clip", code=0).stdout
    assert all(f"soft_clip/{name}" in written for name in ("ops.h", "soft_clip.h", "soft_clip.py", "test_soft_clip.py"))
    (home / "my.py").write_text(MODEL)
    done = cli("build", "my.py:model", "--runtime", "onnxruntime", "--runtime", "torchscript", code=0)
    assert "2 of 2 bundles" in done.stdout
    assert "soft_clip native" in done.stdout
    (home / "my.py").unlink()
    (home / "soft_clip").rename(home / "gone")
    np.savez(home / "in.npz", x=np.array([[-4, 0, 1, 2]], "float32"))
    for runtime in ("onnxruntime", "torchscript"):
        bundle = home / "dist" / "clipped" / "host" / f"{runtime}-fp32"
        cli("run", bundle, "--input", "in.npz", "--output", "out.npz", code=0)
        assert np.load(home / "out.npz")["y"].tolist() == [[-1, 0, 1, 2]]
        assert len(list((bundle / "lib").iterdir())) == 1


def test_wrong_ops_are_bad_input(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "work" / "taken").mkdir()
    assert "'Soft Clip' cannot be the name of an op" in cli("ops", "new", "Soft Clip", code=2).stderr
    assert "taken is there already" in cli("ops", "new", "taken", code=2).stderr
    assert "has no ops.h" in cli("ops", "build", "--source", "taken", code=2).stderr
    assert "'plan9-mips'" in cli("ops", "build", "--platform", "plan9-mips", code=2).stderr
