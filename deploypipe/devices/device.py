"""A device that is open: connected, locked against other measurements, with its launcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploypipe.devices import lock, probe
from deploypipe.devices.adb import Adb
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.facts import DeviceFacts
from deploypipe.devices.local import Local
from deploypipe.devices.protocol import Finished, LostDeviceError, Transport
from deploypipe.devices.remote import Remote
from deploypipe.devices.ssh import Ssh

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Device:
    """A device that is open; what the methods raise is said in `Transport`.

    Attributes:
        config: What devices.toml says of it.
        transport: The way to it.
        launcher: Words before each command, an emulator among them.
    """

    config: DeviceConfig
    transport: Transport
    launcher: tuple[str, ...] = ()

    def push(self, files: Mapping[str, Path]) -> int:
        """Copies files to the device; see `Transport.push`."""
        return self.transport.push(files)

    def run(self, command: Sequence[str], timeout: float) -> Finished:
        """Runs a command behind the launcher; see `Transport.run`."""
        return self.transport.run([*self.launcher, *command], timeout)

    def run_plain(self, command: Sequence[str], timeout: float) -> Finished:
        """Runs a command without the launcher; see `Transport.run`."""
        return self.transport.run(command, timeout)

    def pull(self, name: str, to: Path) -> None:
        """Copies a file from the device; see `Transport.pull`."""
        self.transport.pull(name, to)

    def facts(self) -> DeviceFacts:
        """Finds out what the device is; of an emulated one, what the emulator plays."""
        found = probe.facts(self.transport.ask)
        if self.config.emulates:
            return DeviceFacts(
                platform=self.config.platform,
                cpu=self.config.emulates,
                cores=found.cores,
                memory_mb=found.memory_mb,
                system=f"emulated on {found.cpu}, {found.system}",
                load=found.load,
            )
        return found.model_copy(update={"platform": self.config.platform or found.platform})

    def libraries(self) -> dict[str, str]:
        """Returns the paths of the runtimes' shared libraries on the device, by runtime."""
        return probe.libraries(self.transport.ask, self.config.runtimes)


@contextmanager
def opened(config: DeviceConfig, tell: Tell = lambda _: None) -> Iterator[Device]:
    """Opens a device for measurements, and leaves nothing behind on it.

    Args:
        config: Which one.
        tell: Is told when another measurement has the device, or when it is gone in the end with files on it.

    Raises:
        DeployError: It cannot be worked on, or what its transport or its emulator needs is not here.
        LostDeviceError: It cannot be reached.
    """
    with lock.held(config.identity, tell), connected(config, tell) as device:
        yield device


@contextmanager
def connected(config: DeviceConfig, tell: Tell = lambda _: None) -> Iterator[Device]:
    """Opens a device to ask it something, while it may be measured on; the rest is as in `opened`."""
    transport = _transport(config)
    try:
        yield Device(config, transport, _launcher(config, transport.folder))
    finally:
        try:
            transport.close()
        except LostDeviceError as error:
            tell(str(error))


def _transport(config: DeviceConfig) -> Local | Remote:
    if config.transport == "local":
        return Local(config.folder)
    if config.transport == "ssh":
        return Remote(Ssh(config.name, config.host, config.port), config.folder or "/tmp")
    return Remote(Adb(config.name, config.serial), config.folder or "/data/local/tmp")


def _launcher(config: DeviceConfig, folder: Path | str) -> tuple[str, ...]:
    if not config.emulates:
        return config.launcher
    from deploypipe.devices import emulator

    return (*config.launcher, *emulator.launcher(config.emulates, Path(folder)))
