"""`export-triton`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rich.markup import escape

from deploypipe.cli import view


def export(bundle: Path, repository: Path, mount: str) -> None:
    """Writes a bundle into a model repository and says how to start Triton on it."""
    from deploypipe.triton.repository import export as write

    exported = write(bundle, repository, PurePosixPath(mount))
    view.out().print(escape(str(exported.place)), soft_wrap=True)
    config = exported.config
    settings = [f"{name}={value}" for name, value in config.environment.items()]
    command = " ".join([*settings, "tritonserver", f"--model-repository={mount}"])
    view.out().print(f"It needs {config.needs}. In its container, with the repository at {mount}:")
    view.out().print(f"  {command}", soft_wrap=True, markup=False, highlight=False)
