"""Finds out what a device is, by a script that any sh of Linux and Android runs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping

from deploypipe.devices.facts import DeviceFacts

Ask = Callable[[str], str]
_Told = Mapping[str, list[str]]

# Lines of KEY=VALUE, some keys more than once; what cannot be read gives no line or an empty value. nproc would count
# the threads that a variable allows instead of the processors.
_FACTS = r"""
{
unset OMP_NUM_THREADS OMP_THREAD_LIMIT
echo "kernel=$(uname -s)"; echo "release=$(uname -r)"; echo "machine=$(uname -m)"
echo "cores=$(nproc || getconf _NPROCESSORS_ONLN)"
sed -n 's/^MemTotal:[^0-9]*\([0-9]*\).*/memory=\1/p' /proc/meminfo
sed -n 's/^model name[^:]*: */cpu=/p; s/^CPU implementer[^:]*: */implementer=/p; s/^CPU part[^:]*: */part=/p' \
  /proc/cpuinfo
echo "board=$(tr -d '\0' < /proc/device-tree/model)"
read load rest < /proc/loadavg; echo "load=$load"
cd /sys/devices/system/cpu
echo "governor=$(cat cpu0/cpufreq/scaling_governor)"
for f in cpu[0-9]*/cpufreq/cpuinfo_max_freq; do echo "khz=$(cat $f)"; done
for f in /sys/class/thermal/thermal_zone*/temp /sys/class/hwmon/hwmon*/temp*_input; do echo "heat=$(cat $f)"; done
for d in /sys/class/power_supply/*; do
  case $(cat $d/type) in Battery) echo "battery=$(cat $d/capacity) %, $(cat $d/status)";; esac
done
if [ -n "$(getprop ro.build.version.release)" ]; then
  echo "android=$(getprop ro.build.version.release)"; echo "abi=$(getprop ro.product.cpu.abi)"
  echo "board=$(getprop ro.product.model)"; echo "soc=$(getprop ro.soc.model)"
  dumpsys battery | sed -n 's/^ *level: */level=/p; s/^ *status: */status=/p; s/^ *temperature: */tenths=/p'
fi
} 2>/dev/null
true
"""

# Where pip, package managers and people put the shared libraries of runtimes.
_LIBRARIES = {
    "onnxruntime": ("onnxruntime/capi", "libonnxruntime.so*"),
    "litert": ("ai_edge_litert", "libLiteRt.so"),
    "aotinductor": ("torch/lib", "libtorch_cpu.so"),
}
_PACKAGES = (
    "$HOME/.local/lib/python3*/site-packages",
    "/usr/local/lib/python3*/*-packages",
    "/usr/lib/python3/*-packages",
)
_SYSTEM = ("/usr/lib", "/usr/lib/*-linux-gnu", "/usr/local/lib")

_ANDROID = {"arm64-v8a": "android-arm64", "armeabi-v7a": "android-arm", "x86_64": "android-x86_64"}
_BATTERY = {"2": "charging", "3": "discharging", "4": "not charging", "5": "full"}
# Of the implementer Arm; others call their own cores by other numbers.
_ARM = {
    "0xd03": "cortex-a53",
    "0xd04": "cortex-a35",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0c": "neoverse-n1",
    "0xd0d": "cortex-a77",
    "0xd40": "neoverse-v1",
    "0xd41": "cortex-a78",
    "0xd44": "cortex-x1",
    "0xd46": "cortex-a510",
    "0xd47": "cortex-a710",
    "0xd48": "cortex-x2",
    "0xd49": "neoverse-n2",
    "0xd4d": "cortex-a715",
    "0xd4e": "cortex-x3",
    "0xd4f": "neoverse-v2",
    "0xd80": "cortex-a520",
    "0xd81": "cortex-a720",
    "0xd82": "cortex-x4",
}
# Degrees that a sensor of a device which is on can show.
_PLAUSIBLE = (-30.0, 130.0)


def facts(ask: Ask) -> DeviceFacts:
    """Returns what a device is.

    Args:
        ask: Runs a script there, and returns what it writes.
    """
    told = _told(ask(_FACTS))
    kilobytes, kilohertz = _numbers(told, "memory"), _numbers(told, "khz")
    return DeviceFacts(
        platform=_platform(told),
        cpu=_cpu(told),
        cores=int(_first(told, "cores") or 0) or None,
        memory_mb=kilobytes[0] * 1024 / 1e6 if kilobytes else None,
        system=_system(told),
        governor=_first(told, "governor"),
        mhz=max(kilohertz) / 1000 if kilohertz else None,
        load=next(iter(_numbers(told, "load")), None),
        battery=_battery(told),
        celsius=_celsius(told),
    )


def libraries(ask: Ask, configured: Mapping[str, str]) -> dict[str, str]:
    """Returns the paths of the runtimes' shared libraries on a device, by runtime.

    Args:
        ask: Runs a script there, and returns what it writes.
        configured: Those that the user names; each must be there to count, and counts before what is found.
    """
    named = [_look(name, shlex.quote(path)) for name, path in configured.items()]
    found = [_look(name, pattern) for name in _LIBRARIES if name not in configured for pattern in _patterns(name)]
    told = _told(ask("\n".join([*named, *found, "true"])))
    return {name: paths[0] for name, paths in told.items()}


def _look(name: str, pattern: str) -> str:
    return f'for f in {pattern}; do [ -e "$f" ] && echo "{name}=$f"; done'


def _patterns(name: str) -> list[str]:
    package, file = _LIBRARIES[name]
    return [*(f"{place}/{package}/{file}" for place in _PACKAGES), *(f"{place}/{file}" for place in _SYSTEM)]


def _told(text: str) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if value.strip():
            told.setdefault(key, []).append(value.strip())
    return told


def _first(told: _Told, key: str) -> str:
    return next(iter(told.get(key, ())), "")


def _numbers(told: _Told, key: str) -> list[float]:
    """Returns the values that are numbers; a sensor that is off has others."""
    return [float(value) for value in told.get(key, ()) if value.removeprefix("-").replace(".", "", 1).isdigit()]


def _platform(told: _Told) -> str:
    if abi := _first(told, "abi"):
        return _ANDROID.get(abi, f"android-{abi}")
    return f"{_first(told, 'kernel')}-{_first(told, 'machine')}".lower()


def _cpu(told: _Told) -> str:
    """Returns the name of the processor, and of each kind of its cores where they differ."""
    if names := told.get("cpu"):
        return names[0]
    pairs = zip(told.get("implementer", ()), told.get("part", ()), strict=False)
    kinds = Counter(_ARM.get(part, f"arm {part}") if maker == "0x41" else f"{maker} {part}" for maker, part in pairs)
    cores = ", ".join(f"{count} x {kind}" if len(kinds) > 1 else kind for kind, count in kinds.items())
    return " ".join(filter(None, (_first(told, "soc"), f"({cores})" if _first(told, "soc") and cores else cores)))


def _system(told: _Told) -> str:
    kernel = " ".join(filter(None, (_first(told, "kernel"), _first(told, "release"))))
    release = _first(told, "android")
    return ", ".join(filter(None, (f"Android {release}" if release else kernel, _first(told, "board"))))


def _battery(told: _Told) -> str:
    if level := _first(told, "level"):
        return ", ".join(filter(None, (f"{level} %", _BATTERY.get(_first(told, "status"), ""))))
    return _first(told, "battery").lower()


def _celsius(told: _Told) -> float | None:
    """Returns the warmest sensor; most give thousandths of a degree, some whole ones, and a phone's battery tenths."""
    found = [value / 1000 if abs(value) >= 1000 else value for value in _numbers(told, "heat")]
    found += [value / 10 for value in _numbers(told, "tenths")]
    return max((value for value in found if _PLAUSIBLE[0] < value < _PLAUSIBLE[1] and value), default=None)
