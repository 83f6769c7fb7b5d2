"""Builds op libraries with CMake and ninja; a library whose inputs are unchanged is not built again."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploypipe import cache, fingerprint
from deploypipe.errors import DeployError
from deploypipe.native import toolchain
from deploypipe.native.sources import PROJECT, OpSource, digest

# Stands before the description of the ops in the bytes of every library (csrc/ops.cpp).
_MARK = b'deploypipe-ops:{"namespace"'
_ERRORS_SHOWN = 5


def library(binding: str, source: OpSource = PROJECT, platform: str | None = None) -> Path:
    """Returns the op library of a source for a runtime, building it when it is not there yet.

    Args:
        binding: The runtime: torch, onnxruntime, executorch or litert.
        source: The project's ops, or a user's.
        platform: None for this machine, or a platform that has a toolchain file.

    Raises:
        DeployError: Something that the build needs is missing, or the build failed.
    """
    return _built(toolchain.known(binding), source, platform, f"lib{source.namespace}_{binding}.so")


def program(source: OpSource = PROJECT, platform: str | None = None) -> Path:
    """Returns the program that runs one op on the tensors of a file (csrc/tools/run_op.cpp), building it if needed.

    It is linked statically, for a device or an emulator. The arguments and errors are those of `library`.
    """
    return _built(toolchain.STANDALONE, source, platform, f"{source.namespace}_run_op")


def _built(binding: str, source: OpSource, platform: str | None, file: str) -> Path:
    other = None if platform in {None, "host"} or platform == toolchain.host_platform() else platform
    if lack := toolchain.missing(binding, other, source):
        raise lack.error()
    folder, _ = _stage(binding, source, other, file)
    return folder / file


def describe(path: Path) -> dict[str, Any]:
    """Returns the description of its ops that a library of any platform carries.

    Returns:
        {"namespace": ..., "ops": [{"name", "signature", "training", "inputs", "attributes", "outputs"}]}

    Raises:
        DeployError: The file is not an op library.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}", "Give the path of an op library.") from None
    start = data.find(_MARK)
    end = data.find(b"\0", start)
    if start < 0 or end < 0:
        raise DeployError(f"{path} is not an op library", "Build it with 'deploypipe ops build'.")
    found: dict[str, Any] = json.loads(data[data.index(b"{", start) : end])
    return found


def compiler_path(platform: str | None) -> str:
    """Returns the path of the C++ compiler for a platform, None being this one."""
    found = toolchain.compiler() if platform is None else toolchain.tool(toolchain.cross_compiler(platform))
    return found or ""


def _stage(binding: str, source: OpSource, platform: str | None, file: str) -> tuple[Path, bool]:
    compiler = compiler_path(platform)
    tools = (platform, compiler, toolchain.compiler_version(compiler))
    # One tree for all runtimes and sources, so that each kernel and each binding is compiled only once.
    tree = cache.root() / "native-trees" / fingerprint.digest(str(PROJECT.directory), *tools)
    runtime = (binding, toolchain.installed_version(binding), str(_root(binding, platform)))
    key = fingerprint.digest(digest(source), file, *tools, *runtime)
    with locked(tree):
        return cache.stage("native", key, functools.partial(_make, tree, binding, source, platform, file))


def _root(binding: str, platform: str | None) -> Path | None:
    """Returns the folder that the headers of a runtime come from."""
    return toolchain.ort_headers() if binding == "onnxruntime" else toolchain.package_folder(binding, platform)


@contextlib.contextmanager
def locked(tree: Path) -> Iterator[None]:
    """Lets one process at a time work in a build tree; the others wait and then find the result."""
    tree.mkdir(parents=True, exist_ok=True)
    with (tree / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(tree: Path, binding: str, source: OpSource, platform: str | None, file: str, into: Path) -> None:
    log = tree / "build.log"
    log.write_text("")
    target = file.removeprefix("lib").removesuffix(".so")
    what = f"the op library {target}"
    cmake = toolchain.tool("cmake") or "cmake"
    configure = [cmake, "-G", "Ninja", "-S", str(PROJECT.directory), "-B", str(tree)]
    run([*configure, *_settings(binding, source, platform)], log, what)
    run([cmake, "--build", str(tree), "--target", target, "-j", str(os.cpu_count() or 1)], log, what)
    shutil.copy2(tree / file, into)


def _settings(binding: str, source: OpSource, platform: str | None) -> list[str]:
    variables = {"torch": "TORCH_ROOT", "onnxruntime": "ORT_INCLUDE_DIR", "executorch": "EXECUTORCH_ROOT"}
    settings = {
        "CMAKE_MAKE_PROGRAM": toolchain.tool("ninja"),
        "OP_SOURCE": source.directory,
        "OP_NAMESPACE": source.namespace,
        "OP_BINDINGS": binding,
        "HIGHWAY_INCLUDE_DIR": toolchain.highway_headers(),
    }
    if binding in variables:
        settings[variables[binding]] = _root(binding, platform)
    if platform is None:
        settings["CMAKE_CXX_COMPILER"] = compiler_path(platform)
    else:
        settings["CMAKE_TOOLCHAIN_FILE"] = toolchain.toolchain_file(platform)
    return [f"-D{name}={value}" for name, value in settings.items()]


def run(command: list[str], log: Path, what: str) -> None:
    """Runs one command of a build; what it says goes to the end of a log.

    Raises:
        DeployError: It failed; the text names what was built and the first errors.
    """
    with log.open("a") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise DeployError(f"Building {what} failed:\n{_errors(log)}", f"The whole log is {log}.")


def _errors(log: Path) -> str:
    """Returns the first errors in a log; of a wrong signature, what is wrong with it."""
    text = log.read_text(errors="replace")
    if said := re.search(r'signature_error\("([^"]+)"\)', text):
        return f"  a signature is wrong: {said.group(1)}"
    lines = [line for line in text.splitlines() if re.search(r"\berror\b", line, re.IGNORECASE)]
    return "\n".join(f"  {line.strip()}" for line in (lines or text.splitlines())[:_ERRORS_SHOWN])
