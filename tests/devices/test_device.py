"""Opening devices: launcher, lock, and what is told in the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from deploypipe.devices import emulator, lock
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.device import Device, connected, opened
from deploypipe.devices.protocol import LostDeviceError
from deploypipe.errors import DeployError

from .conftest import Fake

pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_launcher_stands_before_what_is_measured(config: DeviceConfig) -> None:
    launched = config.model_copy(update={"launcher": ("env", "LANE=1")})
    with opened(launched) as device:
        assert device.run(["sh", "-c", "echo lane $LANE"], timeout=60).out == "lane 1\n"
        assert device.run_plain(["sh", "-c", "echo lane $LANE"], timeout=60).out == "lane\n"


def test_a_device_is_locked_while_it_is_open(config: DeviceConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    class HeldError(Exception):
        pass

    def tell(text: str) -> None:
        raise HeldError(text)

    monkeypatch.setattr(lock, "MOMENT", 0.0)
    with opened(config), pytest.raises(HeldError, match=config.identity), opened(config, tell):
        pass
    with opened(config), connected(config, tell) as asked:
        assert asked.facts().cores


def lose(device: Device, fake: Fake, *faults: str, files: Mapping[str, Path] | None = None) -> None:
    """Loses a device in the middle of a measurement."""
    device.push(files or {})
    fake.fails(*faults)
    device.run(["seq", "1000"], timeout=60)


def test_a_lost_device_is_told_and_does_not_hide_what_went_wrong(config: DeviceConfig, fake: Fake) -> None:
    told: list[str] = []
    with pytest.raises(LostDeviceError, match="box went away"), opened(config, told.append) as device:
        lose(device, fake, *["middle"] * 9)
    assert len(told) == 1
    assert told[0].startswith(f"box does not answer, so {fake.storage}/deploypipe-")


def test_a_device_that_is_back_in_the_end_is_cleaned(config: DeviceConfig, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LostDeviceError), opened(config, pytest.fail) as device:
        lose(device, fake, "dead", files={"file": tmp_path / "file"})
    assert list(fake.storage.iterdir()) == []


def test_the_platform_may_be_named(config: DeviceConfig) -> None:
    named = config.model_copy(update={"platform": "linux-riscv64"})
    with opened(named) as device:
        assert device.facts().platform == "linux-riscv64"


@pytest.mark.skipif(not emulator.available().ok, reason=emulator.available().reason)
def test_an_emulated_device_is_what_the_emulator_plays() -> None:
    with opened(DeviceConfig(name="a53", emulates="cortex-a53", platform="linux-aarch64")) as device:
        found = device.facts()
        assert (found.platform, found.cpu, found.governor) == ("linux-aarch64", "cortex-a53", "")
        assert found.system.startswith("emulated on ")
        assert "cortex-a53" in device.launcher


def test_a_processor_that_cannot_be_emulated() -> None:
    device = DeviceConfig(name="a52", emulates="cortex-a52", platform="linux-aarch64")
    with pytest.raises(DeployError, match="cortex-a52"), opened(device):
        pass
