"""A phone behind Android's adb, version 7 of Android or newer."""

from __future__ import annotations

import contextlib
import subprocess

from deploypipe.devices import process

_CONNECT_SECONDS = 10


class Adb:
    """A connection of the adb server; a `Link`."""

    def __init__(self, name: str, serial: str) -> None:
        self.name = name
        self.cure = "See that `adb devices` lists it as a device, and that the phone trusts this computer."
        self._serial = serial

    def words(self, script: str) -> list[str]:
        """See `Link`."""
        serial = ["-s", self._serial] if self._serial else []
        return ["adb", *serial, "shell", "-T", script]

    def connect(self) -> None:
        """See `Link`; a phone in the network, whose serial is an address, has to be asked for."""
        if ":" in self._serial:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                process.run(["adb", "connect", self._serial], _CONNECT_SECONDS)

    def close(self) -> None:
        """See `Link`; the adb server is the user's."""
