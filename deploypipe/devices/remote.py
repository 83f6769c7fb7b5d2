"""A device behind a program that runs a shell there: one way to speak with it, for ssh and adb.

Neither tells a lost link from a command that failed: adb ends with 0 when the device dies, and ssh with 255 for both.
So each script begins and ends with a mark on both streams that only this side knows, the last with the exit status,
and what lacks one was lost. Files travel through the same shell, as an archive, so that their loss is seen too.
"""

from __future__ import annotations

import math
import re
import secrets
import shlex
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeVar

from deploypipe.devices import process
from deploypipe.devices.protocol import Finished, LostDeviceError
from deploypipe.errors import DeployError
from deploypipe.fingerprint import file_digest

# Seconds before what may be done twice is tried again after a lost link.
PAUSES = (1.0, 4.0)
# Seconds that the link may take for a short command, or beyond what the command itself may.
PATIENCE = 30.0
# Seconds that a file may take to come back.
_PULL_SECONDS = 600.0
# Bytes in a second, of the slowest link.
_SLOWEST = 200_000
# What arrives before it is unpacked, and the exit status where it is not all of it.
_ARCHIVE, _CUT_OFF = ".pushed.tar", 75
# A program that timeout (1) ended, by a request or in the end by force.
_ENDED = (124, 137, 143)

Result = TypeVar("Result")


class Link(Protocol):
    """A program that runs a shell on a device.

    Attributes:
        name: Of the device, for errors.
        cure: What to do when it does not answer.
    """

    name: str
    cure: str

    def words(self, script: str) -> list[str]:
        """Returns the command that runs a script of sh there."""

    def connect(self) -> None:
        """Begins anew, before the first command and after a loss; whether that worked is seen at the next command."""

    def close(self) -> None:
        """Ends what connect began."""


@dataclass(frozen=True)
class Answer:
    """What a script came back with."""

    code: int
    out: bytes
    err: str


class Remote:
    """A folder of a device behind a link; a `Transport`."""

    def __init__(self, link: Link, parent: str) -> None:
        """Connects and makes the folder.

        Args:
            link: To the device.
            parent: Where the folder is made.

        Raises:
            DeployError: The folder cannot be made.
            LostDeviceError: The device cannot be reached.
        """
        self._link = link
        try:
            link.connect()
            self.folder = _made(link, f"{parent.rstrip('/')}/deploypipe-{secrets.token_hex(8)}")
        except BaseException:
            link.close()
            raise

    def push(self, files: Mapping[str, Path]) -> int:
        """See `Transport`."""
        digests = {name: file_digest(path) for name, path in files.items()}
        lacking = self._again(lambda: self._lacking(digests))
        if lacking:
            self._again(lambda: self._push(files, digests))
        return sum(files[name].stat().st_size for name in lacking)

    def run(self, command: Sequence[str], timeout: float) -> Finished:
        """See `Transport`; it is never tried again."""
        words = shlex.join(["timeout", "-k", "2", str(math.ceil(timeout)), *command])
        begin = time.monotonic()
        # A folder that is gone is that of a device that was restarted; the shell then ends without a mark.
        answer = self._shell(f"{self._end_others()}\ncd {self._quoted} || kill -9 $$\n{words}", patience=timeout)
        if answer.code in _ENDED and time.monotonic() - begin >= timeout:
            raise process.late(command, timeout)
        return Finished(answer.code, answer.out.decode(errors="replace"), answer.err)

    def ask(self, script: str) -> str:
        """See `Transport`."""
        return self._again(lambda: self._shell(script)).out.decode(errors="replace")

    def pull(self, name: str, to: Path) -> None:
        """See `Transport`."""
        answer = self._again(
            lambda: self._shell(f"cd {self._quoted} && cat {shlex.quote(name)}", patience=_PULL_SECONDS)
        )
        if answer.code:
            raise DeployError(f"There is no {name} on {self._link.name}", "See what was to write it.")
        to.write_bytes(answer.out)

    def close(self) -> None:
        """See `Transport`.

        Raises:
            LostDeviceError: The device is not there; its folder stays.
        """
        try:
            self._again(lambda: self._shell(f"{self._end_others()}\nrm -rf {self._quoted}"))
        except LostDeviceError:
            text = f"{self._link.name} does not answer, so {self.folder} stays on it"
            raise LostDeviceError(text, "Remove it when the device is back.") from None
        finally:
            self._link.close()

    @property
    def _quoted(self) -> str:
        return shlex.quote(self.folder)

    def _end_others(self) -> str:
        """Returns a script that ends what works in the folder: a run that was lost with the link goes on there."""
        find = f"ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -F -- {shlex.quote('-> ' + self.folder)}"
        return rf"for p in $({find} | sed 's|.*/proc/\([0-9]*\)/cwd.*|\1|'); do kill -9 $p; done 2>/dev/null"

    def _shell(self, script: str, stdin: IO[bytes] | None = None, patience: float = 0.0) -> Answer:
        return shell(self._link, script, stdin, PATIENCE + patience)

    def _again(self, work: Callable[[], Result]) -> Result:
        """Does what may be done twice, and does it again after a lost link."""
        for pause in PAUSES:
            try:
                return work()
            except LostDeviceError:
                time.sleep(pause)
                self._link.connect()
        return work()

    def _push(self, files: Mapping[str, Path], digests: Mapping[str, str]) -> None:
        lacking = {name: files[name] for name in self._lacking(digests)}
        with tempfile.TemporaryFile() as archive:
            size = _pack(lacking, archive)
            # Whether all of it came is seen before it is unpacked: tar fails in the same way where there is no room.
            arrived = f"cat > {_ARCHIVE} || exit 1\n[ $(wc -c < {_ARCHIVE}) -eq {size} ] || exit {_CUT_OFF}"
            place = f"mkdir -p {self._quoted} && cd {self._quoted} || exit 1"
            script = f"{place}\n{arrived}\ntar -xf {_ARCHIVE} && rm {_ARCHIVE}"
            answer = self._shell(script, archive, size / _SLOWEST)
        if answer.code and answer.code != _CUT_OFF:
            raise DeployError(f"Files cannot be copied to {self._link.name}: {_last(answer.err)}", "Make room on it.")
        if answer.code or self._lacking(digests):
            raise LostDeviceError(f"What was copied to {self._link.name} did not arrive whole", self._link.cure)

    def _lacking(self, digests: Mapping[str, str]) -> list[str]:
        """Returns the names of what is not on the device, or is something else there."""
        with tempfile.TemporaryFile() as names:
            names.write("\0".join(digests).encode())
            names.seek(0)
            script = f"cd {self._quoted} 2>/dev/null && xargs -0 sha256sum -- 2>/dev/null"
            found = self._shell(script, names, PATIENCE).out.decode(errors="replace")
        there = {line[66:]: line[:64] for line in found.splitlines()}
        return [name for name, digest in digests.items() if there.get(name) != digest]


