"""The system's ssh against a real server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from deploypipe.devices import remote
from deploypipe.devices.protocol import LostDeviceError
from deploypipe.devices.remote import Remote
from deploypipe.devices.ssh import Ssh

SSH = shutil.which("ssh")
pytestmark = pytest.mark.skipif(SSH is None, reason="there is no ssh client: apt-get install openssh-client")


class Server:
    """An ssh server in a thread, which lets in whoever is called `guest`.

    Attributes:
        port: On 127.0.0.1.
        connections: That are open now.
        accepted: How many there were.
    """

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._acceptor = self._do(self._listen())
        self.port = self._acceptor.get_port()

    def drop(self) -> None:
        """Ends all connections without a word, as a network does."""
        for connection in list(self.connections):
            self._loop.call_soon_threadsafe(connection.abort)

    def close(self) -> None:
        self.drop()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> Any:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _session(self),
            server_host_keys=[key],
            process_factory=_execute,
            encoding=None,
        )

    async def _end(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def _session(server: Server) -> Any:
    class Session(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            self.conn = conn
            server.accepted += 1
            server.connections.append(conn)

        def connection_lost(self, exc: Exception | None) -> None:
            server.connections.remove(self.conn)

        def begin_auth(self, username: str) -> bool:
            return username != "guest"

    return Session()


async def _execute(process: Any) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_shell(process.command, stdin=pipe, stdout=pipe, stderr=pipe)
    feeding = asyncio.ensure_future(_feed(process.stdin, child.stdin))
    # Not asyncssh's own redirect: now and then it loses the end of what is written.
    await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
    feeding.cancel()
    process.exit(await child.wait())


async def _feed(source: Any, sink: Any) -> None:
    await _copy(source, sink)
    sink.close()


async def _copy(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while chunk := await source.read(1 << 16):
            sink.write(chunk)
            await sink.drain()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with closing(Server()) as found:
        yield found


@pytest.fixture
def configured(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts an ssh before the system's that reads a configuration of these tests instead of the user's."""
    file, programs = tmp_path / "config", tmp_path / "programs"
    hosts = "".join(f"Host {name}\n  User {user}\n" for name, user in (("box", "guest"), ("shut", "stranger")))
    common = f"HostName 127.0.0.1\nPort {server.port}\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
    file.write_text(f"{hosts}Host *\n{common}StrictHostKeyChecking no\nIdentityFile none\nIdentityAgent none\n")
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {SSH} -F {file} "$@"\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    storage = tmp_path / "storage"
    storage.mkdir()
    return storage


@pytest.fixture
def box(configured: Path) -> Iterator[Remote]:
    with closing(Remote(Ssh("box", "box", None), str(configured))) as found:
        yield found


def test_files_and_commands_share_one_connection(server: Server, box: Remote, tmp_path: Path) -> None:
    before = server.accepted
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_000))
    assert box.push({"some where/big": big, "again": big}) == 6_000_000
    assert box.push({"again": big}) == 0
    done = box.run(["sh", "-c", "echo out; echo err >&2; exit 255"], timeout=60)
    assert (done.code, done.out, done.err) == (255, "out\n", "err\n")
    assert box.run(["sh", "-c", "kill -SEGV $$"], timeout=60).crash == "SIGSEGV"
    box.pull("some where/big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    assert server.accepted == before


def test_nothing_is_left_behind(server: Server, configured: Path) -> None:
    link = Ssh("box", "box", None)
    device = Remote(link, str(configured))
    sockets = Path(link._sockets.name)
    assert list(sockets.iterdir()), "the connection stays open between commands"
    device.close()
    assert not sockets.exists()
    assert list(configured.iterdir()) == []


def test_a_connection_that_breaks_in_a_run_is_no_crash(server: Server, box: Remote) -> None:
    def drop() -> None:
        while not Path(box.folder, "begun").exists():
            time.sleep(0.01)
        server.drop()

    dropper = threading.Thread(target=drop)
    dropper.start()
    with pytest.raises(LostDeviceError, match="box went away"):
        box.run(["sh", "-c", "touch begun; exec sleep 600"], timeout=600)
    dropper.join()
    assert box.run(["echo", "back"], timeout=60).out == "back\n"


def test_what_may_be_done_twice_survives_a_loss(server: Server, box: Remote, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("here")
    server.drop()
    assert box.push({"file": file}) == 4
    server.drop()
    assert box.ask("echo still") == "still\n"


def test_a_server_that_asks_for_a_password_is_not_waited_for(configured: Path) -> None:
    with pytest.raises(LostDeviceError, match=r"shut cannot be reached: .*Permission denied") as error:
        Remote(Ssh("shut", "shut", None), str(configured))
    assert error.value.cure == "See that `ssh shut true` works without a question."


def test_a_port_where_nobody_listens(configured: Path) -> None:
    with pytest.raises(LostDeviceError, match=r"box cannot be reached: .*[Cc]onnect"):
        Remote(Ssh("box", "box", 1), str(configured))
