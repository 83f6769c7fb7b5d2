"""A small ARM board in the emulator: what a program for 64-bit ARM Linux finds there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from deploypipe import cache, native
from deploypipe.bundle import manifest as manifests
from deploypipe.native import sdk, toolchain

from .running import Program, relist

PLATFORM, CPU = "linux-aarch64", "cortex-a76"
# ONNX Runtime reads it, and would crash on that of this machine.
_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
_RUNTIMES = {"onnxruntime": "onnxruntime/capi/libonnxruntime.so.*", "litert": "ai_edge_litert/libLiteRt.so"}


def launcher(folder: Path) -> tuple[str, ...]:
    """Returns what stands before a program, after making the root folder that it sees."""
    root, zlib = folder / "root", sdk.sysroot(PLATFORM)
    assert zlib, "run scripts/sysroot, which downloads it"
    (root / "proc").mkdir(parents=True)
    (root / "proc" / "cpuinfo").write_text(_CPUINFO)
    (root / "lib").symlink_to(_libraries())
    return "qemu-aarch64", "-cpu", CPU, "-L", str(root), "-E", f"LD_LIBRARY_PATH={zlib / 'lib'}"


def _libraries() -> Path:
    """Returns the folder of the C and C++ libraries that the cross compiler links with."""
    command = [toolchain.cross_compiler(PLATFORM), "-print-file-name=libc.so.6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).resolve().parent


def program(folder: Path) -> Program:
    """Builds the program of these tests for the board."""
    return Program.build(folder, sdk.tree(PLATFORM), toolchain.cross_compiler(PLATFORM), launcher(folder))


def runtime_library(runtime: str) -> Path:
    """Returns the shared library of a runtime for the board."""
    place = cache.root() / "arm64"
    found = next(place.glob(_RUNTIMES[runtime]), None)
    assert found, "run scripts/arm64, which downloads it"
    return found


def bundle_for_it(bundle: Path, folder: Path) -> Path:
    """Returns a copy of a bundle of this machine whose op library is for the board."""
    copy = Path(shutil.copytree(bundle, folder / "arm64"))
    for library in (copy / "lib").glob("*.so"):
        runtime = manifests.read(copy).runtime.name
        shutil.copy2(native.library(runtime, platform=PLATFORM), library)
    relist(copy, platform=PLATFORM)
    return copy