def shell(link: Link, script: str, stdin: IO[bytes] | None = None, timeout: float = PATIENCE) -> Answer:
    """Runs a script on a device.

    Args:
        link: To the device.
        script: For sh.
        stdin: What the script reads.
        timeout: Seconds after which the link counts as lost.

    Raises:
        LostDeviceError: The device cannot be reached, or was lost before the script was through.
        DeployError: The program of the link is not here.
    """
    mark = f"__DP_{secrets.token_hex(8)}"
    words = link.words(wrapped(script, mark))
    try:
        ended = process.run(words, timeout, stdin=stdin)
    except subprocess.TimeoutExpired:
        raise LostDeviceError(f"{link.name} does not answer for {timeout:g} s", link.cure) from None
    except OSError as error:
        raise DeployError(f"{words[0]} cannot be started: {error.strerror}", f"Install {words[0]}.") from None
    out, err = unwrapped(ended.out, mark), unwrapped(ended.err, mark)
    if out is None or err is None:
        raise _lost(link, ended, mark.encode())
    return Answer(out[1], out[0], err[0].decode(errors="replace"))


def wrapped(script: str, mark: str) -> str:
    """Returns a script with marks around all that it writes, for whatever shell the device has."""
    begin, end = rf"printf '{mark}\n'", rf"printf '\n{mark}=%d\n' $s"
    inner = f"{begin}; {begin} >&2\n(\n{script}\n)\ns=$?; {end}; {end} >&2"
    return f"exec sh -c {shlex.quote(inner)}"


def unwrapped(stream: bytes, mark: str) -> tuple[bytes, int] | None:
    """Returns what stands between the marks, and the exit status; None where a mark is missing."""
    found = re.search(rb"%b\n(.*)\n%b=(\d+)\n" % (mark.encode(), mark.encode()), stream, re.DOTALL)
    return (found[1], int(found[2])) if found else None


def _lost(link: Link, ended: process.Ended, mark: bytes) -> LostDeviceError:
    began = mark in ended.out or mark in ended.err
    said = _last(ended.err.partition(mark + b"\n")[2 if began else 0].decode(errors="replace"))
    what = "went away" if began else "cannot be reached"
    return LostDeviceError(f"{link.name} {what}{': ' + said if said else ''}", link.cure)


def _made(link: Link, folder: str) -> str:
    """Makes the folder, and returns its path without links."""
    quoted = shlex.quote(folder)
    answer = shell(link, f"mkdir -m 700 {quoted} && cd {quoted} && pwd -P")
    if answer.code:
        raise DeployError(
            f"No folder can be made on {link.name}: {_last(answer.err)}", "Name another folder in devices.toml."
        )
    return answer.out.decode().removesuffix("\n")


def _pack(files: Mapping[str, Path], archive: IO[bytes]) -> int:
    """Writes an archive that any tar reads, and returns its bytes."""
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, path in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(info, file)
    size = archive.tell()
    archive.seek(0)
    return size


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else ""
