"""How a bundle is started on a device, again and again, each time in a fresh process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploypipe.bundle.manifest import Manifest
from deploypipe.bundle.retarget import retarget
from deploypipe.devices import emulator
from deploypipe.devices.device import Device
from deploypipe.errors import DeployError
from deploypipe.native import sdk
from deploypipe.profile import bench, libraries, worker
from deploypipe.profile.bench import Bench, Ran
from deploypipe.profile.facts import Subject
from deploypipe.target import BROWSER, this_platform


@dataclass(frozen=True)
class Lane:
    """A bundle that is ready to be started on a device.

    Attributes:
        device: Where.
        subject: What.
        command: Words before the options.
        in_python: Why it runs in Python and not in `dp-bench`, or an empty string.
    """

    device: Device
    subject: Subject
    command: tuple[str, ...]
    in_python: str = ""

    def run(self, how: Bench) -> Ran:
        """Starts a process with the bundle.

        Raises:
            VerdictError: The bundle did not pass its verdict there.
            DeployError: It does not load or run there.
            LostDeviceError: The device went away.
        """
        finished = self.device.run((*self.command, *how.words()), how.patience)
        return bench.parse(finished, self.subject.facts.name)


def lane(device: Device, platform: str, subject: Subject, folder: Path) -> Lane:
    """Brings a bundle to a device.

    Args:
        device: Where it is to run.
        platform: Of the device.
        subject: The bundle.
        folder: Empty, for what has to be made for that platform.

    Raises:
        DeployError: It cannot run there; the text says why.
        LostDeviceError: The device went away.
    """
    manifest = subject.manifest
    if manifest.platform == BROWSER:
        raise DeployError("The bundle is for browsers", "Its page measures it: `deploypipe embed`.")
    here = device.config.transport == "local" and platform == this_platform()
    if here and (why := _in_python(device, manifest.runtime.name)):
        return Lane(device, subject, worker.command(subject.path), why)
    bundle = subject.path if platform == manifest.platform else retarget(subject.path, platform, folder)
    place = _Here() if here else _There(device)
    tree = _tree(device, platform, manifest)
    words = [place.tree(tree), place.folder(bundle, f"bundles/{subject.facts.name}")]
    return Lane(device, subject, (*words, *_library(device, platform, manifest, place)))


def _in_python(device: Device, runtime: str) -> str:
    """Returns why `dp-bench` cannot open bundles of a runtime on this machine, or an empty string."""
    if device.config.bench:
        return ""
    if runtime not in sdk.BACKENDS:
        return f"the SDK has no backend for {runtime}"
    try:
        lack = sdk.build().lacks.get(runtime)
    except DeployError as error:
        return error.message
    return lack.what if lack else ""


def _tree(device: Device, platform: str, manifest: Manifest) -> Path:
    """Returns the SDK for a platform, which must open bundles of that runtime."""
    if device.config.bench:
        return Path(device.config.bench)
    made = sdk.build(platform)
    runtime = manifest.runtime.name
    if runtime in made.backends:
        return made.folder
    lack = made.lacks.get(runtime)
    raise lack.error() if lack else DeployError(f"The SDK has no backend for {runtime}", "Build for another runtime.")


def _library(device: Device, platform: str, manifest: Manifest, place: _Here | _There) -> tuple[str, ...]:
    """Returns the options that name the library of the runtime."""
    runtime = manifest.runtime.name
    if named := device.config.runtimes.get(runtime):
        return "--runtime-library", named
    found = libraries.installed(runtime) if isinstance(place, _Here) else _to_be_copied(runtime, platform)
    return ("--runtime-library", place.file(found, f"runtimes/{runtime}")) if found else ()


def _to_be_copied(runtime: str, platform: str) -> Path | None:
    """Returns the library of a runtime that is one file, for another machine."""
    if platform == this_platform() and runtime in _ALONE:
        return libraries.installed(runtime)
    if platform == emulator.PLATFORM and runtime in _ALONE:
        return emulator.runtime_library(runtime)
    raise DeployError(
        f"There is no library of {runtime} here that could be copied to a device of {platform}",
        f"Name where it lies there: runtimes = {{ {runtime} = PATH }} in devices.toml.",
    )


# Runtimes that are one file.
_ALONE = ("onnxruntime", "litert")


class _Here:
    """Files of this machine, which are used where they are."""

    def tree(self, tree: Path) -> str:
        return str(tree / sdk.BENCH)

    def folder(self, path: Path, _name: str) -> str:
        return str(path)

    def file(self, path: Path, _folder: str) -> str:
        return str(path)


@dataclass(frozen=True)
class _There:
    """Files that are copied to a device, under names of its own folder."""

    device: Device

    def tree(self, tree: Path) -> str:
        self.device.push({f"sdk/{name}": path for name, path in sdk.bench_files(tree).items()})
        return f"sdk/{sdk.BENCH}"

    def folder(self, path: Path, name: str) -> str:
        self.device.push({f"{name}/{each.relative_to(path)}": each for each in path.rglob("*") if each.is_file()})
        return name

    def file(self, path: Path, folder: str) -> str:
        self.device.push({f"{folder}/{path.name}": path})
        return f"{folder}/{path.name}"
