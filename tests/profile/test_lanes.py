"""How a bundle is started on a device: where its files lie, and who opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploypipe.bundle import manifest as manifests
from deploypipe.devices.config import DeviceConfig
from deploypipe.devices.device import Device
from deploypipe.devices.protocol import Finished
from deploypipe.errors import DeployError
from deploypipe.native import sdk
from deploypipe.profile import facts, lanes, libraries
from deploypipe.profile.facts import Subject
from deploypipe.target import this_platform


@dataclass
class Noting:
    """A transport that notes what is copied."""

    pushed: dict[str, Path] = field(default_factory=dict)

    def push(self, files: Mapping[str, Path]) -> int:
        self.pushed |= files
        return 0

    def run(self, _command: Sequence[str], _timeout: float) -> Finished:
        raise AssertionError("nothing is run")

    def ask(self, _script: str) -> str:
        raise AssertionError("nothing is asked")

    def pull(self, _name: str, _to: Path) -> None:
        raise AssertionError("nothing is pulled")

    def close(self) -> None:
        pass


def device(noting: Noting, **config: Any) -> Device:
    return Device(DeviceConfig(name="device", **config), noting)


def subject(bundle: Path, **changes: Any) -> Subject:
    manifest = manifests.read(bundle).model_copy(update=changes)
    return Subject(bundle, manifest, facts.described(bundle, bundle, manifest))


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An SDK with one backend, in place of one that takes a minute to build."""
    folder = tmp_path / "tree"
    for name in (sdk.BENCH, "lib/libdeploypipe.so.0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setattr(sdk, "build", lambda _platform=None: sdk.Sdk(folder, ("onnxruntime",), {}))
    return folder


def test_here_files_are_used_where_they_are(onnx_bundle: Path, tree: Path, tmp_path: Path) -> None:
    transport = Noting()
    lane = lanes.lane(device(transport), this_platform(), subject(onnx_bundle), tmp_path / "made")
    library = str(libraries.installed("onnxruntime"))
    assert lane.command == (str(tree / sdk.BENCH), str(onnx_bundle), "--runtime-library", library)
    assert not transport.pushed
    assert not lane.in_python


def test_elsewhere_all_of_it_is_copied(onnx_bundle: Path, tmp_path: Path) -> None:
    transport = Noting()
    one = subject(onnx_bundle)
    lane = lanes.lane(device(transport, transport="adb"), this_platform(), one, tmp_path / "made")
    place = f"bundles/{one.facts.name}"
    library = next(name for name in transport.pushed if name.startswith("runtimes/onnxruntime/"))
    assert lane.command == (f"sdk/{sdk.BENCH}", place, "--runtime-library", library)
    assert {f"{place}/manifest.json", f"sdk/{sdk.BENCH}", "sdk/lib/libdeploypipe.so.0"} < set(transport.pushed)


def test_a_runtime_of_the_device_is_not_copied(onnx_bundle: Path, tmp_path: Path) -> None:
    transport = Noting()
    there = device(transport, transport="adb", runtimes={"onnxruntime": "/opt/libonnxruntime.so"})
    lane = lanes.lane(there, this_platform(), subject(onnx_bundle), tmp_path / "made")
    assert lane.command[-2:] == ("--runtime-library", "/opt/libonnxruntime.so")
    assert not [name for name in transport.pushed if name.startswith("runtimes/")]


@pytest.mark.parametrize(
    ("changes", "platform", "said"),
    [
        ({"platform": "browser"}, this_platform(), "The bundle is for browsers"),
        ({}, "android-arm64", "There is no library of onnxruntime here that could be copied to a device of android"),
    ],
)
def test_what_a_device_cannot_run_is_declined(
    onnx_bundle: Path, tmp_path: Path, changes: dict[str, Any], platform: str, said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        lanes.lane(device(Noting(), transport="adb"), platform, subject(onnx_bundle, **changes), tmp_path / "made")


def test_without_a_backend_python_opens_it_and_says_why(onnx_bundle: Path, tmp_path: Path) -> None:
    manifest = manifests.read(onnx_bundle)
    runtime = manifest.runtime.model_copy(update={"name": "tflite-runtime"})
    lane = lanes.lane(device(Noting()), this_platform(), subject(onnx_bundle, runtime=runtime), tmp_path / "made")
    assert "deploypipe.profile.worker" in lane.command
    assert lane.in_python == "the SDK has no backend for tflite-runtime"


def test_where_the_sdk_cannot_be_built_python_opens_it(
    onnx_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_platform: str | None = None) -> sdk.Sdk:
        raise DeployError("There is no nlohmann/json.hpp", "Install it.")

    monkeypatch.setattr(sdk, "build", refuse)
    lane = lanes.lane(device(Noting()), this_platform(), subject(onnx_bundle), tmp_path / "made")
    assert "deploypipe.profile.worker" in lane.command
    assert lane.in_python == "There is no nlohmann/json.hpp"
