"""The pipeline's side of the process that runs a bundle."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from deploypipe import environments
from deploypipe.bundle.clock import Span
from deploypipe.bundle.frames import Frame, receive, send
from deploypipe.errors import DeployError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

KEPT_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "OMP_NUM_THREADS")


class WorkerError(DeployError):
    """The bundle did not load or did not run in its own process."""

    exit_code = 1


class Worker:
    """A fresh process with one bundle in it.

    The process is isolated from this one's folder, environment and caches. Leaving the context ends it.
    """

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle.resolve()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        home = {
            "HOME": self._folder.name,
            "DEPLOYPIPE_CACHE": str(Path(self._folder.name) / "cache"),
            # Part of the runtime, as its packages are.
            "DEPLOYPIPE_ENVIRONMENTS": str(environments.root().resolve()),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "deploypipe.bundle.worker", str(self._bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder.name,
            env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | home,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream:
                stream.close()
        self._folder.cleanup()

    def run(self, inputs: Sequence[Array], native: bool = True) -> tuple[Array, ...]:
        """Runs the bundle once.

        Raises:
            WorkerError: It does not load or run, or its process died.
        """
        return tuple(self._ask(Frame({"command": "run", "native": native}, inputs)).arrays)

    def op_paths(self, inputs: Sequence[Array], ops: Sequence[str], native: bool = True) -> dict[str, str]:
        """Finds out what executes each custom op; see `Session.op_paths`."""
        answer = self._ask(Frame({"command": "paths", "native": native, "ops": list(ops)}, inputs))
        return dict(answer.facts["paths"])

    def time(self, inputs: Sequence[Array], span: Span) -> list[float]:
        """Runs the bundle again and again, each run timed in its process, after one that is not.

        Returns:
            Milliseconds of each run.

        Raises:
            WorkerError: It does not load or run, or its process died.
        """
        answer = self._ask(Frame({"command": "time", "native": True, "span": dataclasses.asdict(span)}, inputs))
        return [float(each) for each in answer.arrays[0] / 1e6]

    def _ask(self, request: Frame) -> Frame:
        if self._process.stdin is None or self._process.stdout is None:
            raise WorkerError("The process of the bundle has no pipes")
        try:
            send(self._process.stdin, request)
            answer = receive(self._process.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise WorkerError(self._death())
        if "error" in answer.facts:
            raise WorkerError(answer.facts["error"], answer.facts["cure"])
        return answer

    def _death(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"The process that ran the bundle {how}{': ' + lines[-1] if lines else ''}"
