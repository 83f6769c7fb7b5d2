"""`devices`: what the devices of a profile are, or why they cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from deploypipe.cli import view
from deploypipe.devices import config as files
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.device import Device, connected
from deploypipe.devices.facts import DeviceFacts
from deploypipe.errors import DeployError


@dataclass(frozen=True)
class Probed:
    """What was found.

    Attributes:
        config: The device.
        facts: What it is; None where it cannot be used.
        runtimes: Paths of the runtimes' shared libraries, by runtime.
        reason: Why it cannot be used.
    """

    config: DeviceConfig
    facts: DeviceFacts | None = None
    runtimes: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def show(path: Path | None, as_json: bool) -> None:
    """Probes all devices at the same time, and prints them."""
    configs = list(files.read(path).values())
    with view.progress().status("probing the devices"), ThreadPoolExecutor(len(configs)) as pool:
        found = list(pool.map(_probe, configs))
    if as_json:
        view.print_json([_json(each) for each in found])
        return
    columns = ["device", "by", "CPU", "cores", "memory", "system", "runtimes", "state, or why not"]
    view.table("", columns, [_row(each) for each in found])


def _probe(config: DeviceConfig) -> Probed:
    try:
        with connected(config, lambda text: view.progress().print(escape(text))) as device:
            return Probed(config, device.facts(), _runtimes(device))
    except DeployError as error:
        return Probed(config, reason=str(error))


def _runtimes(device: Device) -> Mapping[str, str]:
    """Returns the runtimes' libraries: on this machine they are those of Python's packages, or of the emulator."""
    if device.config.transport != "local":
        return device.libraries()
    from deploypipe.devices import emulator
    from deploypipe.native.sdk import BACKENDS
    from deploypipe.profile import libraries

    look = emulator.runtime_library if device.config.emulates else libraries.installed
    found = {name: str(path) for name in BACKENDS if (path := _path(look, name))}
    return found | device.config.runtimes


def _path(look: Callable[[str], Path | None], runtime: str) -> Path | None:
    try:
        return look(runtime)
    except DeployError:
        return None


def _json(probed: Probed) -> dict[str, Any]:
    config = probed.config.model_dump(include={"name", "transport", "host", "serial", "emulates"})
    facts = probed.facts.model_dump() if probed.facts else None
    return {**config, "ok": not probed.reason, "reason": probed.reason, "facts": facts, "runtimes": probed.runtimes}


def _row(probed: Probed) -> list[str]:
    config, facts = probed.config, probed.facts
    by = f"emulator, {config.transport}" if config.emulates else config.transport
    if facts is None:
        return [config.name, by, *[""] * 5, f"[yellow]{escape(probed.reason)}[/]"]
    cells = (
        facts.cpu,
        str(facts.cores or ""),
        f"{facts.memory_mb / 1000:.1f} GB" if facts.memory_mb else "",
        f"{facts.platform}, {facts.system}",
        ", ".join(probed.runtimes),
        _state(config, facts),
    )
    return [config.name, by, *map(escape, cells)]


def _state(config: DeviceConfig, facts: DeviceFacts) -> str:
    """Says what changes from hour to hour, and what a profile makes of an emulated processor."""
    if config.emulates:
        return "instructions and parity, no latency"
    told = (
        f"governor {facts.governor}" if facts.governor else "",
        f"up to {facts.mhz:.0f} MHz" if facts.mhz else "",
        f"load {facts.load:g}" if facts.load is not None else "",
        f"battery {facts.battery}" if facts.battery else "",
        f"{facts.celsius:.0f} °C" if facts.celsius is not None else "",
    )
    return ", ".join(filter(None, told))
