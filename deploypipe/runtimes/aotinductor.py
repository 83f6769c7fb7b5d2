"""AOTInductor: the graph compiled to a shared library by torch.compile's backend, in one `.pt2` file."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deploypipe import cache, installed
from deploypipe.availability import Availability
from deploypipe.errors import DeployError, first_line
from deploypipe.runtimes import torch_archive
from deploypipe.runtimes.aoti import compiler, precision
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.torch_session import TorchSession, load_libraries, states

if TYPE_CHECKING:
    from torch import nn

    from deploypipe.capture import Program

NAME = "aotinductor"
DESCRIPTION = "AOTInductor, a compiled library for Python and C++ servers on libtorch"
ARTIFACT = "model.pt2"
PRECISIONS = precision.PRECISIONS
REFUSED = precision.REFUSED
BINDING = "torch"
DECOMPOSES = False
PORTABLE = False
PLANS_MEMORY = False
PACKAGE = "torch"
MIN_VERSION = "2.13"
EXTRA = ""

# The compiler would otherwise emit whatever the building machine has, and the bundle would die with an
# illegal instruction on an older server.
PORTABLE_ISA = {"x86_64": ("x86-64-v3", 256)}
# The compiler would otherwise count on the threads of the building process: loops take as many, or as many as there are
# and write the sums of more of them beyond the end of an array.
_ANY_THREADS = {"cpp.dynamic_threads": True}
# Sources, and what is told of them; the loader reads neither.
_LEFT_OUT = (".wrapper.cpp", ".kernel.cpp", ".kernel_metadata.json")


def available() -> Availability:
    """Needs a C++ compiler to lower; running a bundle does not."""
    if not (shutil.which("g++") or shutil.which("clang++")):
        return Availability(False, "There is no C++ compiler. Run `apt-get install g++`.")
    return Availability(True)


def version() -> str | None:
    """Returns the installed version."""
    return installed.version(PACKAGE)


def prepare(module: nn.Module, form: Form) -> nn.Module:
    """Puts layers with 8-bit weights in the place of those that have such a form."""
    from deploypipe.runtimes.quantized_forms import quantized_forms

    return quantized_forms(module, form)


def lower(program: Program, form: Form, artifact: Path) -> Lowered:
    """Compiles the exported graph; weights lie inside the package.

    Raises:
        DeployError: The precision cannot be had for this model, or the compiler fails.
    """
    import torch

    _keep_its_cache()
    exported = precision.graph(program, form)
    march, width = PORTABLE_ISA.get(platform.machine(), (None, None))
    kept = precision.Kept()
    options = compiler.options() | precision.options(form, kept) | _ANY_THREADS
    if march:
        options |= {"cpp.march": march, "cpp.simdlen": width}
    try:
        with torch.no_grad(), _folder_of_its_own():
            torch._inductor.aoti_compile_and_package(exported, package_path=str(artifact), inductor_configs=options)
    except Exception as error:
        raise DeployError(
            f"The model cannot be compiled by AOTInductor: {first_line(error)}",
            "Replace what the text names, or build for another runtime.",
        ) from error
    torch_archive.compress(artifact, _LEFT_OUT)
    found = precision.found(kept, exported, [layer.name for layer in program.layers])
    return Lowered({"instruction_set": march or platform.machine()}, states(program, form, found))


def load(artifact: Path, libraries: Sequence[Path], threads: int | None = None) -> TorchSession:
    """Loads a compiled package."""
    import torch

    load_libraries(libraries)
    try:
        return TorchSession(torch._inductor.aoti_load_package(str(artifact)), threads)
    except RuntimeError as error:
        raise DeployError(
            f"{artifact.name} does not load in torch {torch.__version__}: {first_line(error)}",
            "Build the bundle again.",
        ) from error


@contextmanager
def _folder_of_its_own() -> Iterator[None]:
    """Gives what is generated a folder that no other process writes into.

    In inductor's cache its names come from the code alone: two models of one architecture, compiled at the same time,
    pack each other's files while they are being written.
    """
    import torch

    with (
        tempfile.TemporaryDirectory() as folder,
        torch._inductor.config.patch({"aot_inductor.output_path": folder}),
    ):
        yield


def _keep_its_cache() -> None:
    """Moves inductor's own cache out of the system's folder for temporary files, unless the user chose another."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    variable = "TORCHINDUCTOR_CACHE_DIR"
    # Whatever imports inductor writes its default there.
    if os.environ.get(variable) in {None, default_cache_dir()}:
        os.environ[variable] = str(cache.root() / "inductor")
