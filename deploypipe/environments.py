"""Environments of their own, for runtimes that cannot be installed beside the others.

One lies in `environments/NAME` of the cache, or in NAME of the folder that DEPLOYPIPE_ENVIRONMENTS names. It appears
by one rename after its probe has passed: a virtual environment may be moved as long as only its python is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploypipe import cache, installed
from deploypipe.errors import DeployError

STAMP = "environment.json"
Probe = Callable[[Path], Mapping[str, str]]


@dataclass(frozen=True)
class Environment:
    """What to install.

    Attributes:
        name: Its folder, and the runtime that needs it.
        requirements: Pinned, as pip takes them.
        probe: Runs the environment's python, which it is given, and returns the versions that it found; raises
            DeployError where the packages do not work together. That they can be imported proves nothing.
    """

    name: str
    requirements: tuple[str, ...]
    probe: Probe


@dataclass(frozen=True)
class Installed:
    """An environment that is there and whose probe has passed.

    Attributes:
        folder: Where it lies.
        versions: What the probe found.
    """

    folder: Path
    versions: Mapping[str, str]

    @property
    def python(self) -> Path:
        """Its interpreter, to be started with `-I`."""
        return _python(self.folder)


def root() -> Path:
    """Returns the folder of all environments."""
    own = os.environ.get("DEPLOYPIPE_ENVIRONMENTS")
    return Path(own) if own else cache.root() / "environments"


def find(environment: Environment) -> Installed | None:
    """Returns an environment without starting it, or None where it is missing, outdated or damaged."""
    folder = root() / environment.name
    try:
        stamp = json.loads((folder / STAMP).read_text())
        versions = {str(package): str(version) for package, version in stamp["versions"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    whole = stamp.get("requirements") == list(environment.requirements) and _python(folder).is_file()
    return Installed(folder, versions) if whole and _holds(folder, environment.requirements) else None


def install(environment: Environment, force: bool = False) -> tuple[Installed, bool]:
    """Installs an environment unless a good one is there; a broken one is replaced.

    Args:
        environment: What to install.
        force: Replaces a good one too.

    Returns:
        The environment, and whether it was there before.

    Raises:
        DeployError: The packages cannot be had, do not work here, or the folder cannot be written.
    """
    found = None if force else find(environment)
    if found and _works(environment, found):
        return found, True
    try:
        return _make(environment), False
    except OSError as error:
        raise DeployError(
            f"The environment of {environment.name} cannot be written to {root()}: {error.strerror}",
            "Set DEPLOYPIPE_ENVIRONMENTS to a folder that can.",
        ) from error


def cure(environment: Environment) -> str:
    """Returns the sentence that says how to install an environment."""
    return f"Run `deploypipe runtimes install {environment.name}`."


def _works(environment: Environment, found: Installed) -> bool:
    try:
        return dict(environment.probe(found.python)) == dict(found.versions)
    except DeployError:
        return False


def _make(environment: Environment) -> Installed:
    root().mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=root()))
    staging.chmod(0o755)  # others than the one who installs may use it
    try:
        _fill(staging, environment)
        return _publish(staging, environment)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(folder: Path, environment: Environment) -> None:
    here, there = [sys.executable, "-I", "-m"], str(_python(folder))
    # One more pip would take longer than all the rest. It is not looked for as a module: setuptools would then give way
    # to Python's own distutils for as long as this process lives, and torch's compilers fail on that.
    if installed.version("pip"):
        _run([*here, "venv", "--without-pip", str(folder)], environment)
        pip = [*here, "pip", "--python", there]
    else:
        _run([*here, "venv", str(folder)], environment)
        pip = [there, "-I", "-m", "pip"]
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--only-binary", ":all:"]
    _run([*pip, "install", *options, *environment.requirements], environment)
    versions = dict(environment.probe(_python(folder)))
    stamp = {"requirements": environment.requirements, "versions": versions}
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")


def _publish(staging: Path, environment: Environment) -> Installed:
    folder = root() / environment.name
    old = Path(tempfile.mkdtemp(prefix=".old-", dir=root()))
    try:
        if folder.exists():
            folder.rename(old / folder.name)
        with contextlib.suppress(OSError):  # another process was faster
            staging.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)
    made = find(environment)
    if made is None:
        raise DeployError(f"The environment of {environment.name} was changed while it was made", cure(environment))
    return made


def _run(command: Sequence[str], environment: Environment) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise _failure(environment, f"{done.stdout}\n{done.stderr}")


def _failure(environment: Environment, said: str) -> DeployError:
    what = f"The environment of {environment.name} cannot be made"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if "ensurepip is not available" in said:
        return DeployError(f"{what}: this Python makes no virtual environments", "Run `apt-get install python3-venv`.")
    if any(sign in said for sign in ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "ProxyError")):
        return DeployError(f"{what}: pip reaches no package index", "Connect, or point pip at an index: PIP_INDEX_URL.")
    if "No matching distribution found" in said:
        missing = said.partition("No matching distribution found for ")[2].split("\n")[0].split(" ")[0]
        return DeployError(
            f"{what}: the index has no wheel of {missing} for Python {version} on this machine",
            "Use a Python and a platform that it has wheels for, and an index that has it.",
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return DeployError(f"{what}: {lines[-1].rstrip('.') if lines else 'no reason was given'}", "Run it again.")


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _holds(folder: Path, requirements: Sequence[str]) -> bool:
    """Tells whether the pinned packages lie in the folder, which someone may have changed since the probe."""
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        if not any(folder.glob(f"lib/python3*/site-packages/{name.replace('-', '_')}-{version}.dist-info/METADATA")):
            return False
    return True
