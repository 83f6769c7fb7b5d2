"""64-bit ARM processors in QEMU: what stands before a program for one of them, and what the program finds there."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploypipe import cache
from deploypipe.availability import Availability
from deploypipe.errors import DeployError, nearest
from deploypipe.native import compile as compiling
from deploypipe.native import sdk, toolchain
from deploypipe.native.helpers import helper
from deploypipe.native.toolchain import Lack

PLATFORM = "linux-aarch64"
_QEMU = "qemu-aarch64"
# ONNX Runtime 1.32 tells Microsoft of each session, from threads of its own that wake up every ten seconds.
_SILENCE = "ORT_DISABLE_TELEMETRY=1"
# With the plugin interface of csrc/emulator.
_NEWEST = 8
_RUNTIMES = {"onnxruntime": "onnxruntime/capi/libonnxruntime.so.*", "litert": "ai_edge_litert/libLiteRt.so"}


@dataclass(frozen=True)
class _Cpu:
    """A processor as /proc/cpuinfo of Linux describes it; the features are those that QEMU gives it."""

    variant: str
    part: str
    revision: int
    features: str

    def text(self) -> str:
        return (
            f"processor\t: 0\nBogoMIPS\t: 100.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: {self.variant}\nCPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n"
        )


_ARMV8 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
_ARMV8_2 = "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"

# Of Raspberry Pi 3, 4 and 5, and of servers. None without an end to its instruction set, such as QEMU's default `max`:
# that one runs what no board does.
_CPUS: Mapping[str, _Cpu] = {
    "cortex-a53": _Cpu("0x0", "0xd03", 4, _ARMV8),
    "cortex-a72": _Cpu("0x0", "0xd08", 3, _ARMV8),
    "cortex-a76": _Cpu("0x4", "0xd0b", 1, _ARMV8_2),
    "neoverse-n1": _Cpu("0x4", "0xd0c", 1, _ARMV8_2),
}
CPUS = tuple(_CPUS)
"""The processors that can be emulated."""


def available() -> Availability:
    """Returns whether programs for 64-bit ARM can be built and run here, or the first thing that is missing."""
    lack = _lack_of_qemu() or toolchain.missing(toolchain.STANDALONE, PLATFORM) or _lack_of_zlib()
    return Availability(True) if lack is None else Availability(False, f"{lack.what}. {lack.cure}")


def _lack_of_qemu() -> Lack | None:
    if toolchain.tool(_QEMU):
        return None
    return Lack(f"The emulator {_QEMU} is not there", "Install it, for example with apt: qemu-user.")


def _lack_of_zlib() -> Lack | None:
    if sdk.sysroot(PLATFORM):
        return None
    return Lack(f"There is no zlib for {PLATFORM}", "Run 'scripts/sysroot', which downloads it.")


@functools.cache
def version() -> str:
    """Returns the version of the emulator, such as `qemu 7.2.22`.

    Raises:
        DeployError: It is not there.
    """
    done = subprocess.run([_qemu(), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version ([\d.]+)", done.stdout)
    return f"qemu {found.group(1)}" if found else "qemu"


def launcher(cpu: str, folder: Path, plugin_out: str | None = None) -> tuple[str, ...]:
    """Returns what stands before a program for 64-bit ARM Linux.

    Args:
        cpu: One of `CPUS`.
        folder: Where the folder is made that the program takes for `/` where it holds what the program looks for.
        plugin_out: A file for the instructions between the marks that the program sets, a number on a line; they are
            not counted where it is None.

    Raises:
        DeployError: There is no such processor, or something is missing here.
    """
    if cpu not in _CPUS:
        raise DeployError(f"The processor '{cpu}' cannot be emulated", nearest(cpu, list(_CPUS)))
    usable = available()
    if not usable.ok:
        raise DeployError(f"No {cpu} can be emulated here", usable.reason)
    counting = _counting(plugin_out) if plugin_out else ()
    root, zlib = _root(cpu, folder), sdk.sysroot(PLATFORM)
    variables = ("-E", f"LD_LIBRARY_PATH={zlib}/lib", "-E", _SILENCE)
    return _qemu(), "-cpu", cpu, *counting, "-L", str(root), *variables


def runtime_library(runtime: str) -> Path:
    """Returns the shared library of a runtime for 64-bit ARM Linux.

    Raises:
        DeployError: There is none for that runtime, or it is not here.
    """
    if runtime not in _RUNTIMES:
        raise DeployError(
            f"There is no library of {runtime} for {PLATFORM} that works without PyTorch or Python",
            f"Build the model for {' or '.join(_RUNTIMES)}.",
        )
    place = cache.root() / "arm64"
    found = next(place.glob(_RUNTIMES[runtime]), None)
    if found is None:
        raise DeployError(f"{place} has no library of {runtime}", "Run 'scripts/arm64', which downloads it.")
    return found


def _qemu() -> str:
    if lack := _lack_of_qemu():
        raise lack.error()
    return toolchain.tool(_QEMU) or _QEMU


def _counting(out: str) -> tuple[str, ...]:
    """Returns the options that count; newer emulators take no plugin of this kind, and some none at all."""
    number = re.search(r"\d+", version())
    if number and int(number.group()) > _NEWEST:
        cure = f"Use QEMU {_NEWEST} or older, such as qemu-user of Debian 12."
        raise DeployError(f"The plugin that counts instructions does not work in {version()}", cure)
    return "-plugin", f"file={_escaped(_plugin())},out={_escaped(out)}"


def _escaped(value: object) -> str:
    """An option of QEMU ends at a comma."""
    return str(value).replace(",", ",,")


def _root(cpu: str, folder: Path) -> Path:
    """Makes the root folder: ONNX Runtime reads which processor there is, and crashes on the text of this machine."""
    root = folder.resolve() / f"root-{cpu}"
    if not root.is_dir():
        (root / "proc").mkdir(parents=True)
        (root / "proc" / "cpuinfo").write_text(_CPUS[cpu].text())
        (root / "lib").symlink_to(_libraries())
    return root


@functools.cache
def _libraries() -> Path:
    """Returns the folder of the C and C++ libraries that the cross compiler links with."""
    command = [compiling.compiler_path(PLATFORM), "-print-file-name=libc.so.6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).resolve().parent


def _plugin() -> Path:
    """Returns the plugin of QEMU that counts, building it when it is not there yet."""
    if lack := toolchain.missing(toolchain.STANDALONE):
        raise lack.error()
    return helper("emulator", "libcount.so", {})
