"""Every precision on every runtime: accuracy, size, what the artifact holds, and the hashes of CWS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import deploypipe
from deploypipe import ModelSpec, pipeline, runtimes, target, zoo
from deploypipe.bundle.manifest import Manifest
from deploypipe.errors import VerdictError
from deploypipe.ops import CWS
from deploypipe.pipeline import Outcome
from deploypipe.precision import PRECISIONS

pytestmark = pytest.mark.slow

# Of the fp32 file. The tables of gcwsnet's hashes stay float, 9 % of it, and an LLTM has no form of fewer than 8 bits.
SHARES = {
    ("mlp", "bf16"): 0.55,
    ("mlp", "int8"): 0.30,
    ("mlp", "int4"): 0.20,
    ("lltm", "bf16"): 1.0,
    ("lltm", "int8"): 0.30,
    ("lltm", "int4"): 0.30,
    ("gcwsnet", "bf16"): 0.60,
    ("gcwsnet", "int8"): 0.33,
    ("gcwsnet", "int4"): 0.33,
}
LARGER = {
    # Half of a package is code, whose size does not depend on the precision.
    ("lltm", "aotinductor-int8-dynamic"): 0.45,
    ("lltm", "aotinductor-int8-static"): 0.45,
    # The graph of a loop that is written out holds a scale for each step.
    ("lltm", "litert-int8-static"): 0.45,
    ("lltm", "litert-int8-weight"): 0.33,
    ("lltm", "executorch-int8-static"): 0.31,
    ("lltm", "tflite-runtime-int8-static"): 0.45,
    ("lltm", "tflite-runtime-int8-weight"): 0.33,
}


@dataclass(frozen=True)
class Pair:
    """A runtime with a precision that it offers."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        return f"{self.runtime}-{self.precision}"

    @property
    def kind(self) -> str:
        return self.precision.partition("-")[0]


PAIRS = [Pair(name, each) for name in runtimes.NAMES for each in runtimes.get(name).PRECISIONS if each != "fp32"]


def built(spec: ModelSpec, pair: Pair, out: Path, precision: str) -> Outcome:
    wanted = target.host_target([pair.runtime], precision)
    limits = wanted.limits.model_copy(update={"accuracy_drop": 1.0 if precision == "int4-weight" else 0.5})
    jobs = pipeline.jobs_of([spec], [wanted.model_copy(update={"limits": limits})])
    (outcome,) = pipeline.run(jobs, pipeline.Settings(out, log=pipeline.default_log()))
    return outcome


def manifest_of(outcome: Outcome) -> Manifest:
    assert outcome.bundle is not None, outcome.error
    return outcome.bundle.manifest


def artifact_size(manifest: Manifest) -> int:
    return manifest.sizes[manifest.artifact]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("model", ["mlp", "lltm", "gcwsnet"])
def test_a_trained_model_keeps_its_accuracy_and_gets_small(model: str, pair: Pair, tmp_path: Path) -> None:
    """The verdict compares outputs and the score on held-out images with eager PyTorch."""
    spec = zoo.spec(model)
    full, small = (manifest_of(built(spec, pair, tmp_path, each)) for each in ("fp32", pair.precision))
    share = artifact_size(small) / artifact_size(full)
    assert share <= LARGER.get((model, str(pair)), SHARES[model, pair.kind])


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_layer_is_in_few_bits_or_says_why_not(pair: Pair, tmp_path: Path) -> None:
    layers = manifest_of(built(zoo.spec("mlp"), pair, tmp_path, pair.precision)).layers
    assert [each.name for each in layers] == ["layers.1", "layers.3", "layers.5"]
    assert any(each.precision == pair.kind for each in layers)
    assert all(each.reason for each in layers if each.precision == "fp32")


class Hashed(torch.nn.Module):
    """Hashes, as they are and after a layer, beside a layer that can be quantized."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cws = CWS(64, 32)
        self.before = torch.nn.Linear(64, 64)
        self.beside = torch.nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (*self.cws(x), *self.cws(self.before(x).relu()), self.beside(x))


@pytest.fixture(scope="module")
def hashed() -> ModelSpec:
    data = torch.rand(128, 64, generator=torch.Generator().manual_seed(1))
    return ModelSpec("hashed", Hashed(), (data[:2],), calibration=[(data,)])


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_no_precision_changes_a_hash(hashed: ModelSpec, pair: Pair, tmp_path: Path) -> None:
    """Neither those of the input nor those of a layer, which must then stay float."""
    manifest = manifest_of(built(hashed, pair, tmp_path, pair.precision))
    states = {each.name: each.precision for each in manifest.layers}
    assert states == {"cws": "fp32", "before": "fp32", "beside": pair.kind}
    full = manifest_of(built(hashed, pair, tmp_path, "fp32"))
    data = np.random.default_rng(2).random((50, 64), np.float32)
    exact, small = (
        deploypipe.load(tmp_path / "hashed" / "host" / f"{pair.runtime}-{each.request.precision}")(data)
        for each in (full, manifest)
    )
    for one, other in zip(small[:2], exact[:2], strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(small[2:4], exact[2:4], strict=True):
        assert np.mean(one != other) < 0.01


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_layer_that_is_to_stay_float_does(pair: Pair, tmp_path: Path) -> None:
    spec = zoo.spec("mlp")
    wanted = target.parse(
        {
            "name": "spared",
            "artifact": [{"runtime": pair.runtime, "precision": pair.precision, "kept_float": ["layers.3"]}],
        },
        "spared",
    )
    (outcome,) = pipeline.run(
        pipeline.jobs_of([spec], [wanted]), pipeline.Settings(tmp_path, log=pipeline.default_log())
    )
    states = {each.name: each for each in manifest_of(outcome).layers}
    assert states["layers.3"].precision == "fp32"
    assert states["layers.3"].reason == "it was asked to stay float"
    assert any(each.precision == pair.kind for each in states.values())


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_what_a_runtime_refuses_names_what_works_instead(name: str) -> None:
    runtime = runtimes.get(name)
    for refusal in runtime.REFUSED.values():
        precision, _, other = refusal.nearest.partition(" on ")
        assert precision in runtimes.get(other or name).PRECISIONS
    assert {*runtime.PRECISIONS, *runtime.REFUSED} == set(PRECISIONS)


def test_a_quantizer_that_drops_a_scale_does_not_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a known tool does with weights of 8 bits: the answers are thousands of times too large."""
    from deploypipe.runtimes import onnxruntime

    lower = onnxruntime.lower

    def broken(*arguments: object) -> object:
        lowered = lower(*arguments)  # type: ignore[arg-type]
        _drop_scales(arguments[2])  # type: ignore[arg-type]
        return lowered

    monkeypatch.setattr(onnxruntime, "lower", broken)
    with pytest.raises(VerdictError, match="normalized_error"):
        deploypipe.build(zoo.spec("mlp"), out=tmp_path, runtimes=["onnxruntime"], precision="int8-static", force=True)
    assert not list(tmp_path.rglob("manifest.json"))


def _drop_scales(artifact: Path) -> None:
    import onnx

    model = onnx.load(artifact)
    scales = {node.input[1] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    weights = [each for each in model.graph.initializer if each.name in scales and "weight" in each.name]
    assert weights
    for each in weights:
        each.CopyFrom(onnx.numpy_helper.from_array(np.ones_like(onnx.numpy_helper.to_array(each)), each.name))
    onnx.save(model, artifact)
