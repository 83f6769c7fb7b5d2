"""What a device is, from what its shell says."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from deploypipe.devices import probe
from deploypipe.devices.local import Local
from deploypipe.target import this_platform

PI = """\
kernel=Linux
release=6.6.31+rpt-rpi-v8
machine=aarch64
cores=4
memory=8245564
implementer=0x41
part=0xd0b
implementer=0x41
part=0xd0b
board=Raspberry Pi 5 Model B Rev 1.0
load=0.08
governor=ondemand
khz=2400000
khz=2400000
heat=48850
heat=
"""

PHONE = """\
kernel=Linux
release=5.10.157-android13-4
machine=aarch64
cores=8
memory=7734528
implementer=0x41
part=0xd05
implementer=0x41
part=0xd05
implementer=0x41
part=0xd41
implementer=0x51
part=0x804
board=
load=3.41
governor=sched_pixel
khz=1803000
khz=2850000
heat=cat: Permission denied
heat=-40000
battery=
android=14
abi=arm64-v8a
board=Pixel 7
soc=GS201
level=72
status=3
tenths=305
"""

LAPTOP = """\
kernel=Linux
release=6.1.0
machine=x86_64
cores=16
memory=32000000
cpu=AMD Ryzen 7 PRO 6850U with Radeon Graphics
cpu=AMD Ryzen 7 PRO 6850U with Radeon Graphics
board=
load=0.50
governor=powersave
khz=4767000
heat=20000
heat=61125
battery=93 %, Discharging
"""


def test_a_raspberry_pi() -> None:
    found = probe.facts(lambda _: PI)
    assert (found.platform, found.cpu, found.cores) == ("linux-aarch64", "cortex-a76", 4)
    assert found.system == "Linux 6.6.31+rpt-rpi-v8, Raspberry Pi 5 Model B Rev 1.0"
    assert (found.governor, found.mhz, found.load) == ("ondemand", 2400, 0.08)
    assert found.memory_mb == pytest.approx(8443.46, abs=0.01)
    assert (found.battery, found.celsius) == ("", 48.85)


def test_a_phone() -> None:
    found = probe.facts(lambda _: PHONE)
    assert (found.platform, found.system) == ("android-arm64", "Android 14, Pixel 7")
    assert found.cpu == "GS201 (2 x cortex-a55, 1 x cortex-a78, 1 x 0x51 0x804)"
    assert (found.battery, found.celsius, found.mhz) == ("72 %, discharging", 30.5, 2850)


def test_a_laptop() -> None:
    found = probe.facts(lambda _: LAPTOP)
    assert found.cpu == "AMD Ryzen 7 PRO 6850U with Radeon Graphics"
    assert (found.battery, found.celsius) == ("93 %, discharging", 61.125)


def test_a_device_that_says_little() -> None:
    found = probe.facts(lambda _: "kernel=Darwin\nmachine=arm64\nrelease=23.1.0\ncores=\n")
    assert (found.platform, found.system) == ("darwin-arm64", "Darwin 23.1.0")
    assert (found.cpu, found.cores, found.memory_mb, found.celsius) == ("", None, None, None)


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which nproc would obey
    with closing(Local("")) as here:
        found = probe.facts(here.ask)
    assert found.platform == this_platform()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.system == f"Linux {os.uname().release}"
    assert found.memory_mb == pytest.approx(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6, rel=0.01)


def test_libraries_are_found_where_pip_puts_them(tmp_path: Path) -> None:
    packages = tmp_path / ".local/lib/python3.13/site-packages"
    library = packages / "onnxruntime/capi/libonnxruntime.so.1.32.0"
    library.parent.mkdir(parents=True)
    library.touch()
    found = probe.libraries(_at_home(tmp_path), {})
    assert found["onnxruntime"] == str(library)


def test_a_library_that_is_named_must_be_there(tmp_path: Path) -> None:
    named = tmp_path / "my folder" / "libLiteRt.so"
    assert "litert" not in probe.libraries(_at_home(tmp_path), {"litert": str(named)})
    named.parent.mkdir()
    named.touch()
    assert probe.libraries(_at_home(tmp_path), {"litert": str(named)})["litert"] == str(named)


def _at_home(home: Path) -> probe.Ask:
    """Returns what runs scripts with another home."""

    def ask(script: str) -> str:
        environment = os.environ | {"HOME": str(home)}
        return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True).stdout

    return ask
