"""One measurement at a time on a device, between threads and between processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploypipe.devices import config as files
from deploypipe.devices import lock

_HOLD = """
import sys
from deploypipe.devices import lock
with lock.held(sys.argv[1], print):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(device: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a process that has a device until it is told to end."""
    command = [sys.executable, "-c", _HOLD, device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.fixture(autouse=True)
def no_moment(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tells at once of a device that is not free."""
    monkeypatch.setattr(lock, "MOMENT", 0.0)


def test_another_process_is_waited_for() -> None:
    told: list[str] = []
    with another_process("ssh box") as process:

        def tell(text: str) -> None:
            told.append(text)
            assert process.stdin
            process.stdin.close()  # only now it lets go

        with lock.held("ssh box", tell):
            assert process.wait() == 0
    assert told == [f"waiting for ssh box, which process {process.pid} is measuring on"]


def test_a_process_that_dies_lets_go() -> None:
    with another_process("ssh box") as process:
        process.kill()
        process.wait()
        with lock.held("ssh box", pytest.fail):
            pass


def test_another_thread_is_waited_for() -> None:
    measuring: list[str] = []

    def measure(name: str) -> None:
        for _ in range(20):
            with lock.held("this machine", lambda _: None):
                measuring.append(name)
                assert measuring == [name]
                measuring.remove(name)

    threads = [threading.Thread(target=measure, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measuring == []


def test_other_devices_are_free() -> None:
    with lock.held("ssh box", pytest.fail), lock.held("adb 0123", pytest.fail):
        pass


def test_the_holder_is_named() -> None:
    told: list[str] = []
    waiting = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        waiting.set()

    def wait() -> None:
        with lock.held("this machine", tell):
            pass

    thread = threading.Thread(target=wait)
    with lock.held("this machine", pytest.fail):
        thread.start()
        waiting.wait()
    thread.join()
    assert told == [f"waiting for this machine, which process {os.getpid()} is measuring on"]


def test_emulated_devices_share_the_machine_that_they_are_emulated_on() -> None:
    known = files.read()
    assert {known[name].identity for name in ("local", "cortex-a53", "cortex-a76")} == {"this machine"}
