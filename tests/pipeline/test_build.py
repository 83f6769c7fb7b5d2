"""`deploypipe.build`: what it gives, what it reuses, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import deploypipe
from deploypipe import ModelSpec, pipeline, runtimes, target
from deploypipe.capture import resolve
from deploypipe.errors import DeployError, VerdictError
from deploypipe.pipeline import Event, Outcome, Settings, keys
from deploypipe.processing import ClassOutput, Processing

ALL = {"capture": "reused", "lower": "reused", "verify": "reused"}
NONE = dict.fromkeys(ALL, "done")


@pytest.fixture
def built(own_cache: Path, tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Builds for torchscript in a cache of its own and returns the outcomes."""

    def build(*specs: ModelSpec, force: bool = False, names: Sequence[str] = ("torchscript",)) -> list[Outcome]:
        jobs = pipeline.jobs_of(specs, pipeline.choose_targets([], names))
        return pipeline.run(jobs, Settings(tmp_path / "dist", force))

    return build


def test_a_second_build_reuses_every_stage(built: Any, plain: Any) -> None:
    assert built(plain())[0].stages == NONE
    again = built(plain())[0]
    assert again.stages == ALL
    assert again.bundle is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 3},
        {"scale": 2.0},
        {"output_names": ["z"]},
        {"dynamic_axes": {}},
        {"calibration": [(torch.zeros(3, 4),)]},
        {"evaluate": lambda _: 1.0},
        {"processing": Processing(outputs={"y": ClassOutput(labels=("a", "b", "c"))})},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_changed_model_has_another_key(plain: Any, fields: dict[str, Any]) -> None:
    key, changed = (keys.capture(resolve(spec), None) for spec in (plain(), plain(**fields)))
    assert key is not None
    assert key == keys.capture(resolve(plain()), None)
    assert key != changed


def test_changed_weights_reuse_nothing(built: Any, plain: Any) -> None:
    built(plain())
    assert built(plain(seed=3))[0].stages == NONE


def test_force_runs_every_stage_and_a_shared_one_once(built: Any, plain: Any) -> None:
    built(plain())
    script, onnx = built(plain(), force=True, names=("torchscript", "onnxruntime"))
    assert script.stages == NONE
    assert onnx.stages == NONE | {"capture": "reused"}


def test_changed_limits_verify_again_and_no_more(own_cache: Path, plain: Any, tmp_path: Path) -> None:
    states = []
    for limit in (1e-4, 1e-3):
        table = {"name": "edge", "artifact": [{"runtime": "torchscript"}], "limits": {"normalized_error": limit}}
        jobs = pipeline.jobs_of([plain()], [target.parse(table, "edge")])
        states.append(pipeline.run(jobs, Settings(tmp_path / "dist"))[0].stages)
    assert states == [NONE, ALL | {"verify": "done"}]


def test_a_damaged_delivered_bundle_is_replaced_from_the_cache(built: Any, plain: Any) -> None:
    place = built(plain())[0].bundle.path
    intact = (place / "model.pt").read_bytes()
    (place / "model.pt").write_bytes(intact[:-1])
    assert built(plain())[0].stages == ALL
    assert (place / "model.pt").read_bytes() == intact


class Opaque:
    """Its content cannot be told."""

    def __call__(self, predict: Callable[..., Any]) -> float:
        return float(predict(np.ones((1, 4), "float32"))[0].shape[0])


def test_a_model_whose_content_cannot_be_told_is_built_every_time(built: Any, plain: Any) -> None:
    for _ in range(2):
        assert built(plain(evaluate=Opaque()))[0].stages == NONE


def test_an_observer_sees_every_stage_and_outcome(own_cache: Path, plain: Any, tmp_path: Path) -> None:
    seen: list[Event | Outcome] = []
    jobs = pipeline.jobs_of([plain()], pipeline.choose_targets([], ["torchscript"]))
    (outcome,) = pipeline.run(jobs, Settings(tmp_path / "dist", observe=seen.append))
    events = [(each.stage, each.state) for each in seen if isinstance(each, Event)]
    assert events == [(stage, state) for stage in NONE for state in ("started", "done")]
    assert seen[-1] is outcome


