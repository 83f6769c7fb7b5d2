"""Receipts of emulated processors: the verdict and the same instructions each time, or why there are none."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploypipe.bundle.retarget import retarget
from deploypipe.devices import emulator
from deploypipe.errors import DeployError, VerdictError
from deploypipe.native import compile as compiling
from deploypipe.profile import instructions
from deploypipe.profile.facts import subjects
from deploypipe.profile.receipt import Receipt
from tests.bundle.damage import change_golden, edit, library, mend
from tests.sdk.running import of_zoo

pytestmark = pytest.mark.slow

# When the library is loaded: a dot product of bytes, which a Cortex-A53 does not have.
DOT = """
__attribute__((constructor)) static void start(void) {
  asm volatile(".arch armv8.2-a+dotprod\\n sdot v0.4s, v1.16b, v2.16b");
}
"""


def built_for_board(runtime: str, folder: Path) -> Path:
    bundle = of_zoo("lltm", runtime, folder / "built", decomposed=False)
    return retarget(bundle, emulator.PLATFORM, folder / "for-board")


@pytest.fixture(scope="module")
def for_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with an op library for 64-bit ARM."""
    return built_for_board("onnxruntime", tmp_path_factory.mktemp("onnxruntime"))


@pytest.fixture(scope="module")
def for_board_of_litert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_for_board("litert", tmp_path_factory.mktemp("litert"))


@pytest.fixture
def copy(for_board: Path, tmp_path: Path) -> Path:
    """The same to do with as one likes."""
    return Path(shutil.copytree(for_board, tmp_path / "copy"))


def profiled(bundle: Path, cpu: str = "cortex-a53") -> Receipt:
    with ExitStack() as stack:
        (subject,) = subjects([bundle], stack)
        return instructions.profile(subject.path, subject.facts, cpu)


@pytest.mark.parametrize("name", ["for_board", "for_board_of_litert"])
def test_two_counts_of_a_bundle_are_the_same(name: str, request: pytest.FixtureRequest) -> None:
    bundle: Path = request.getfixturevalue(name)
    once, verdict = instructions.count(bundle, "cortex-a53", runs=3)
    again, _ = instructions.count(bundle, "cortex-a53", runs=3)
    assert verdict.passed
    assert verdict.checks
    assert len(once.per_inference) == 3
    assert once.per_inference == pytest.approx(again.per_inference, rel=1e-4)  # nearly always to the digit
    assert once.load == pytest.approx(again.load, rel=1e-3)
    assert once.load
    assert once.load > max(once.per_inference) > 100_000
    assert (once.emulator, once.cpu) == (emulator.version(), "cortex-a53")


def test_a_receipt_of_a_bundle_for_this_machine_has_both(tmp_path: Path) -> None:
    """The op library is built for the processor on the way."""
    receipt = profiled(of_zoo("lltm", "litert", tmp_path, decomposed=False), "cortex-a76")
    assert (receipt.status, receipt.reason) == ("measured", "")
    assert receipt.verdict
    assert receipt.verdict.passed
    assert receipt.instructions
    assert len(receipt.instructions.per_inference) == 5
    assert not receipt.starts


def test_an_instruction_that_the_processor_lacks_is_told(copy: Path) -> None:
    compiler = compiling.compiler_path(emulator.PLATFORM)
    command = [compiler, "-x", "c", "-", "-shared", "-fPIC", "-o", str(library(copy))]
    subprocess.run(command, input=DOT, text=True, check=True)
    mend(copy)
    with pytest.raises(DeployError, match="lltm uses an instruction that a cortex-a53 does not have"):
        instructions.count(copy, "cortex-a53")


def test_outputs_that_differ_fail(copy: Path) -> None:
    change_golden(copy)
    mend(copy)
    with pytest.raises(VerdictError, match="limit"):
        instructions.count(copy, "cortex-a53")


def test_a_bundle_that_does_not_load_fails_with_what_the_sdk_says(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"no model")
    mend(copy)
    receipt = profiled(copy)
    assert receipt.status == "failed"
    assert "model.onnx does not load in ONNX Runtime" in receipt.reason


def test_a_runtime_that_is_not_there_for_arm_is_declined(copy: Path) -> None:
    edit(copy, lambda table: table["runtime"].update(name="executorch"))
    receipt = profiled(copy)
    assert receipt.status == "declined"
    assert receipt.reason.startswith("There is no library of executorch for linux-aarch64 that works without PyTorch")


def test_a_processor_that_is_not_known_is_declined(copy: Path) -> None:
    assert "'cortex-a99' cannot be emulated" in profiled(copy, "cortex-a99").reason
