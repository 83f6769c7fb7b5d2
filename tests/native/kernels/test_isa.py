"""The choice of an instruction set: by the processor, by DEPLOYPIPE_ISA, and on processors of other times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deploypipe import native

from . import million, oracle, strategies
from .calls import RECURRENT
from .harness import Emulated, Kernels
from .test_lltm import LIMIT, far

SCRIPT = """
import sys
from pathlib import Path
from deploypipe.native import Standalone
print(Standalone(Path(sys.argv[1])).isa)
"""


def chosen(wanted: str | None) -> tuple[str, str]:
    """Returns the set that a fresh process uses, and what it says on the way."""
    environment = {name: value for name, value in os.environ.items() if name != "DEPLOYPIPE_ISA"}
    environment |= {} if wanted is None else {"DEPLOYPIPE_ISA": wanted}
    command = [sys.executable, "-c", SCRIPT, str(native.library("standalone"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


def test_the_best_set_is_the_default(kernels: Kernels) -> None:
    assert chosen(None) == (kernels.isas[-1], "")
    assert chosen("") == (kernels.isas[-1], "")


def test_the_environment_chooses(kernels: Kernels) -> None:
    assert [chosen(isa) for isa in kernels.isas] == [(isa, "") for isa in kernels.isas]


def test_a_set_that_there_is_not(kernels: Kernels) -> None:
    best = kernels.isas[-1]
    said = f"deploypipe: DEPLOYPIPE_ISA=abacus is not an instruction set of this processor; using {best}\n"
    assert chosen("abacus") == (best, said)


# What the emulator runs, and the sets that such a processor has. It has no AVX-512.
PROCESSORS = {
    "qemu64": ["portable"],
    "Nehalem": ["portable"],
    "Westmere": ["portable", "sse4"],
    "SandyBridge": ["portable", "sse4"],
    "Haswell": ["portable", "sse4", "avx2"],
}


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_older_processors(kernels: Kernels, tmp_path: Path, cpu: str) -> None:
    """Nothing runs that the processor does not have: neither in the kernels nor around them."""
    old = Emulated(native.program(platform="linux-x86_64"), tmp_path, cpu, "x86_64")
    for name in ("cws_dense", "cws_codes", "cws_generated", "cws"):
        (data, *rest), attributes, _ = million.call(name)
        inputs = [data[:20], *rest]
        expected = kernels.run("portable", name, inputs, attributes)
        for isa in (None, *PROCESSORS[cpu]):
            got = old.run(isa, name, inputs, attributes, expected)
            assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True)), f"{name} on {isa}"
    for name, make in RECURRENT.items():
        inputs = make(np.random.default_rng(40), (1, 3, 9, 33))
        expected = kernels.run("portable", name, inputs)
        assert far(old.run(None, name, inputs, {}, expected), expected) < LIMIT, name
    for isa in set(kernels.isas) - set(PROCESSORS[cpu]):
        assert "does not have that set" in old.call("cws", "in", "out", isa).stderr


def test_a_set_of_newer_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known name is not enough: without the fallback the first op would end the process."""
    monkeypatch.setenv("DEPLOYPIPE_ISA", "avx2")
    old = Emulated(native.program(platform="linux-x86_64"), tmp_path, "Westmere", "x86_64")
    data, made = np.ones((2, 9), np.float32), strategies.draw_tables(np.random.default_rng(41), 20, 9)
    expected = oracle.cws(data, made)
    got = old.run(None, "cws_dense", [data, oracle.dense_table(made)], {"hashes": 20}, expected)
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
    assert "DEPLOYPIPE_ISA=avx2 is not an instruction set of this processor; using sse4" in old.call().stderr
