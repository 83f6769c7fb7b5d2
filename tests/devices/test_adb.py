"""How adb is called; what comes of it is in test_remote."""

from __future__ import annotations

from contextlib import closing

from deploypipe.devices.adb import Adb
from deploypipe.devices.remote import Remote

from .conftest import Fake


def test_a_phone_is_named_by_its_serial(fake: Fake) -> None:
    with closing(Remote(Adb("phone", "0123"), str(fake.storage))):
        assert set(fake.calls) == {"-s 0123"}


def test_the_only_phone_needs_no_name(fake: Fake) -> None:
    with closing(Remote(Adb("phone", ""), str(fake.storage))):
        assert fake.calls == []


def test_a_phone_in_the_network_is_connected_first_and_after_a_loss(fake: Fake) -> None:
    with closing(Remote(Adb("phone", "127.0.0.1:15555"), str(fake.storage))) as phone:
        assert fake.calls == ["connect 127.0.0.1:15555", "-s 127.0.0.1:15555"]
        fake.fails("dead")
        phone.ask("true")
        assert fake.calls.count("connect 127.0.0.1:15555") == 2
