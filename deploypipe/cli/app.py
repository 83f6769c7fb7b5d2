"""The commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="deploypipe",
    help="From a trained PyTorch model with custom ops to verified bundles for server, laptop and mobile.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
ops_app = typer.Typer(help="Custom ops: list them, build their libraries, begin a new one.", no_args_is_help=True)
app.add_typer(ops_app, name="ops")
runtimes_app = typer.Typer()
app.add_typer(runtimes_app, name="runtimes")
sdk_app = typer.Typer(help="The C SDK that runs bundles inside an app.", no_args_is_help=True)
app.add_typer(sdk_app, name="sdk")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Data = Annotated[str, typer.Option(help="Data set: digits or fashion-mnist.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder with a copy of the data; otherwise it is downloaded.")]


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and all output.")] = False) -> None:
    """Options of every command; `--debug` itself is read before the line is parsed."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what is installed, what each runtime can do here, and why not."""
    from deploypipe.cli import catalog

    catalog.doctor(as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the models that come with the project."""
    from deploypipe.cli import catalog

    catalog.models(as_json)


@app.command()
def targets(as_json: Json = False) -> None:
    """List the targets that come with the project."""
    from deploypipe.cli import catalog

    catalog.targets(as_json)


@app.command()
def devices(
    config: Annotated[Path | None, typer.Option(help="File with devices; devices.toml of this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Probe the devices that a profile can measure on: what they are, or why they cannot be reached."""
    from deploypipe.cli import devices

    devices.show(config, as_json)


@runtimes_app.callback(invoke_without_command=True)
def runtimes(context: typer.Context, as_json: Json = False) -> None:
    """List the runtimes and whether they can be used here, or install one that needs an environment of its own."""
    if context.invoked_subcommand is None:
        from deploypipe.cli import catalog

        catalog.runtimes(as_json)


@runtimes_app.command("install")
def install_runtime(
    name: Annotated[
        str,
        typer.Argument(help="tflite-runtime, which needs an older numpy, or model-signing, which signs bundles."),
    ],
    force: Annotated[bool, typer.Option(help="Replace the environment that is there.")] = False,
) -> None:
    """Install a runtime, or what signs bundles, into an environment of its own, and probe it."""
    from deploypipe.cli import environments

    environments.install(name, force)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="A name of `deploypipe models`.")],
    data: Data = "digits",
    data_dir: DataDir = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data; the recipe's by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order and split.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Checkpoint to write; MODEL.safetensors by default.")] = None,
) -> None:
    """Train a model of the project and write its checkpoint."""
    from deploypipe.cli import building

    building.train(model, data, data_dir, epochs, seed, out or Path(f"{model}.safetensors"))


@app.command()
def build(
    model: Annotated[list[str], typer.Argument(help="Names of `deploypipe models`, or path/to/file.py:function.")],
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for a model of the project.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="A target's name or TOML file; may be repeated.")] = None,
    runtime: Annotated[list[str] | None, typer.Option(help="Only this runtime; may be repeated.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of `--runtime` without `--target`; fp32.")] = None,
    decomposed: Annotated[
        bool | None,
        typer.Option("--decomposed/--native", help="Custom ops by reference or kernel; as the runtime prefers."),
    ] = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder that receives the bundles.")] = Path("dist"),
    force: Annotated[bool, typer.Option(help="Run every stage, whatever is cached.")] = False,
) -> None:
    """Build, verify and deliver bundles: for targets, or with --runtime alone for this machine."""
    from deploypipe.cli import building

    choice = building.Choice(model, checkpoint, target or [], runtime or [], precision, decomposed, data, data_dir)
    building.build(choice, out, force)


@app.command()
def compress(
    model: Annotated[str, typer.Argument(help="A name of `deploypipe models`, or path/to/file.py:function.")],
    target: Annotated[list[str] | None, typer.Option(help="A target's name or TOML file; may be repeated.")] = None,
    runtime: Annotated[list[str] | None, typer.Option(help="Only this runtime; may be repeated.")] = None,
    accuracy_drop: Annotated[
        float | None, typer.Option(min=0, help="Points of the score that may be lost; the target's limit.")
    ] = None,
    size_mb: Annotated[float | None, typer.Option(min=0, help="Largest artifact, in MB of 1,000,000 bytes.")] = None,
    p90_ms: Annotated[
        float | None, typer.Option(min=0, help="Largest p90 of one inference; by default nothing slower than fp32.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Settings to measure for each artifact.")] = 12,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Trials at the same time.")] = 2,
    executor: Annotated[str, typer.Option(help="Who runs the trials: processes, or ray.")] = "processes",
    checkpoint: Annotated[Path | None, typer.Option(help="Weights for a model of the project.")] = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder that receives the bundles.")] = Path("dist"),
) -> None:
    """Search for the smallest form of a model that keeps its budgets, and deliver it for each artifact of a target."""
    from deploypipe.cli import building, compressing

    choice = building.Choice([model], checkpoint, target or [], runtime or [], None, None, data, data_dir)
    asked = compressing.Asked(accuracy_drop, size_mb, p90_ms, trials, seed, workers, executor)
    compressing.compress(choice, asked, out)


@app.command()
def verify(
    bundle: Annotated[list[Path], typer.Argument(help="Folders with a manifest.json, or zips of them.")],
    key: Annotated[Path | None, typer.Option(help="Public key of who must have signed them, a PEM file.")] = None,
    as_json: Json = False,
) -> None:
    """Check bundles again: files, golden vectors in a fresh process, and the path of each custom op."""
    from deploypipe.cli import bundles

    bundles.verify(bundle, key, as_json)


