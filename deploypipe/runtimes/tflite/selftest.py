"""A test of an op library for LiteRT, in a process of its own, before it is trusted.

LiteRT's binary interface is known to the project by its own account only: one that is wrong in some version must end
in an error, not in a crash or in wrong numbers. Every library has an op for that (csrc/bindings/litert.cpp).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import cache, fingerprint, installed, native
from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite import c_api, call_model

if TYPE_CHECKING:
    from deploypipe.runtimes.tflite.compiled import CompiledModel

_SECONDS = 60
_PASSED = "passed\n"


def check(library: Path) -> None:
    """Runs the self-test of a library, unless this content has passed it with the LiteRT that is installed.

    Raises:
        DeployError: The library crashes, or gives wrong numbers, or LiteRT is not installed.
    """
    c_api.library_path()
    version = installed.version(c_api.DISTRIBUTION)
    key = fingerprint.digest(fingerprint.file_digest(library), version, fingerprint.sources_digest("runtimes/tflite"))
    stamp = cache.folder("litert-selftest") / key
    if stamp.exists():
        return
    if reason := _failure(library):
        raise DeployError(
            f"The op library {library.name} fails its self-test in LiteRT {version}: {reason}",
            "Build the bundle again, with the version of ai-edge-litert that deploypipe names.",
        )
    stamp.touch()


def _failure(library: Path) -> str:
    """Returns what goes wrong in the other process, or an empty text."""
    command = [sys.executable, "-I", "-m", __spec__.name if __spec__ else __name__, str(library.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"it does not end within {_SECONDS} seconds"
    if done.returncode < 0:
        return f"it crashes ({signal.Signals(-done.returncode).name})"
    if done.stdout.endswith(_PASSED):  # its exit status alone may be a library's doing
        return ""
    said = done.stderr.strip().splitlines() if done.returncode else []
    return said[-1].rstrip(".") if said else "it ends before the test does"


def model(namespace: str) -> bytes:
    """Writes a model that calls the op for the self-test twice, with other attributes, once on its own outputs."""
    code = f"custom_call.{namespace}.__selftest"
    return call_model.write(
        {
            "x": ("float32", (2, 3)),
            "at": ("int64", (2,)),
            "x_between": ("float32", (3, 2)),
            "at_between": ("int64", (3,)),
            "turned": ("float32", (2, 3)),
            "moved": ("int64", (5,)),
        },
        [
            call_model.Call(f"{code};scale=0.1", ["x", "at"], ["x_between", "at_between"]),
            call_model.Call(f"{code};scale=-3e-05;step=2", ["x_between", "at_between"], ["turned", "moved"]),
        ],
        ["x", "at"],
        ["turned", "moved"],
    )


def run(library: Path) -> None:
    """Runs the self-test in this process.

    Raises:
        DeployError: Something goes wrong, other than a crash.
    """
    from deploypipe.runtimes.tflite.compiled import CompiledModel

    namespace = native.describe(library)["namespace"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "selftest.tflite"
        path.write_bytes(model(namespace))
        with CompiledModel.open(path, [library]) as opened:
            for rows in (2, 1, 17, 2):
                _compare(opened, rows)
            _expect_refusal(opened)


def _compare(opened: CompiledModel, rows: int) -> None:
    import numpy as np

    x = np.linspace(-2, 3, rows * (rows + 1), dtype=np.float32).reshape(rows, rows + 1)
    at = np.arange(rows) + 2**40
    turned, moved = opened.run([x, at])
    _equal(turned, x * np.float32(0.1) * np.float32(-3e-05))
    _equal(moved, np.concatenate([[-1, -1, -1], at]))


def _equal(found: Any, expected: Any) -> None:
    import numpy as np

    if found.dtype != expected.dtype or not np.array_equal(found, expected):
        raise DeployError("It gives wrong numbers")


def _expect_refusal(opened: CompiledModel) -> None:
    """Asserts that an error of a kernel arrives: the second call does not fit these sizes."""
    import numpy as np

    try:
        opened.run([np.ones((2, 2), np.float32), np.ones(2, np.int64)])
    except DeployError as error:
        if "__selftest: at dimension 0" in str(error):
            return
    raise DeployError("It takes what does not fit")


def main() -> int:
    """Runs the self-test of the library that is named on the command line."""
    try:
        run(Path(sys.argv[1]))
    except DeployError as error:
        print(error.message, file=sys.stderr)
        return 1
    sys.stdout.write(_PASSED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
