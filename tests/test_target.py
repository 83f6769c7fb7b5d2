"""Targets: the TOML files that come with the project, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploypipe import target
from deploypipe.errors import DeployError

MINIMAL = 'name = "edge"\n[[artifact]]\nruntime = "onnxruntime"\n'


def read(folder: Path, text: str) -> target.Target:
    path = folder / "edge.toml"
    path.write_text(text)
    return target.load(str(path))


def test_the_shipped_targets_are_those_of_the_project() -> None:
    wanted = {name: [each.folder for each in target.load(name).artifacts] for name in target.shipped()}
    assert wanted == {
        "browser": ["onnxruntime-fp32"],
        "laptop": ["onnxruntime-fp32"],
        "mobile": ["executorch-fp32", "executorch-fp32-decomposed", "litert-fp32-native", "litert-fp32-decomposed"],
        "server": ["aotinductor-fp32", "onnxruntime-fp32", "torchscript-fp32"],
    }


def test_a_file_with_the_least_has_defaults_for_the_rest(tmp_path: Path) -> None:
    loaded = read(tmp_path, MINIMAL)
    assert loaded.platform == "host"
    assert loaded.artifacts[0].precision == "fp32"
    assert loaded.limits.accuracy_drop == 0.5


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ('platfrom = "host"\n' + MINIMAL, "platfrom", "platform"),
        (MINIMAL + 'precison = "fp32"\n', "artifact.0.precison", "precision"),
        (MINIMAL + "[limits]\nnormalised_error = 1\n", "limits.normalised_error", "normalized_error"),
        (MINIMAL + "[budgets]\nsize = 1\n", "budgets.size", "size_mb"),
        ('artifacts = "x"\n' + MINIMAL, "artifacts", "artifact"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    with pytest.raises(DeployError) as caught:
        read(tmp_path, text)
    assert f"unknown key '{key}'" in caught.value.message
    assert caught.value.cure == f"Did you mean '{nearest}'?"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('name = "edge"\n', "artifact"),
        ('name = "edge"\nartifact = []\n', "artifact"),
        (MINIMAL.replace("edge", "../edge"), "name"),
        ("max_size = 0\n" + MINIMAL, "max_size"),
        ('max_size = "many"\n' + MINIMAL, "max_size"),
        (MINIMAL + "[limits]\naccuracy_drop = -1\n", "limits.accuracy_drop"),
        (MINIMAL + "[limits]\nnormalized_error = inf\n", "limits.normalized_error"),
        (MINIMAL + "[budgets]\nsize_mb = 0\n", "budgets.size_mb"),
        ('device = "pixel"\n' + MINIMAL, "device"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(DeployError, match=f"'{key}' is wrong"):
        read(tmp_path, text)


def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"is not TOML: .*line 1"):
        read(tmp_path, "name = \n")


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(DeployError, match=r"no target 'labtop'. Did you mean 'laptop'\?"):
        target.load("labtop")


def test_the_target_of_this_machine_has_one_artifact_per_runtime() -> None:
    host = target.host_target(["onnxruntime", "torchscript"], "fp32")
    assert host.name == "host"
    assert [each.folder for each in host.artifacts] == ["onnxruntime-fp32", "torchscript-fp32"]


@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-4), ("int8-static", 0.1), ("int4-weight", 0.3)])
def test_the_limit_of_the_error_is_that_of_the_precision_unless_it_is_given(
    precision: str, error: float, tmp_path: Path
) -> None:
    assert read(tmp_path, MINIMAL).limits.resolve(precision).normalized_error == error
    given = read(tmp_path, MINIMAL + "[limits]\nnormalized_error = 0.02\n")
    assert given.limits.resolve(precision).normalized_error == 0.02


def test_budgets_are_read_and_there_are_none_by_default(tmp_path: Path) -> None:
    assert read(tmp_path, MINIMAL).budgets == target.Budgets()
    given = read(tmp_path, 'device = "local"\n' + MINIMAL + "[budgets]\nsize_mb = 1.5\np90_ms = 20\n")
    assert given.budgets == target.Budgets(size_mb=1.5, p90_ms=20)


def test_a_budget_of_time_needs_a_device(tmp_path: Path) -> None:
    said = r"'edge' has a budget of 20 ms and no device to measure it on. Add `device = \"local\"` if"
    with pytest.raises(DeployError, match=said):
        read(tmp_path, MINIMAL + "[budgets]\np90_ms = 20\n")
    with pytest.raises(DeployError, match=said):
        read(tmp_path, MINIMAL).within(target.Budgets(p90_ms=20))


def test_other_budgets_leave_the_rest_of_a_target() -> None:
    laptop = target.load("laptop")
    tight = laptop.within(target.Budgets(size_mb=1, p90_ms=20))
    assert tight.budgets == target.Budgets(size_mb=1, p90_ms=20)
    assert tight.within(laptop.budgets) == laptop


def test_bundles_of_a_server_a_laptop_and_this_machine_run_here() -> None:
    targets = [*map(target.load, target.shipped()), target.host_target(["onnxruntime"], "fp32")]
    devices = {each.name: each.device for each in targets}
    assert devices == {"browser": None, "laptop": "local", "mobile": None, "server": "local", "host": "local"}
