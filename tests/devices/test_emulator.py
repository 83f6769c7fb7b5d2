"""Emulated processors: a program finds there what the real one has, no more, and its instructions are counted."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from deploypipe import cache
from deploypipe.devices import emulator
from deploypipe.errors import DeployError
from deploypipe.native import compile as compiling
from deploypipe.native import toolchain

# Bits of AT_HWCAP in Linux's asm/hwcap.h that processors of these tests have.
BITS = {
    0: "fp",
    1: "asimd",
    3: "aes",
    4: "pmull",
    5: "sha1",
    6: "sha2",
    7: "crc32",
    8: "atomics",
    9: "fphp",
    10: "asimdhp",
    11: "cpuid",
    12: "asimdrdm",
    15: "lrcpc",
    16: "dcpop",
    20: "asimddp",
}
ASKS = r"""
#include <stdio.h>
#include <sys/auxv.h>
int main() {
  unsigned long number;
  asm("mrs %0, midr_el1" : "=r"(number));
  printf("%lu %lu\n", getauxval(AT_HWCAP), number);
  FILE* file = fopen("/proc/cpuinfo", "r");
  for (int letter; (letter = fgetc(file)) != EOF;) putchar(letter);
}
"""
# A dot product of bytes, which ARMv8.2 brought.
DOT = 'int main() { asm(".arch armv8.2-a+dotprod\\n sdot v0.4s, v1.16b, v2.16b"); }'
# Each turn of the loop is two instructions.
MARKS = r"""
#include <unistd.h>
static void turn(long times) { asm volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(times)); }
int main() {
  write(777, "", 0);
  for (int i = 1; i <= 4; ++i) {
    turn(i * 1000);
    write(777, "", 0);
  }
  return 3;
}
"""


def run(folder: Path, source: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Compiles a program, and runs it behind some words."""
    program = folder / "program"
    compiler = compiling.compiler_path(emulator.PLATFORM)
    subprocess.run([compiler, "-x", "c", "-", "-o", str(program)], input=source, text=True, check=True)
    return subprocess.run([*words, str(program)], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("cpu", emulator.CPUS)
def test_a_program_finds_one_processor_wherever_it_looks(tmp_path: Path, cpu: str) -> None:
    asked = run(tmp_path, ASKS, *emulator.launcher(cpu, tmp_path)).stdout.splitlines()
    features, number = map(int, asked[0].split())
    told = dict(line.replace("\t", "").split(": ") for line in asked[1:])
    assert told["Features"].split() == [BITS[bit] for bit in range(64) if features >> bit & 1]
    assert int(told["CPU implementer"], 16) == number >> 24 & 0xFF
    assert int(told["CPU variant"], 16) == number >> 20 & 0xF
    assert int(told["CPU part"], 16) == number >> 4 & 0xFFF
    assert int(told["CPU revision"]) == number & 0xF


def test_an_instruction_that_came_later_ends_a_program(tmp_path: Path) -> None:
    assert run(tmp_path, DOT, *emulator.launcher("cortex-a53", tmp_path)).returncode == -4  # SIGILL
    assert run(tmp_path, DOT, *emulator.launcher("cortex-a76", tmp_path)).returncode == 0


def test_instructions_between_marks_are_counted_one_by_one(tmp_path: Path) -> None:
    """Each part has 2000 instructions more than the one before it; a comma in a path is no end of it."""
    file = tmp_path / "a,b"
    assert run(tmp_path, MARKS, *emulator.launcher("cortex-a53", tmp_path, str(file))).returncode == 3
    before, *parts = map(int, file.read_text().split())
    assert before > 10_000
    assert [later - earlier for earlier, later in itertools.pairwise(parts)] == [2000] * 3


def test_an_unknown_processor_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"'cortex-a73' cannot be emulated\. Did you mean 'cortex-a7"):
        emulator.launcher("cortex-a73", tmp_path)
    with pytest.raises(DeployError, match="'max' cannot be emulated"):
        emulator.launcher("max", tmp_path)


def test_a_machine_without_the_emulator_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert emulator.available().ok
    monkeypatch.setattr(toolchain, "tool", lambda _: None)
    assert emulator.available().reason.endswith("Install it, for example with apt: qemu-user.")
    with pytest.raises(DeployError, match=r"No cortex-a53 can be emulated here\. The emulator qemu-aarch64 is not"):
        emulator.launcher("cortex-a53", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_emulator_that_cannot_count_says_which_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "version", lambda: "qemu 10.0.13")
    assert emulator.launcher("cortex-a53", tmp_path)
    with pytest.raises(DeployError, match=r"does not work in qemu 10\.0\.13\. Use QEMU 8 or older"):
        emulator.launcher("cortex-a53", tmp_path, "counts")


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_the_library_of_a_runtime_is_for_that_processor(runtime: str) -> None:
    assert emulator.runtime_library(runtime).read_bytes()[18:20] == b"\xb7\x00"  # EM_AARCH64


def test_a_runtime_without_a_library_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is no library of executorch for linux-aarch64 that works without"):
        emulator.runtime_library("executorch")
    monkeypatch.setattr(cache, "root", lambda: tmp_path)
    with pytest.raises(DeployError, match="Run 'scripts/arm64', which downloads it"):
        emulator.runtime_library("litert")
