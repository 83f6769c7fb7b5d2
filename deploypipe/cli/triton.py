"""`export-triton`."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath

from rich.markup import escape

from deploypipe.cli import view


def export(bundle: Path, repository: Path, mount: str) -> None:
    """Writes a bundle into a model repository and says how to start Triton on it."""
    from deploypipe.triton.repository import export as write

    exported = write(bundle, repository, PurePosixPath(mount))
    view.out().print(escape(str(exported.place)), soft_wrap=True)
    config = exported.config
    settings = [f"{name}={_paths(value)}" for name, value in config.environment.items()]
    command = " ".join([*settings, "tritonserver", f"--model-repository={shlex.quote(mount)}"])
    view.out().print(escape(f"It needs {config.needs}. In its container, with the repository at {mount}:"))
    view.out().print(f"  {command}", soft_wrap=True, markup=False, highlight=False)


def _paths(value: str) -> str:
    """Writes a list of paths for a shell, which is to replace the one that is a variable."""
    return ":".join(path if path.startswith("$") else shlex.quote(path) for path in value.split(":"))
