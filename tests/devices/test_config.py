"""devices.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe.devices import config as files
from deploypipe.errors import DeployError

GOOD = """
[[device]]
name = "pi"
transport = "ssh"
host = "pi@raspberrypi.local"
port = 2222
launcher = ["taskset", "0x4"]
runtimes = { onnxruntime = "/opt/onnxruntime/libonnxruntime.so.1" }

[[device]]
name = "pixel"
transport = "adb"
serial = "0123456789"
platform = "android-arm64"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "devices.toml"


def test_without_a_file_there_are_this_machine_and_emulated_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = files.read()
    assert list(known) == ["local", "cortex-a53", "cortex-a76"]
    assert (known["local"].transport, known["local"].emulates) == ("local", "")
    assert (known["cortex-a53"].emulates, known["cortex-a53"].platform) == ("cortex-a53", "linux-aarch64")


def test_the_file_of_the_folder_is_read(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text(GOOD)
    monkeypatch.chdir(toml.parent)
    assert list(files.read()) == ["pi", "pixel", "local", "cortex-a53", "cortex-a76"]


def test_devices_are_what_the_file_says(toml: Path) -> None:
    toml.write_text(GOOD)
    pi, pixel = files.chosen(["pi", "pixel", "pi"], toml)
    assert (pi.host, pi.port, pi.launcher) == ("pi@raspberrypi.local", 2222, ("taskset", "0x4"))
    assert pi.runtimes == {"onnxruntime": "/opt/onnxruntime/libonnxruntime.so.1"}
    assert (pixel.serial, pixel.platform) == ("0123456789", "android-arm64")
    assert (pi.identity, pixel.identity) == ("ssh pi@raspberrypi.local:2222", "adb 0123456789")


def test_a_device_may_take_the_place_of_one_that_is_built_in(toml: Path) -> None:
    toml.write_text('[[device]]\nname = "local"\nlauncher = ["nice"]\n')
    assert files.read(toml)["local"].launcher == ("nice",)


def test_an_unknown_name_is_told_with_the_nearest(toml: Path) -> None:
    toml.write_text(GOOD)
    with pytest.raises(DeployError, match=r"There is no device 'pixl'\. Did you mean 'pixel'\?"):
        files.chosen(["pixl"], toml)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[device]\n", "devices.toml is not TOML: "),
        ("[device]\nname = 'pi'\n", r"devices.toml has no list of devices\. Each device is a table \[\[device\]\]"),
        ("[[devices]]\nname = 'pi'\n", r"devices.toml has an unknown key 'devices'"),
        (
            "[[device]]\nname = 'pi'\nhots = 'pi'\n",
            r"device pi has an unknown key 'hots'\. Did you mean 'host'\?",
        ),
        ("[[device]]\ntransport = 'adb'\n", r"device without a name: 'name' is wrong: Field required"),
        ("[[device]]\nname = 'a b'\n", "device a b: 'name' is wrong"),
        ("[[device]]\nname = 'pi'\ntransport = 'usb'\n", "device pi: 'transport' is wrong: .*'local', 'ssh' or 'adb'"),
        ("[[device]]\nname = 'pi'\ntransport = 'ssh'\n", "device pi: transport 'ssh' needs host"),
        ("[[device]]\nname = 'pi'\nhost = 'pi'\n", "device pi: transport 'local' has no host"),
        ("[[device]]\nname = 'pi'\nserial = '1'\n", "device pi: transport 'local' has no serial"),
        ("[[device]]\nname = 'pi'\ntransport = 'ssh'\nhost = '-oProxyCommand=x'\n", "device pi: 'host' is wrong"),
        ("[[device]]\nname = 'pi'\nfolder = 'here'\n", "device pi: 'folder' is wrong"),
        ("[[device]]\nname = 'pi'\nemulates = 'max'\n", "device pi: a processor is emulated on this machine"),
        ("[[device]]\nname = 'pi'\n[[device]]\nname = 'pi'\n", "has two devices 'pi'"),
        ("device = [1]\n", "device 1: "),
    ],
)
def test_what_is_wrong_is_said(toml: Path, text: str, said: str) -> None:
    toml.write_text(text)
    with pytest.raises(DeployError, match=said):
        files.read(toml)


def test_a_file_that_is_named_must_be_there(toml: Path) -> None:
    with pytest.raises(DeployError, match=r"devices.toml cannot be read: No such file or directory"):
        files.read(toml)
