"""`verify`, `inspect`, `run` and `zip`: what can be done with a bundle that is there."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from deploypipe.cli import view
from deploypipe.errors import DeployError, VerdictError, first_line

if TYPE_CHECKING:
    from deploypipe.bundle.manifest import Manifest, Verdict


def verify(paths: Sequence[Path], key: Path | None, as_json: bool) -> None:
    """Verifies bundles in processes of their own; the test set is not part of a bundle, so scores are not run.

    Args:
        paths: Folders or zips.
        key: The public key of who must have signed them, or None.
        as_json: Prints JSON.

    Raises:
        DeployError: A bundle is damaged or not signed so; the others are verified all the same.
    """
    from deploypipe.bundle.verify import verify as verify_bundle

    verdicts: dict[str, Any] = {}
    damaged: list[DeployError] = []
    for path in paths:
        try:
            finding = verify_bundle(path, key=key)
        except DeployError as error:
            damaged.append(error)
            verdicts[str(path)] = {"passed": False, "damaged": error.message}
            continue
        verdicts[str(path)] = finding.verdict.model_dump() | {"paths": finding.paths}
        if not as_json:
            _verdict(str(path), finding.verdict)
    if as_json:
        view.print_json(verdicts)
    for each in damaged[:-1]:
        view.error(each.message, each.cure)
    if damaged:
        raise damaged[-1]
    if not all(found["passed"] for found in verdicts.values()):
        raise typer.Exit(VerdictError.exit_code)


def inspect(path: Path, as_json: bool) -> None:
    """Prints a manifest, after checking the files."""
    from deploypipe.bundle import archive

    with archive.opened(path) as (_, manifest):
        pass
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
    with load(path) as model:
        results = model.run(_arrays(inputs))
    try:
        _save(output, results)
    except OSError as error:
        raise DeployError(f"{output} cannot be written: {error.strerror}", "Choose another --output.") from None
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in results.items())
    view.out().print(escape(f"{shapes} -> {output}"))


def pack(path: Path, file: Path) -> None:
    """Writes a bundle as a zip; on an error nothing is written."""
    from deploypipe.bundle import archive

    archive.pack_zip(path, file)
    view.out().print(escape(f"{path} -> {file}, {view.size(file.stat().st_size)}"), soft_wrap=True)


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

    descriptor, name = tempfile.mkstemp(suffix=".npz", dir=output.parent)
    try:
        # Not with savez, whose own arguments take names that an output may have.
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for key, array in results.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
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
        *_layers(manifest),
        *(("input", info.describe()) for info in manifest.inputs),
        *(("output", info.describe()) for info in manifest.outputs),
        *(("axis", f"{name}: {axis.min} to {axis.max}") for name, axis in manifest.axes.items()),
        *(("processing", text) for text in manifest.processing.describe()),
        *(("budget", text) for text in manifest.budgets.describe()),
        *(("custom op", f"{op.name}: {op.path} {op.library or op.reason}") for op in manifest.ops),
        *(("file", f"{name}, {view.size(size)}") for name, size in manifest.sizes.items()),
        *(("note", f"{name}: {text}") for name, text in runtime.notes.items()),
    ]
    view.table("", ["", ""], [(name, escape(text)) for name, text in rows])


def _layers(manifest: Manifest) -> list[tuple[str, str]]:
    """Counts the layers by precision, and says of each that stayed float why it did."""
    if manifest.request.precision == "fp32" or not manifest.layers:
        return []
    counts = Counter(layer.precision for layer in manifest.layers)
    told = ", ".join(f"{count} {precision}" for precision, count in counts.most_common())
    floats = [layer for layer in manifest.layers if layer.precision == "fp32"]
    reasons = [f"{layer.name or 'the model itself'} ({layer.kind}): {layer.reason}" for layer in floats]
    return [("layers", told), *(("float layer", reason) for reason in reasons)]
