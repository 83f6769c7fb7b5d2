"""`runtimes install`: the environment of a runtime or a tool that cannot live beside the others."""

from __future__ import annotations

import time

from rich.markup import escape

from deploypipe import environments
from deploypipe import runtimes as registry
from deploypipe.bundle import signing
from deploypipe.cli import view
from deploypipe.environments import Environment
from deploypipe.errors import DeployError


def install(name: str, force: bool) -> None:
    """Installs the environment of a runtime, or of what signs bundles, and prints where it is.

    Raises:
        DeployError: There is nothing of that name, it needs no environment, or it cannot be installed.
    """
    environment = _environment(name)
    began = time.perf_counter()
    with view.progress().status(f"installing the environment of {name}"):
        found, before = environments.install(environment, force)
    versions = ", ".join(f"{package} {version}" for package, version in found.versions.items())
    how = "is there and works" if before else f"installed in {time.perf_counter() - began:.0f} s"
    view.out().print(escape(f"{name} {how}: {versions}"))
    view.out().print(escape(str(found.folder)), soft_wrap=True)


def _environment(name: str) -> Environment:
    if name == signing.NAME:
        return signing.ENVIRONMENT
    runtime = registry.get(name)
    environment = getattr(runtime, "ENVIRONMENT", None)
    if isinstance(environment, Environment):
        return environment
    extra = f"deploypipe[{runtime.EXTRA}]" if runtime.EXTRA else "deploypipe"
    raise DeployError(f"{name} needs no environment of its own", f"Run `pip install '{extra}'`.")
