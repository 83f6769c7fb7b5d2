"""Our side of the process in which tflite-runtime runs files: start, ask, and what its death was."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deploypipe.errors import DeployError
from deploypipe.runtimes.tflite.legacy_worker import Message, receive, send

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PROGRAM = Path(__file__).with_name("legacy_worker.py")


class LegacyProcess:
    """A process of tflite-runtime; it ends when this object is closed or collected, and at exit.

    A crash of the runtime ends that process alone and becomes an error here. Threads may share it: they take turns.
    """

    def __init__(self, python: Path) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the process has died
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            raise DeployError(
                f"{python} cannot be started: {error.strerror}", "Install the environment again."
            ) from None
        self._turn = threading.Lock()
        self._end = weakref.finalize(self, _end, self._process, self._errors)

    @property
    def pid(self) -> int:
        """The number that the system gave the process."""
        return self._process.pid

    def close(self) -> None:
        """Ends the process."""
        self._end()

    def probe(self, content: bytes | None = None) -> dict[str, str]:
        """Has the runtime make an interpreter, of a file's content or of a small one that adds.

        Returns:
            The versions in the environment.

        Raises:
            DeployError: It cannot.
        """
        import numpy as np

        files = [] if content is None else [np.frombuffer(content, np.uint8)]
        return dict(self._ask({"command": "probe"}, files).facts["versions"])

    def load(self, path: Path, threads: int | None = None) -> dict[str, Any]:
        """Loads a file in the place of the one before.

        Returns:
            Signature to its `inputs` and `outputs`, each with `name`, `dtype` and `shape`; -1 is an open size.

        Raises:
            DeployError: The runtime refuses the file.
        """
        facts = {"command": "load", "path": str(path.resolve()), "threads": threads}
        return dict(self._ask(facts).facts["signatures"])

    def run(self, inputs: Sequence[Array], signature: str | None = None) -> tuple[Array, ...]:
        """Runs a signature of the loaded file once; None is the first.

        Raises:
            DeployError: The runtime refuses the inputs, or its process died.
        """
        return tuple(self._ask({"command": "run", "signature": signature}, inputs).arrays)

    def _ask(self, facts: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Message:
        with self._turn:
            answer = self._exchange(Message(facts, arrays))
        if "error" in answer.facts:
            raise _refusal(facts, answer.facts["error"].rstrip("."))
        return answer

    def _exchange(self, request: Message) -> Message:
        if not self._end.alive or self._process.stdin is None or self._process.stdout is None:
            raise DeployError("The process of tflite-runtime has ended", "Load the artifact again.")
        answer = None
        try:
            with contextlib.suppress(BrokenPipeError):
                send(self._process.stdin, request)
                answer = receive(self._process.stdout)
        except BaseException:  # half a message may be under way
            self.close()
            raise
        if answer is None:
            raise self._death()
        return answer

    def _death(self) -> DeployError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").splitlines()
        lines = [line.strip() for line in said if line.strip() and not line.startswith("INFO: ")]
        self.close()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = f": {lines[-1].rstrip('.')}" if lines else ""
        return DeployError(f"The process of tflite-runtime {how}{last}", "Build for the runtime litert.")


def _refusal(facts: Mapping[str, Any], reason: str) -> DeployError:
    if facts["command"] == "load":
        name = Path(facts["path"]).name
        return DeployError(f"{name} does not load in tflite-runtime: {reason}", "Build the bundle again.")
    return DeployError(f"tflite-runtime refuses the inputs: {reason}", "Keep to the sizes in the manifest.")


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, errors):
        if stream:
            with contextlib.suppress(BrokenPipeError):  # what was still to be written to it
                stream.close()
