"""`ops list`, `ops build` and `ops new`."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from deploypipe import native
from deploypipe.cli import view
from deploypipe.errors import DeployError


def show(as_json: bool) -> None:
    """Prints the ops of the project."""
    description = native.describe(native.library("torch"))
    if as_json:
        view.print_json(description)
        return
    rows = [
        (op["name"], "torch, training only" if op["training"] else "every runtime", escape(op["signature"]))
        for op in description["ops"]
    ]
    view.table("", ["op", "runs in", "signature"], rows)


def build(directory: Path | None, platform: str | None) -> None:
    """Builds the op libraries of a directory, and says for which runtimes that is not possible here.

    Raises:
        DeployError: It is possible for none.
    """
    source = native.source(directory) if directory else native.PROJECT
    built: dict[str, Path] = {}
    failed: dict[str, DeployError] = {}
    for binding in native.BINDINGS:
        try:
            with view.progress().status(f"building {source.namespace} for {binding}"):
                built[binding] = native.library(binding, source, platform)
        except DeployError as error:
            failed[binding] = error
    if not built:
        raise failed[native.BINDINGS[0]]
    rows = [(binding, escape(str(path))) for binding, path in built.items()]
    rows += [(binding, f"[yellow]not built:[/] {escape(str(error))}") for binding, error in failed.items()]
    view.table("", ["runtime", "library"], rows)


def new(name: str) -> None:
    """Writes the skeleton of an op into the current folder."""
    from deploypipe.oplib import skeleton

    files = skeleton.write(name, Path.cwd())
    for path in files:
        view.out().print(str(path.relative_to(Path.cwd())))
    view.out().print(f"\nNow run `pytest {name}`, then change {name}/{name}.h and {name}/{name}.py to your op.")
