"""devices.toml: the devices that a profile may name."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploypipe.errors import DeployError, nearest

FILE = Path("devices.toml")
# A word that a program cannot take for an option.
_WORD = r"^([^-\s]\S*)?$"


class DeviceConfig(BaseModel):
    """A device.

    Attributes:
        name: That a profile and its report call it by.
        transport: The way to it.
        host: As ssh takes it: a name of its configuration, or USER@HOST.
        port: Of ssh, where its configuration names none.
        serial: As `adb devices` prints it; may be left out where one phone is connected.
        folder: Where a folder of its own is made for the time of a profile, in which programs may be run; the place
            for temporary files by default.
        launcher: Words before each command that is measured, such as `taskset 0x10`.
        emulates: The processor that an emulator plays; an empty string for none.
        platform: `linux-aarch64`; probed where it is left out.
        runtimes: The shared library of a runtime, by its name, where it lies on the device.
        bench: Folder here with a dp-bench for its platform, as `deploypipe sdk install` writes it; made where it is
            left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    transport: Literal["local", "ssh", "adb"] = "local"
    host: str = Field(default="", pattern=_WORD)
    port: int | None = Field(default=None, ge=1, le=65535)
    serial: str = Field(default="", pattern=_WORD)
    folder: str = Field(default="", pattern=r"^(/.*)?$")
    launcher: tuple[str, ...] = ()
    emulates: str = ""
    platform: str = ""
    runtimes: dict[str, str] = {}
    bench: str = ""

    @model_validator(mode="after")
    def _has_what_its_transport_needs(self) -> Self:
        if (self.transport == "ssh") != bool(self.host):
            raise ValueError(f"transport '{self.transport}' {'needs' if self.transport == 'ssh' else 'has no'} host")
        if self.serial and self.transport != "adb":
            raise ValueError(f"transport '{self.transport}' has no serial")
        if self.emulates and (self.transport != "local" or not self.platform):
            raise ValueError("a processor is emulated on this machine, and needs its platform")
        return self

    @property
    def identity(self) -> str:
        """What it is, the same whatever it is called: two of them cannot be measured on at once."""
        port = f":{self.port}" if self.port else ""
        return {"local": "this machine", "ssh": f"ssh {self.host}{port}", "adb": f"adb {self.serial}"}[self.transport]


BUILT_IN = (
    DeviceConfig(name="local"),
    DeviceConfig(name="cortex-a53", emulates="cortex-a53", platform="linux-aarch64"),
    DeviceConfig(name="cortex-a76", emulates="cortex-a76", platform="linux-aarch64"),
)
"""Devices that need no file: this machine, and processors that an emulator plays on it."""


def read(path: Path | None = None) -> dict[str, DeviceConfig]:
    """Returns the devices of a file and those that are built in, by name; the file's come before.

    Args:
        path: The file; None takes devices.toml of this folder, if there is one.

    Raises:
        DeployError: The file is missing, is no TOML, or has an unknown key or a wrong value.
    """
    if path is None and not FILE.is_file():
        return {each.name: each for each in BUILT_IN}
    own = _of_file(path or FILE)
    return own | {each.name: each for each in BUILT_IN if each.name not in own}


def chosen(names: Sequence[str], path: Path | None = None) -> list[DeviceConfig]:
    """Returns devices by their names, each once.

    Raises:
        DeployError: One is unknown, or the file is wrong; see `read`.
    """
    known = read(path)
    for name in names:
        if name not in known:
            raise DeployError(f"There is no device '{name}'", nearest(name, list(known)))
    return [known[name] for name in dict.fromkeys(names)]


def _of_file(path: Path) -> dict[str, DeviceConfig]:
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}", "Name a file with devices.") from None
    except ValueError as error:
        raise DeployError(f"{path} is not TOML: {error}", "Mend the file at that place.") from None
    if unknown := sorted(table.keys() - {"device"}):
        raise DeployError(f"{path} has an unknown key '{unknown[0]}'", "Each device is a table [[device]].")
    tables = table.get("device", [])
    if not isinstance(tables, list):
        raise DeployError(f"{path} has no list of devices", "Each device is a table [[device]].")
    devices = [_device(each, path) for each in tables]
    names = [each.name for each in devices]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DeployError(f"{path} has two devices '{twice[0]}'", "Give each a name of its own.")
    return dict(zip(names, devices, strict=True))


def _device(table: Any, path: Path) -> DeviceConfig:
    try:
        return DeviceConfig.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
    name = table.get("name", "without a name") if isinstance(table, dict) else table
    origin, place = f"{path}, device {name}", ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        raise DeployError(f"{origin} has an unknown key '{place}'", nearest(place, list(DeviceConfig.model_fields)))
    what = f"'{place}' is wrong: {first['msg']}" if place else first["msg"].removeprefix("Value error, ")
    raise DeployError(f"{origin}: {what}", "Correct that value.")
