"""Runs bundles by small programs over the C API, on this machine and in the emulator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deploypipe
from deploypipe import zoo
from deploypipe.bundle import integrity
from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import GOLDEN, Check, Manifest
from deploypipe.native import toolchain
from deploypipe.parity import normalized_error
from deploypipe.runtimes.tflite import c_api
from deploypipe.tensors import Case, load_cases

Array = np.ndarray[Any, Any]

WITH, WITHOUT = "with op library", "without op library"


def runtime_library(runtime: str) -> Path:
    """Returns the shared library of a runtime that is installed here."""
    if runtime == "litert":
        return c_api.library_path()
    name, place = {
        "onnxruntime": ("onnxruntime", "capi/libonnxruntime.so.*"),
        "aotinductor": ("torch", "lib/libtorch_cpu.so"),
    }[runtime]
    package = toolchain.package_folder(name, None)
    assert package
    return next(package.glob(place))


def of_zoo(model: str, runtime: str, out: Path, decomposed: bool | None = None) -> Path:
    """Returns a bundle of a trained model."""
    return Path(deploypipe.build(zoo.spec(model), out=out, runtimes=[runtime], decomposed=decomposed)[0].path)


def relist(bundle: Path, **changes: Any) -> None:
    """Writes the manifest anew for the files that are there now."""
    digests, sizes = integrity.listing(bundle)
    update = {"files": digests, "sizes": sizes, **changes}
    manifests.write(manifests.read(bundle).model_copy(update=update), bundle)


@dataclass(frozen=True)
class Ran:
    """What the program said of a bundle.

    Attributes:
        status: A dp_status, 0 where all went well.
        error: One sentence and its cure.
        verdict: The JSON of the verdict, None where there is none.
        outputs: The bytes of the outputs of all golden vectors.
    """

    status: int
    error: str
    verdict: dict[str, Any] | None
    outputs: bytes

    def arrays(self, like: Sequence[Array]) -> Iterator[Array]:
        """Yields the outputs, which have these dtypes and shapes."""
        assert sum(array.nbytes for array in like) == len(self.outputs) > 0
        start = 0
        for array in like:
            yield np.frombuffer(self.outputs, array.dtype, array.size, start).reshape(array.shape)
            start += array.nbytes


@dataclass(frozen=True)
class Program:
    """tests/sdk/outputs.c, built with an installed SDK.

    Attributes:
        file: The program.
        tree: The SDK.
        launcher: What stands before the program where it is for another machine.
    """

    file: Path
    tree: Path
    launcher: tuple[str, ...] = ()

    @classmethod
    def build(cls, folder: Path, tree: Path, compiler: str, launcher: Sequence[str] = ()) -> Program:
        """Compiles it with the C compiler that belongs to a C++ compiler."""
        file, source = folder / "outputs", Path(__file__).parent / "outputs.c"
        command = [compiler, "-x", "c", str(source), "-x", "none", f"-I{tree / 'include'}", f"-L{tree / 'lib'}"]
        flags = ["-ldeploypipe", "-Wall", "-Werror", "-Wl,--allow-shlib-undefined", f"-Wl,-rpath,{tree / 'lib'}"]
        subprocess.run([*command, *flags, "-o", str(file)], check=True)
        return cls(file, tree, tuple(launcher))

    def run(self, bundle: Path, library: Path | None, form: str = WITH) -> Ran:
        """Verifies and runs a bundle."""
        out = self.file.with_suffix(".out")
        out.unlink(missing_ok=True)
        words = [str(bundle), str(library or ""), str(out), *(["without"] if form == WITHOUT else [])]
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        command = [*self.launcher, str(self.file), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode >= 0, f"it crashed: {done}"
        verdict = json.loads(done.stdout) if done.stdout else None
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith(("INFO:", "ERROR:")))
        return Ran(done.returncode, said, verdict, out.read_bytes() if out.exists() else b"")


def host_program(folder: Path, tree: Path) -> Program:
    """Builds the program for this machine."""
    compiler = toolchain.compiler()
    assert compiler
    return Program.build(folder, tree, compiler)


def golden(bundle: Path) -> tuple[Manifest, list[Case]]:
    """Returns the manifest and the golden vectors of a bundle."""
    manifest = manifests.read(bundle)
    return manifest, load_cases(bundle / GOLDEN, manifest.inputs, manifest.outputs)


def assert_same_verdict(ran: Ran, bundle: Path, form: str) -> None:
    """Asserts that a verdict is the one that Python gave when it verified that form of the bundle."""
    verdict = manifests.read(bundle).verdict
    assert verdict
    assert ran.verdict, ran.error
    expected = [check for check in verdict.checks if check.what.startswith(f"{form}, ")]
    found = [Check(**check) for check in ran.verdict["checks"]]
    assert expected
    assert [_judged(each) for each in found] == [_judged(each) for each in expected]
    assert [each.value for each in found] == pytest.approx([each.value for each in expected], rel=1e-2, abs=1e-7)
    assert (ran.verdict["passed"], ran.verdict["failures"]) == (True, [])


def _judged(check: Check) -> tuple[object, ...]:
    return check.what, check.output, check.metric, check.limit, check.passed


def assert_same_outputs(ran: Ran, bundle: Path, form: str) -> None:
    """Asserts that the outputs for the golden vectors are those of `deploypipe.load`."""
    expected = list(_outputs(bundle, form))
    assert_alike(ran.arrays(expected), expected)


def _outputs(bundle: Path, form: str) -> Iterator[Array]:
    model = deploypipe.load(bundle, native=form == WITH or not manifests.read(bundle).libraries())
    for case in golden(bundle)[1]:
        yield from model.run(case.inputs).values()


def assert_alike(found: Iterable[Array], expected: Iterable[Array]) -> None:
    """Asserts that outputs are equal, and those of floats within rounding."""
    for got, wanted in zip(found, expected, strict=True):
        if wanted.dtype.kind == "f":
            assert normalized_error(got, wanted) <= 1e-6
        else:
            np.testing.assert_array_equal(got, wanted)
