"""Devices behind adb and ssh: what works, and each way in which a link and a runner die."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deploypipe.devices import remote
from deploypipe.devices.adb import Adb
from deploypipe.devices.protocol import LostDeviceError
from deploypipe.devices.remote import Remote, unwrapped, wrapped
from deploypipe.errors import DeployError

from .conftest import Fake, are_gone, processes_in


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files with names, bytes and permissions that are easily lost."""
    program, data = tmp_path / "program.sh", tmp_path / "data"
    program.write_text('#!/bin/sh\necho "$#: $1"\n')
    program.chmod(0o755)
    data.write_bytes(bytes(range(256)) * 500 + b"\r\n\n")
    return {"bin/program.sh": program, "a folder/dätä $HOME; x": data}


def test_files_go_there_and_come_back(device: Remote, files: dict[str, Path], tmp_path: Path) -> None:
    assert device.push(files) == sum(path.stat().st_size for path in files.values())
    device.pull("a folder/dätä $HOME; x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == files["a folder/dätä $HOME; x"].read_bytes()


def test_words_arrive_as_they_are(device: Remote, files: dict[str, Path]) -> None:
    device.push(files)
    done = device.run(["bin/program.sh", 'it\'s "$HOME"; `exit 3` &&\n*'], timeout=60)
    assert (done.code, done.out) == (0, '1: it\'s "$HOME"; `exit 3` &&\n*\n')


def test_streams_and_status_are_those_of_the_command(device: Remote) -> None:
    done = device.run(["sh", "-c", "printf out; printf 'err\\n' >&2; exit 255"], timeout=60)
    assert (done.code, done.out, done.err, done.crash) == (255, "out", "err\n", "")


def test_what_is_there_already_is_not_copied(device: Remote, files: dict[str, Path]) -> None:
    device.push(files)
    assert device.push(files) == 0
    files["bin/program.sh"].write_text("#!/bin/sh\n")
    assert device.push(files) == len("#!/bin/sh\n")
    assert device.push({}) == 0


def test_nothing_is_left_behind(fake: Fake, files: dict[str, Path]) -> None:
    device = Remote(Adb("box", ""), str(fake.storage))
    device.push(files)
    device.run(["sh", "-c", "mkdir made; touch made/more"], timeout=60)
    device.close()
    assert list(fake.storage.iterdir()) == []


@pytest.mark.parametrize("signal", ["SEGV", "KILL", "ILL", "TERM"])
def test_a_runner_that_a_signal_ends_is_a_crash(device: Remote, signal: str) -> None:
    done = device.run(["sh", "-c", f"echo begun; kill -{signal} $$"], timeout=60)
    assert (done.crash, done.out) == (f"SIG{signal}", "begun\n")


def test_a_command_that_is_not_there(device: Remote) -> None:
    done = device.run(["no-such-program"], timeout=60)
    assert done.code == 127
    assert "no-such-program" in done.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("dead", "box cannot be reached"),
        ("middle", "box went away"),
        ("refused", "box cannot be reached: connect to host box port 22: Connection refused"),
    ],
)
def test_a_lost_link_is_no_result(device: Remote, fake: Fake, fault: str, said: str) -> None:
    before = fake.scripts
    fake.fails(fault)
    with pytest.raises(LostDeviceError) as error:
        device.run(["seq", "1000"], timeout=60)
    assert error.value.message == said
    assert error.value.cure.startswith("See that `")
    assert fake.scripts == before + 1, "a measurement is never taken twice"