def test_a_bundle_lies_at_its_place_and_can_be_loaded(own_cache: Path, plain: Any, tmp_path: Path) -> None:
    (bundle,) = deploypipe.build(plain(), out=str(tmp_path / "dist"), runtimes=["torchscript"])
    assert bundle.path == tmp_path / "dist" / "plain" / "host" / "torchscript-fp32"
    assert deploypipe.load(bundle.path).manifest == bundle.manifest


def test_an_accuracy_that_drops_fails_the_build(own_cache: Path, plain: Any, tmp_path: Path) -> None:
    scores = iter([90.0, 89.0])
    with pytest.raises(VerdictError, match=r"accuracy: drop in points 1, limit 0.5 \(test set\)") as caught:
        deploypipe.build(plain(evaluate=lambda _: next(scores)), out=tmp_path / "dist", runtimes=["torchscript"])
    assert caught.value.exit_code == 1
    assert not list((tmp_path / "dist").rglob("manifest.json"))


def test_a_lowering_that_changes_the_answers_fails_the_build(
    own_cache: Path, plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = runtimes.get("torchscript")
    real = runtime.lower

    def wrong(program: Any, form: Any, artifact: Path) -> Any:
        program.spec.module.second.data.mul_(1.01)
        return real(program, form, artifact)

    monkeypatch.setattr(runtime, "lower", wrong)
    with pytest.raises(VerdictError, match=r"plain/host/torchscript-fp32: y: normalized_error 0.0\d+, limit 0.0001"):
        deploypipe.build(plain(), out=tmp_path / "dist", runtimes=["torchscript"])


def test_a_failure_leaves_the_earlier_bundle_and_says_so(
    built: Any, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = built(plain())[0].bundle.path
    before = (place / "manifest.json").read_bytes()

    def fails(*_: Any) -> Any:
        raise DeployError("It cannot be lowered", "Wait.")

    monkeypatch.setattr(runtimes.get("torchscript"), "lower", fails)
    (outcome,) = built(plain(seed=1))
    assert outcome.bundle is None
    assert outcome.error == "It cannot be lowered. Wait. The bundle of an earlier build was left in its place."
    assert (place / "manifest.json").read_bytes() == before


def test_one_artifact_that_fails_does_not_stop_the_others(
    built: Any, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise DeployError("It cannot be lowered")

    monkeypatch.setattr(runtimes.get("onnxruntime"), "lower", fails)
    onnx, script = built(plain(), names=("onnxruntime", "torchscript"))
    assert (onnx.bundle, onnx.error) == (None, "It cannot be lowered")
    assert script.bundle is not None


def test_a_model_that_cannot_be_captured_does_not_stop_the_others(built: Any, plain: Any) -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ torch.ones(5, 5)

    broken = ModelSpec("broken", Broken(), (torch.ones(2, 4),))
    failed, fine = built(broken, plain())
    assert failed.bundle is None
    assert failed.error.startswith("The model 'broken' fails on its example inputs")
    assert fine.bundle is not None
    with pytest.raises(DeployError, match="fails on its example inputs"):
        built(broken)


def test_nothing_half_made_is_left_when_a_stage_is_interrupted(
    built: Any, plain: Any, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_program: Any, _form: Any, artifact: Path) -> Any:
        artifact.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(runtimes.get("torchscript"), "lower", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built(plain())
    assert list((own_cache / "lower").iterdir()) == []
    assert list((tmp_path / "dist").rglob("*")) == []


def test_a_bundle_for_a_browser_holds_no_op_library(hashing: ModelSpec, own_cache: Path, tmp_path: Path) -> None:
    table = {"name": "page", "platform": "browser", "artifact": [{"runtime": "onnxruntime"}]}
    (bundle,) = deploypipe.build(hashing, target.parse(table, "page.toml"), out=tmp_path / "dist")
    manifest = bundle.manifest
    assert (manifest.platform, manifest.libraries()) == ("browser", ())
    assert [(op.path, op.reason) for op in manifest.ops] == [("inlined", "A browser loads no op library")]
    assert sorted(path.name for path in bundle.path.iterdir()) == ["golden.safetensors", "manifest.json", "model.onnx"]
    assert deploypipe.load(bundle.path).verify().passed