@app.command()
def inspect(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json, or a zip of it.")], as_json: Json = False
) -> None:
    """Show what a bundle holds and what was found when it was verified."""
    from deploypipe.cli import bundles

    bundles.inspect(bundle, as_json)


@app.command()
def run(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json, or a zip of it.")],
    inputs: Annotated[Path, typer.Option("--input", help="An .npz with one array per input.")],
    output: Annotated[Path, typer.Option("--output", help="The .npz to write, one array per output.")],
) -> None:
    """Run a bundle once on arrays from a file."""
    from deploypipe.cli import bundles

    bundles.run(bundle, inputs, output)


@app.command()
def profile(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles, zips of them, or folders that hold some.")],
    device: Annotated[
        list[str] | None, typer.Option(help="A name of `deploypipe devices`; this machine; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that receives the report.")] = Path("report"),
    config: Annotated[Path | None, typer.Option(help="Other devices than those of ./devices.toml.")] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Starts of each bundle, in turn with all others.")] = 10,
    runs: Annotated[int, typer.Option(min=1, help="Samples of a start, at most.")] = 500,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of the samples of a start, at most.")] = 0.5,
    threads: Annotated[int, typer.Option(min=1, help="Of one run.")] = 1,
    sustained: Annotated[float, typer.Option(min=0, help="Seconds of a run without rest, for each bundle.")] = 0,
    scenario_seconds: Annotated[
        float, typer.Option(min=0, help="Of each scenario of MLPerf, for bundles of the server target; 0 for none.")
    ] = 3,
    resume: Annotated[bool, typer.Option(help="Go on with a profile that was interrupted or lost a device.")] = False,
) -> None:
    """Measure bundles on devices: latency with its noise, memory, where the time goes; and write the report."""
    from deploypipe.cli import profiling
    from deploypipe.profile.receipt import Protocol

    protocol = Protocol(rounds=rounds, runs=runs, seconds=seconds, threads=threads, sustained_s=sustained)
    profiling.profile(bundles, device or [], config, out, protocol, scenario_seconds, resume)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="A report.json of `deploypipe profile`, or its folder.")],
    new: Annotated[Path, typer.Argument(help="The same of another build, measured with the same options.")],
    margin: Annotated[float, typer.Option(min=0, help="Percent by which a figure may grow.")] = 5,
    as_json: Json = False,
) -> None:
    """Compare two reports; the exit code is 1 only where something grew beyond the margin, without doubt."""
    from deploypipe.cli import comparing

    comparing.compare(old, new, margin, as_json)


@app.command("zip")
def zip_bundle(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json.")],
    file: Annotated[Path, typer.Argument(help="The zip to write.")],
) -> None:
    """Write a bundle as one file, for an app to carry; the same bundle gives the same bytes."""
    from deploypipe.cli import bundles

    bundles.pack(bundle, file)


@app.command()
def sign(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json.")],
    key: Annotated[Path, typer.Option(help="Private key, a PEM file without a password.")],
) -> None:
    """Sign a bundle, so that `verify --key` tells whether it is still what its maker made."""
    from deploypipe.cli import signing

    signing.sign(bundle, key)


@app.command()
def embed(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json, or a zip of it.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for the project.")],
    kind: Annotated[str, typer.Option("--for", help="cpp, python, browser, android or ios.")],
) -> None:
    """Write a ready project with a bundle inside, which verifies it where it runs."""
    from deploypipe.cli import embed as embedding

    embedding.embed(bundle, kind, folder)


@app.command("export-triton")
def export_triton(
    bundle: Annotated[Path, typer.Argument(help="Folder with a manifest.json, or a zip of it.")],
    folder: Annotated[Path, typer.Argument(help="Model repository; the model becomes a folder in it.")],
    mount: Annotated[str, typer.Option(help="Where Triton sees the repository.")] = "/models",
) -> None:
    """Write a bundle as a model of NVIDIA's Triton Inference Server."""
    from deploypipe.cli import triton

    triton.export(bundle, folder, mount)


@ops_app.command("list")
def list_ops(as_json: Json = False) -> None:
    """List the project's ops with their signatures."""
    from deploypipe.cli import ops

    ops.show(as_json)


@ops_app.command("build")
def build_ops(
    source: Annotated[Path | None, typer.Option(help="Directory of your own ops; the project's by default.")] = None,
    platform: Annotated[str | None, typer.Option(help="Build for another platform, such as linux-aarch64.")] = None,
) -> None:
    """Build the op libraries ahead of time, one for each runtime."""
    from deploypipe.cli import ops

    ops.build(source, platform)


@ops_app.command("new")
def new_op(name: Annotated[str, typer.Argument(help="Of the op, its namespace and its directory.")]) -> None:
    """Write the skeleton of an op of your own: C++ struct, Python OpSpec, test."""
    from deploypipe.cli import ops

    ops.new(name)


@sdk_app.command("install")
def install_sdk(
    folder: Annotated[Path, typer.Argument(help="Receives include, lib and bin.")],
    platform: Annotated[str | None, typer.Option(help="Build for another platform, such as linux-aarch64.")] = None,
) -> None:
    """Build the C SDK with every backend that can be built here, and install it into a folder."""
    from deploypipe.cli import sdk

    sdk.install(folder, platform)
