"""What the generic ExecuTorch binding does. In fresh processes: a wrong registration would abort them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploypipe import native

RUN = """
import ctypes, sys, torch
from executorch.exir import to_edge
from executorch.extension.pybindings import _portable_lib as runtime

ours, mine, ours_et, mine_et = sys.argv[1:]
torch.ops.load_library(ours), torch.ops.load_library(mine)
ops = torch.ops

class Model(torch.nn.Module):
    def forward(self, x):
        low, at = ops.mine.pool(ops.mine.square(x), 3, 2, 1.5)
        return ops.deploypipe.square(x), low, at

batch = torch.export.Dim("B", min=1, max=64)
program = torch.export.export(Model(), (torch.rand(17, 9),), dynamic_shapes=({0: batch},))
data = to_edge(program).to_executorch().buffer
for library in (ours_et, mine_et, ours_et):
    ctypes.CDLL(library)
names = [name for name in runtime._get_operator_names() if name.startswith(("deploypipe", "mine"))]
hashes = [f"cws{kind}" for kind in ("", "_codes", "_dense", "_generated", "_sparse")]
ops_of = {"deploypipe": (*hashes, "lltm", "lltm_int8", "lltm_packed", "square"), "mine": ("pool", "square")}
assert sorted(names) == [f"{space}::{op}.out" for space in ops_of for op in ops_of[space]], names
model = runtime._load_for_executorch_from_buffer(data)
for size in (1, 2, 64):
    x = torch.rand(size, 9)
    for got, expected in zip(model.forward((x,)), Model()(x), strict=True):
        assert got.dtype == expected.dtype and torch.equal(got, expected)
print("equal")
"""

# A copy of the library would register every name a second time, which the runtime answers with an abort.
TWICE = """
import ctypes, sys
import torch
from executorch.extension.pybindings import _portable_lib as runtime
for library in sys.argv[1:]:
    ctypes.CDLL(library)
print(sum(name.startswith("deploypipe::") for name in runtime._get_operator_names()))
"""


def run(script: str, *arguments: Path) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_two_libraries_in_one_model(mine: native.OpSource) -> None:
    paths = [
        native.library(binding, source) for binding in ("torch", "executorch") for source in (native.PROJECT, mine)
    ]
    assert run(RUN, *paths) == "equal"


def test_a_second_copy_does_no_harm(tmp_path: Path) -> None:
    library = native.library("executorch")
    copy = tmp_path / "copy.so"
    copy.write_bytes(library.read_bytes())
    assert run(TWICE, library, copy) == "9"
