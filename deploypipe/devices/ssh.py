"""A device behind ssh: the system's own program, so that the user's configuration, agents and jump hosts count."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path

from deploypipe.devices import process

_CONNECT_SECONDS = 10
_ALIVE_SECONDS = 5


class Ssh:
    """A connection that all commands share; a `Link`."""

    def __init__(self, name: str, host: str, port: int | None) -> None:
        self.name = name
        self.cure = f"See that `ssh {host} true` works without a question."
        # The path of the socket may have about 100 characters, which the system's place for such folders may exceed.
        self._sockets = tempfile.TemporaryDirectory(prefix="dp-", dir="/tmp")
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(_CONNECT_SECONDS),
            "ServerAliveInterval": str(_ALIVE_SECONDS),
            "ControlMaster": "auto",
            "ControlPath": str(Path(self._sockets.name) / "s"),
            "ControlPersist": "60",
        }
        port_words = ["-p", str(port)] if port else []
        option_words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        self._options, self._host = [*option_words, *port_words], host

    def words(self, script: str) -> list[str]:
        """See `Link`."""
        return ["ssh", "-T", *self._options, self._host, script]

    def connect(self) -> None:
        """See `Link`; the connection itself comes with the next command."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.run(["ssh", *self._options, "-O", "exit", self._host], _CONNECT_SECONDS)

    def close(self) -> None:
        """See `Link`."""
        self.connect()
        self._sockets.cleanup()
