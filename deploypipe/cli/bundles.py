"""`verify`, `inspect` and `run`: what can be done with a bundle that is there."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from deploypipe.cli import view
from deploypipe.errors import DeployError, VerdictError, first_line

if TYPE_CHECKING:
    from deploypipe.bundle.manifest import Manifest, Verdict


def verify(paths: Sequence[Path], as_json: bool) -> None:
    """Verifies bundles in processes of their own; the test set is not part of a bundle, so scores are not run."""
    from deploypipe.bundle.verify import verify as verify_bundle

    findings = {path: verify_bundle(path) for path in paths}
    if as_json:
        view.print_json(
            {str(path): found.verdict.model_dump() | {"paths": found.paths} for path, found in findings.items()}
        )
    else:
        for path, found in findings.items():
            _verdict(str(path), found.verdict)
    if not all(found.verdict.passed for found in findings.values()):
        raise typer.Exit(VerdictError.exit_code)


def inspect(path: Path, as_json: bool) -> None:
    """Prints a manifest, after checking the files."""
    from deploypipe.bundle import integrity

    manifest = integrity.check(path)
    if as_json:
        print(manifest.model_dump_json(indent=2))
        return
    _facts(manifest)
    for verdict in filter(None, [manifest.verdict]):
        view.out().print()
        _verdict("verdict", verdict)


def run(path: Path, inputs: Path, output: Path) -> None:
    """Runs a bundle on the arrays of an .npz file and writes another; on an error nothing is written."""
    from deploypipe.bundle.load import load

    if not inputs.is_file():
        raise DeployError(f"There is no file {inputs}", "Name an .npz file with one array per input.")
    results = load(path).run(_arrays(inputs))
    try:
        _save(output, results)
    except OSError as error:
        raise DeployError(f"{output} cannot be written: {error.strerror}", "Choose another --output.") from None
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in results.items())
    view.out().print(escape(f"{shapes} -> {output}"))


def _arrays(inputs: Path) -> dict[str, Any]:
    import numpy as np

    try:
        # Opened as a zip file first: np.load would take a lone array, or a pickle.
        with zipfile.ZipFile(inputs), np.load(inputs) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DeployError(f"{inputs} is not an .npz file: {first_line(error)}", "Write it with numpy.savez.") from None


def _save(output: Path, results: Mapping[str, Any]) -> None:
    """Writes beside the output and renames, so that a reader never sees half a file."""
    import numpy as np

    savez: Any = np.savez

    descriptor, name = tempfile.mkstemp(suffix=".npz", dir=output.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            savez(file, **results)
        Path(name).chmod(0o644)
        Path(name).replace(output)
    finally:
        Path(name).unlink(missing_ok=True)


def _verdict(title: str, verdict: Verdict) -> None:
    view.out().print(f"{view.mark(verdict.passed)} {escape(title)}")
    rows = [
        (check.what, check.output, check.metric, _number(check.value), f"{check.limit:.1e}", view.mark(check.passed))
        for check in verdict.checks
    ]
    if rows:
        view.table("", ["run", "output", "metric", "found", "limit", ""], rows)
    for failure in verdict.failures:
        view.out().print(f"[red]{escape(failure)}[/]")


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"


def _facts(manifest: Manifest) -> None:
    runtime = manifest.runtime
    rows = [
        ("model", manifest.model),
        ("target", f"{manifest.target} ({manifest.platform})"),
        (
            "runtime",
            f"{runtime.name}: {runtime.package} {runtime.min_version} or newer, made with {runtime.built_with}",
        ),
        ("precision", manifest.request.precision),
        *(("input", info.describe()) for info in manifest.inputs),
        *(("output", info.describe()) for info in manifest.outputs),
        *(("axis", f"{name}: {axis.min} to {axis.max}") for name, axis in manifest.axes.items()),
        *(("custom op", f"{op.name}: {op.path} {op.library or op.reason}") for op in manifest.ops),
        *(("file", f"{name}, {view.size(size)}") for name, size in manifest.sizes.items()),
        *(("note", f"{name}: {text}") for name, text in runtime.notes.items()),
    ]
    view.table("", ["", ""], [(name, escape(text)) for name, text in rows])
