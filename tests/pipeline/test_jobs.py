"""What is to be built, and what is refused before any work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploypipe import pipeline, runtimes, target
from deploypipe.availability import Availability
from deploypipe.errors import DeployError


def wanted(**fields: Any) -> target.Target:
    return target.parse({"name": "edge", "artifact": [{"runtime": "onnxruntime"}]} | fields, "edge.toml")


def test_without_a_choice_all_shipped_targets_are_built() -> None:
    assert [each.name for each in pipeline.choose_targets([], [])] == ["browser", "laptop", "mobile", "server"]


def test_runtimes_alone_are_for_this_machine() -> None:
    (host,) = pipeline.choose_targets([], ["torchscript", "onnxruntime", "torchscript"])
    assert host.name == "host"
    assert [each.runtime for each in host.artifacts] == ["torchscript", "onnxruntime"]


def test_a_precision_and_a_form_are_for_this_machine_only() -> None:
    (host,) = pipeline.choose_targets([], ["litert"], "int8-dynamic", False)
    assert [each.folder for each in host.artifacts] == ["litert-int8-dynamic-native"]
    for asked, names in ((["laptop"], ["onnxruntime"]), ([], [])):
        with pytest.raises(DeployError, match=r"targets say theirs in their file. Name a --runtime"):
            pipeline.choose_targets(asked, names, "fp32")


@pytest.mark.parametrize(
    ("runtime", "asked", "decomposed"),
    [("litert", None, True), ("litert", False, False), ("executorch", None, False), ("executorch", True, True)],
)
def test_a_runtime_says_whether_ops_are_decomposed_unless_the_target_does(
    plain: Any, runtime: str, asked: bool | None, decomposed: bool
) -> None:
    edge = wanted(artifact=[{"runtime": runtime, "decomposed": asked}])
    (job,) = pipeline.jobs_of([plain()], [edge])
    assert job.decomposed == decomposed


def test_runtimes_restrict_a_target() -> None:
    (server,) = pipeline.choose_targets(["server"], ["torchscript"])
    assert [each.runtime for each in server.artifacts] == ["torchscript"]


def test_there_is_one_job_per_model_and_artifact(plain: Any) -> None:
    jobs = pipeline.jobs_of([plain(), plain(name="other")], pipeline.choose_targets(["laptop"], []))
    assert [job.row for job in jobs] == ["plain/laptop/onnxruntime-fp32", "other/laptop/onnxruntime-fp32"]


@pytest.mark.parametrize(
    ("asked", "names", "said"),
    [
        (["servr"], [], r"no target 'servr'. Did you mean 'server'\?"),
        ([], ["onxruntime"], r"no runtime 'onxruntime'. Did you mean 'onnxruntime'\?"),
        (["laptop"], ["torchscript"], r"'laptop' has no artifact for torchscript. It has onnxruntime"),
        (["server", "server"], [], "Two targets have the name 'server'"),
        ([wanted(), wanted()], [], "Two targets have the name 'edge'"),
    ],
)
def test_a_wrong_choice_is_named(asked: list[Any], names: list[str], said: str) -> None:
    with pytest.raises(DeployError, match=said):
        pipeline.choose_targets(asked, names)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"artifact": [{"runtime": "onnx"}]}, "no runtime 'onnx'. Did you mean"),
        ({"artifact": [{"runtime": "onnxruntime", "precision": "fp23"}]}, "no precision 'fp23'. Did you mean 'fp32'"),
        ({"artifact": [{"runtime": "onnxruntime"}] * 2}, "'edge' asks for onnxruntime-fp32 twice"),
        ({"platform": "plan9-mips"}, "'edge' is for plan9-mips; this is "),
    ],
)
def test_a_target_that_cannot_be_built_here_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DeployError, match=said):
        pipeline.check_targets([wanted(**fields)])


def test_a_runtime_that_is_not_there_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Availability(False, "onnx is not installed. Run `pip install 'deploypipe[onnxruntime]'`.")
    monkeypatch.setattr(runtimes.get("onnxruntime"), "available", lambda: absent)
    with pytest.raises(DeployError, match=r"cannot be used here. onnx is not installed. Run"):
        pipeline.check_targets([wanted()])


def test_two_models_of_one_name_are_refused(plain: Any) -> None:
    with pytest.raises(DeployError, match="Two models have the name 'plain'"):
        pipeline.jobs_of([plain(), plain(seed=1)], [wanted()])


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DeployError, match=r"cannot be written: .* with --out"):
            pipeline.check_out(out)


def test_checking_the_output_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    pipeline.check_out(tmp_path / "dist" / "deep")
    assert list(tmp_path.iterdir()) == []


def test_a_browser_runs_portable_artifacts_only(plain: Any) -> None:
    (job,) = pipeline.jobs_of([plain()], [wanted(platform="browser")])
    assert target.platform_of(job.target) == "browser"
    assert target.platform_of(wanted()) == target.this_platform()
    with pytest.raises(DeployError, match=r"'edge' is for a browser, in which torchscript does not run. Take onnx"):
        pipeline.jobs_of([plain()], [wanted(platform="browser", artifact=[{"runtime": "torchscript"}])])