def test_a_device_that_hangs_is_lost(device: Remote, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.fails("hang")
    with monkeypatch.context() as patch:
        patch.setattr(remote, "PATIENCE", 0.1)
        with pytest.raises(LostDeviceError, match="box does not answer for"):
            device.run(["true"], timeout=0.1)


def test_a_command_that_takes_too_long_is_ended_there(device: Remote) -> None:
    with pytest.raises(DeployError, match="sleep took longer than 1 s and was ended") as error:
        device.run(["sleep", "600"], timeout=1)
    assert not isinstance(error.value, LostDeviceError)
    assert are_gone(device.folder)


def test_a_status_that_looks_like_a_timeout_is_a_status(device: Remote) -> None:
    assert device.run(["sh", "-c", "exit 124"], timeout=60).code == 124


@pytest.mark.parametrize("faults", [("dead",), ("refused", "middle"), ("", "dead"), ("", "middle", "dead")])
def test_files_are_sent_again_after_a_loss(
    device: Remote, fake: Fake, files: dict[str, Path], faults: tuple[str, ...]
) -> None:
    fake.fails(*faults)
    assert device.push(files) > 0
    assert device.push(files) == 0


def test_what_did_not_arrive_is_sent_again(device: Remote, fake: Fake, files: dict[str, Path]) -> None:
    fake.fails("", "deaf")
    assert device.push(files) > 0
    assert device.push(files) == 0


def test_questions_and_files_are_asked_for_again(device: Remote, fake: Fake, tmp_path: Path) -> None:
    device.run(["sh", "-c", "seq 1000 > numbers"], timeout=60)
    fake.fails("dead", "middle")
    assert device.ask("echo $((1 + 1))") == "2\n"
    fake.fails("middle", "refused")
    device.pull("numbers", tmp_path / "numbers")
    assert (tmp_path / "numbers").read_text().splitlines()[-1] == "1000"


def test_a_device_that_stays_away_is_lost(device: Remote, fake: Fake, files: dict[str, Path]) -> None:
    fake.fails("dead", "dead", "dead")
    with pytest.raises(LostDeviceError, match="box cannot be reached"):
        device.push(files)
    assert device.push(files) > 0, "it is back"


def test_a_run_that_was_lost_does_not_disturb_the_next(device: Remote, fake: Fake) -> None:
    fake.fails("drops")
    with pytest.raises(LostDeviceError):
        device.run(["sh", "-c", "echo begun; sleep 600; true"], timeout=600)
    while not (fake.folder / "dropped").is_file() or "begun" not in (fake.folder / "dropped").read_text():
        time.sleep(0.01)
    assert any("sleep 600" in each for each in processes_in(device.folder))
    assert device.run(["echo", "next"], timeout=60).out == "next\n"
    assert are_gone(device.folder)


def test_a_device_that_was_restarted_gets_its_files_again(device: Remote, files: dict[str, Path]) -> None:
    device.push(files)
    Path(device.folder).rename(f"{device.folder}-gone")  # its storage is in memory
    with pytest.raises(LostDeviceError, match="box went away"):
        device.run(["bin/program.sh"], timeout=60)
    assert device.push(files) > 0
    assert device.run(["bin/program.sh"], timeout=60).code == 0


def test_a_login_that_talks_is_not_listened_to(device: Remote, fake: Fake) -> None:
    fake.fails("chatty")
    done = device.run(["sh", "-c", "echo out; echo err >&2"], timeout=60)
    assert (done.out, done.err) == ("out\n", "err\n")


def test_a_file_that_is_not_there(device: Remote, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is no report on box"):
        device.pull("report", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_file_that_cannot_be_written(device: Remote, files: dict[str, Path]) -> None:
    device.push({"bin": files["bin/program.sh"]})
    with pytest.raises(DeployError, match="Files cannot be copied to box: "):
        device.push(files)


def test_a_place_that_cannot_be_used(fake: Fake) -> None:
    with pytest.raises(DeployError, match=r"No folder can be made on box: .*No such file"):
        Remote(Adb("box", ""), str(fake.storage / "none"))


def test_a_device_that_is_gone_in_the_end_keeps_its_folder(fake: Fake) -> None:
    device = Remote(Adb("box", ""), str(fake.storage))
    fake.fails(*["dead"] * 3)
    with pytest.raises(LostDeviceError, match=f"box does not answer, so {device.folder} stays on it"):
        device.close()


def test_a_program_that_is_not_installed(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake.storage))
    with pytest.raises(DeployError, match="adb cannot be started: No such file or directory"):
        Remote(Adb("box", ""), str(fake.storage))


def test_marks_stand_around_all_that_is_written() -> None:
    script = wrapped("echo hello", "__DP_ab")
    assert script.startswith("exec sh -c ")
    assert unwrapped(b"motd\n__DP_ab\nhello\n\n__DP_ab=130\nbye\n", "__DP_ab") == (b"hello\n", 130)
    assert unwrapped(b"__DP_ab\n\n__DP_ab=0\n", "__DP_ab") == (b"", 0)
    assert unwrapped(b"__DP_ab\nhello\n\n__DP_cd=0\n", "__DP_ab") is None
    assert unwrapped(b"__DP_ab\nhello\n\n__DP_ab=", "__DP_ab") is None
