"""What is measured inside Python, each part in a fresh process: `python -m deploypipe.profile.parts PART ...`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploypipe.errors import DeployError
from deploypipe.profile.receipt import Operators, Scenario

# Seconds that a part takes at most: TorchScript and AOTInductor load for seconds, a scenario runs for some.
_PATIENCE = 300


def operators(bundle: Path, out: Path, name: str) -> Operators:
    """Finds out where the time of a bundle goes, in a fresh process.

    Args:
        bundle: Its folder.
        out: Receives the trace.
        name: Of the trace, without its ending.

    Raises:
        DeployError: The runtime tells no times, or the process failed.
    """
    return Operators.model_validate_json(_run("operators", str(bundle), str(out), name))


def scenario(bundle: Path, name: str, seconds: float, threads: int) -> Scenario:
    """Runs a scenario of MLPerf LoadGen, in a fresh process.

    Args:
        bundle: Its folder.
        name: Of the scenario.
        seconds: That it lasts.
        threads: Of one run of the model.

    Raises:
        DeployError: LoadGen is not installed, or the process failed.
    """
    return Scenario.model_validate_json(_run("scenario", str(bundle), name, str(seconds), str(threads)))


def _run(*words: str) -> str:
    command = [sys.executable, "-m", "deploypipe.profile.parts", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise DeployError(f"It took more than {_PATIENCE} s") from None
    if done.returncode == 0:
        return done.stdout.splitlines()[-1]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    raise DeployError(lines[-1].removesuffix(".") if lines else f"Its process ended with {done.returncode}")


def main(words: Sequence[str]) -> None:
    """Runs a part and prints it as one line of JSON."""
    part, bundle, *rest = words
    try:
        found = _operators(Path(bundle), *rest) if part == "operators" else _scenario(Path(bundle), *rest)
    except DeployError as error:
        sys.exit(str(error))
    print(f"\n{found.model_dump_json()}")


def _operators(bundle: Path, out: str, name: str) -> Operators:
    from deploypipe.profile import operators as profiling

    return profiling.profile(bundle, Path(out), name)


def _scenario(bundle: Path, name: str, seconds: str, threads: str) -> Scenario:
    from deploypipe.profile import scenarios

    return scenarios.run(bundle, name, float(seconds), int(threads))


if __name__ == "__main__":
    main(sys.argv[1:])
