"""Instructions that an inference takes on an emulated processor, and whether the outputs are right there."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from deploypipe.bundle import manifest as manifests
from deploypipe.bundle.manifest import Verdict
from deploypipe.bundle.retarget import retarget
from deploypipe.devices import emulator
from deploypipe.devices.local import Local
from deploypipe.errors import DeployError
from deploypipe.native import sdk
from deploypipe.profile import bench
from deploypipe.profile.bench import Ran
from deploypipe.profile.receipt import BundleFacts, Instructions, Receipt

_PATIENCE = 600.0
_COUNTS = "counts"
# The runs after the first one that are not told: caches of the runtime fill up.
_UNTOLD = 2


def profile(bundle: Path, facts: BundleFacts, cpu: str) -> Receipt:
    """Verifies a bundle on an emulated processor, and counts its instructions.

    Args:
        bundle: A folder; its op libraries may be for another platform.
        facts: What stands in the receipt.
        cpu: One of `emulator.CPUS`.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            emulator.launcher(cpu, Path(folder), _COUNTS)
            emulator.runtime_library(facts.runtime)
            ready = retarget(bundle, emulator.PLATFORM, Path(folder) / "bundle")
        except DeployError as error:
            return Receipt(bundle=facts, status="declined", reason=str(error))
        try:
            found, verdict = count(ready, cpu)
        except DeployError as error:
            return Receipt(bundle=facts, status="failed", reason=str(error))
    return Receipt(bundle=facts, status="measured", verdict=verdict, instructions=found)


def count(bundle: Path, cpu: str, runs: int = 5) -> tuple[Instructions, Verdict]:
    """Counts the instructions of inferences in one thread, of the golden vector with the fewest numbers.

    Args:
        bundle: A bundle for 64-bit ARM Linux.
        cpu: One of `emulator.CPUS`.
        runs: Inferences that are counted.

    Returns:
        The instructions, and the verdict of the golden vectors on that processor.

    Raises:
        VerdictError: The bundle does not pass its verdict there.
        DeployError: It does not load or run there, uses an instruction that the processor does not have, or something
            that the emulator needs is missing.
    """
    with closing(Local("")) as place:
        process = _Bench(place, _placed(place, bundle), cpu, manifests.read(bundle).model)
        verdict = process.run(["--runs", "1", "--verify"]).verdict
        # In a process of its own: its load is not that of the verdict.
        process.run(["--runs", str(_UNTOLD + runs), "--mark"], _COUNTS)
        load, *each = _counts(place.folder / _COUNTS)
    assert verdict, "--verify gives one"
    told = Instructions(emulator=emulator.version(), cpu=cpu, load=load, per_inference=tuple(each[_UNTOLD:]))
    return told, verdict


def _placed(place: Local, bundle: Path) -> tuple[str, ...]:
    """Copies all that runs, and returns the command.

    The names are always the same: longer ones shift what a runtime allocates, which changes the instructions of an
    inference in ONNX Runtime by up to 0.2 %.
    """
    tree, runtime = sdk.tree(emulator.PLATFORM), manifests.read(bundle).runtime.name
    files = {f"sdk/{name}": path for name, path in sdk.bench_files(tree).items()}
    files |= {f"bundle/{path.relative_to(bundle)}": path for path in bundle.rglob("*") if path.is_file()}
    place.push(files | {"runtime.so": emulator.runtime_library(runtime)})
    return f"sdk/{sdk.BENCH}", "bundle", "--runtime-library", "runtime.so", "--warm-up", "0"


@dataclass(frozen=True)
class _Bench:
    """`dp-bench` with a bundle on an emulated processor.

    Attributes:
        place: Where all of it lies.
        command: The words that every process has.
        cpu: The processor.
        model: Its name, for errors.
    """

    place: Local
    command: tuple[str, ...]
    cpu: str
    model: str

    def run(self, options: Sequence[str], counts: str | None = None) -> Ran:
        """Runs a process in an empty environment, since what it reads of that would be counted."""
        launcher = emulator.launcher(self.cpu, self.place.folder, counts)
        finished = self.place.run(["env", "-i", *launcher, *self.command, *options], _PATIENCE)
        if finished.crash == "SIGILL":
            raise DeployError(
                f"{self.model} uses an instruction that a {self.cpu} does not have",
                "Build what it runs for an older instruction set.",
            )
        return bench.parse(finished, self.model)


def _counts(file: Path) -> list[int]:
    """Reads the instructions before the first mark, and from each to the next."""
    return [int(line) for line in file.read_text().split()]
