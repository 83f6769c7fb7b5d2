"""The SDK for 64-bit ARM, in the emulator: the verdict passes there, and the outputs are those of this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from . import emulated
from .running import WITH, WITHOUT, Program, assert_alike, golden, of_zoo, runtime_library

pytestmark = pytest.mark.slow

FORMS = [
    ("onnxruntime", None, WITH),
    ("onnxruntime", None, WITHOUT),
    ("litert", False, WITH),
    ("litert", True, WITHOUT),
]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return emulated.program(tmp_path_factory.mktemp("board"))


@pytest.mark.parametrize(("runtime", "decomposed", "form"), FORMS)
def test_it_gives_what_this_machine_does(
    program: Program, there: Program, tmp_path: Path, runtime: str, decomposed: bool | None, form: str
) -> None:
    bundle = of_zoo("lltm", runtime, tmp_path, decomposed)
    expected = program.run(bundle, runtime_library(runtime), form)
    found = there.run(emulated.bundle_for_it(bundle, tmp_path), emulated.runtime_library(runtime), form)
    assert found.verdict, found.error
    assert found.verdict["passed"]
    assert all(check["what"].startswith(form) for check in found.verdict["checks"])
    like = [array for case in golden(bundle)[1] for array in case.outputs.values()]
    assert_alike(found.arrays(like), expected.arrays(like))


def test_a_bundle_of_this_machine_is_refused(there: Program, tmp_path: Path) -> None:
    bundle = of_zoo("lltm", "onnxruntime", tmp_path)
    refused = there.run(bundle, emulated.runtime_library("onnxruntime"))
    assert refused.status == 3
    assert "this is linux-aarch64" in refused.error


def test_the_bench_verifies_and_marks_its_runs(there: Program, tmp_path: Path) -> None:
    """The emulator's log of system calls has one mark before each measured run, and one after the last."""
    bundle = emulated.bundle_for_it(of_zoo("lltm", "onnxruntime", tmp_path), tmp_path)
    qemu, *options = there.launcher
    bench = [str(there.tree / "bin" / "dp-bench"), str(bundle), "--verify", "--mark", "--runs", "3", "--warm-up", "1"]
    library = str(emulated.runtime_library("onnxruntime"))
    command = [qemu, "-strace", *options, *bench, "--runtime-library", library]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in events] == [
        "opened",
        "verdict",
        "first",
        "settled",
        *["sample"] * 3,
        "done",
    ]
    assert events[1]["passed"]
    assert done.stderr.count("write(777,") == 4
