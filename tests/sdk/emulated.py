"""A small ARM board in the emulator, for programs over the C API."""

from __future__ import annotations

from pathlib import Path

from deploypipe.bundle.retarget import retarget
from deploypipe.devices import emulator
from deploypipe.devices.emulator import PLATFORM, runtime_library
from deploypipe.native import sdk, toolchain

from .running import Program

__all__ = ["PLATFORM", "bundle_for_it", "launcher", "program", "runtime_library"]

_CPU = "cortex-a76"


def launcher(folder: Path) -> tuple[str, ...]:
    """Returns what stands before a program, after making the root folder that it sees."""
    return emulator.launcher(_CPU, folder)


def program(folder: Path) -> Program:
    """Builds the program of these tests for the board."""
    return Program.build(folder, sdk.tree(PLATFORM), toolchain.cross_compiler(PLATFORM), launcher(folder))


def bundle_for_it(bundle: Path, folder: Path) -> Path:
    """Returns a copy of a bundle of this machine whose op library is for the board."""
    return retarget(bundle, PLATFORM, folder / "arm64")
