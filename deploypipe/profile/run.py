"""The profile: several devices at once, one measurement at a time on each."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

import deploypipe
from deploypipe.devices import device as devices
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.device import Device
from deploypipe.devices.facts import DeviceFacts
from deploypipe.devices.protocol import LostDeviceError
from deploypipe.errors import DeployError
from deploypipe.profile import inside, instructions, journal
from deploypipe.profile.facts import Subject, subjects
from deploypipe.profile.journal import Journal
from deploypipe.profile.measuring import Plan, Tell, measure
from deploypipe.profile.receipt import DeviceReceipts, Protocol, Receipt, Report

Observe = Callable[[str, str], None]

_RECEIPT = TypeAdapter(Receipt)


@dataclass(frozen=True)
class Settings:
    """How bundles are profiled.

    Attributes:
        out: Folder of the report.
        protocol: Of the measurement.
        scenario_s: Seconds of each scenario of a server's bundle; 0 leaves them out.
        resume: Goes on where a profile stopped that was interrupted, or lost a device.
        observe: Is told the device and what is done there.
    """

    out: Path
    protocol: Protocol
    scenario_s: float
    resume: bool
    observe: Observe


def profile(paths: Sequence[Path], chosen: Sequence[DeviceConfig], settings: Settings) -> Report:
    """Profiles bundles on devices.

    Args:
        paths: The bundles, folders or zips.
        chosen: The devices; those that share a machine wait for each other.
        settings: How.

    Raises:
        DeployError: A bundle is damaged.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    settings.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, ThreadPoolExecutor(len(chosen)) as pool:
        found = subjects(paths, stack)
        pending = [pool.submit(_device, each, found, settings) for each in chosen]
        receipts = tuple(each.result() for each in pending)
    if not any(each.lost for each in receipts):
        shutil.rmtree(settings.out / journal.FOLDER)
    return Report(deploypipe=deploypipe.__version__, created=created, protocol=settings.protocol, devices=receipts)


def _device(config: DeviceConfig, found: Sequence[Subject], settings: Settings) -> DeviceReceipts:
    """Profiles all bundles on a device; one that cannot be reached is told in its receipts."""
    made = DeviceReceipts(name=config.name, transport=config.transport, emulates=config.emulates)
    begin = time.monotonic()
    try:
        with devices.opened(config, partial(settings.observe, config.name)) as device:
            begin = time.monotonic()  # the wait for the device is not part of it
            made = made.model_copy(update=_profiled(device, found, settings))
    except DeployError as error:
        lost = tuple(Receipt(bundle=each.facts, status="lost", reason=str(error)) for each in found)
        made = made.model_copy(update={"lost": str(error), "receipts": made.receipts or lost})
    return made.model_copy(update={"seconds": time.monotonic() - begin})


def _profiled(device: Device, found: Sequence[Subject], settings: Settings) -> dict[str, object]:
    facts = device.facts()
    identity = {
        "protocol": settings.protocol.model_dump_json(),
        **{each.facts.name: each.facts.digest for each in found},
    }
    known = journal.opened(settings.out, device.config.name, identity, settings.resume)
    tell = partial(settings.observe, device.config.name)
    if device.config.emulates:
        return {"facts": facts, "receipts": _emulated(device, found, known, tell)}
    with tempfile.TemporaryDirectory() as folder:
        gathered = measure(Plan(device, facts, settings.protocol, known, Path(folder), tell), found)
    if device.config.transport == "local":
        for each in gathered:
            inside.measure(each, known, settings.out, settings.scenario_s, settings.protocol.threads, tell)
    lost = next((each.trouble[1] for each in gathered if each.trouble and each.trouble[0] == "lost"), "")
    receipts = tuple(each.receipt() for each in gathered)
    return {"facts": facts, "after": _after(device), "lost": lost, "receipts": receipts}


def _emulated(device: Device, found: Sequence[Subject], known: Journal, tell: Tell) -> tuple[Receipt, ...]:
    receipts = []
    for each in found:
        tell(f"counting the instructions of {each.facts.name}")
        count = partial(instructions.profile, each.path, each.facts, device.config.emulates)
        receipts.append(known.once(f"instructions {each.facts.name}", _RECEIPT, count))
    return tuple(receipts)


def _after(device: Device) -> DeviceFacts | None:
    try:
        return device.facts()
    except LostDeviceError:
        return None
