from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from deploypipe import zoo
from deploypipe.errors import DeployError
from deploypipe.fingerprint import digest
from deploypipe.predict import eager
from deploypipe.zoo import checkpoint, models, training
from deploypipe.zoo.definition import Recipe


def test_the_spec_of_a_checkpoint(mlp_checkpoint: Path) -> None:
    spec = zoo.spec("mlp", checkpoint=mlp_checkpoint)
    assert (spec.name, tuple(spec.input_names), tuple(spec.output_names)) == ("mlp", ("image",), ("logits",))
    (image,) = spec.example_inputs
    assert image.shape[1:] == (1, 8, 8)
    assert len(image) >= 16
    assert not spec.module.training
    batches = list(spec.calibration or ())
    assert len(batches) == 4
    assert all(isinstance(batch, tuple) and len(batch) == 1 for batch in batches)
    assert digest(spec.evaluate) == digest(zoo.spec("mlp", checkpoint=mlp_checkpoint).evaluate)


def test_evaluate_gives_the_accuracy_of_the_checkpoint(mlp_checkpoint: Path) -> None:
    spec = zoo.spec("mlp", checkpoint=mlp_checkpoint)
    _, origin = checkpoint.read(mlp_checkpoint)
    assert spec.evaluate is not None
    assert origin is not None
    assert spec.evaluate(eager(spec.module)) == origin.accuracy


def test_train_trains_on_the_same_way_each_time_and_can_go_to_another_process(mlp_checkpoint: Path) -> None:
    spec = zoo.spec("mlp", checkpoint=mlp_checkpoint)
    other = pickle.loads(pickle.dumps(spec))
    state = torch.get_rng_state()
    for each in (spec, other):
        assert each.train is not None
        each.train(each.module, 1)
        assert not each.module.training
    first, second = (each.module.state_dict() for each in (spec, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)
    assert digest(spec.train) == digest(other.train)


@pytest.mark.parametrize(("epochs", "share"), [(1, 0.2), (10, 0.5), (20, 1.0), (50, 1.0)])
def test_the_rate_of_train_grows_to_that_of_the_recipe(
    epochs: int, share: float, mlp_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes: list[Recipe] = []
    monkeypatch.setattr(training, "fit", lambda _module, recipe, *_: recipes.append(recipe))
    spec = zoo.spec("mlp", checkpoint=mlp_checkpoint)
    assert spec.train is not None
    spec.train(spec.module, epochs)
    whole = models.get("mlp").recipes["digits"]
    assert (recipes[0].epochs, recipes[0].learning_rate) == (epochs, share * whole.learning_rate)


def test_evaluate_runs_batches_of_at_most_32_and_sees_every_image(mlp_checkpoint: Path) -> None:
    sizes: list[int] = []

    def constant(image: np.ndarray) -> tuple[np.ndarray, ...]:
        sizes.append(len(image))
        return (np.eye(10, dtype=np.float32)[np.zeros(len(image), int)],)

    evaluate = zoo.spec("mlp", checkpoint=mlp_checkpoint).evaluate
    assert evaluate is not None
    assert 5 < float(evaluate(constant)) < 15
    assert max(sizes) <= 32
    assert sum(sizes) == 450


def test_without_a_checkpoint_the_cached_training_serves(mlp_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deploypipe.zoo import deploy

    monkeypatch.setattr(deploy, "trained", lambda *_: (mlp_checkpoint, True))
    assert zoo.spec("mlp").name == "mlp"


def test_a_checkpoint_of_another_model(mlp_checkpoint: Path) -> None:
    with pytest.raises(DeployError, match="holds the model 'mlp', not 'lltm'"):
        zoo.spec("lltm", checkpoint=mlp_checkpoint)


def test_a_checkpoint_of_other_data(mlp_checkpoint: Path, fashion: Path) -> None:
    with pytest.raises(DeployError, match="trained on 'digits', not 'fashion-mnist'"):
        zoo.spec("mlp", "fashion-mnist", fashion, mlp_checkpoint)


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is no checkpoint"):
        zoo.spec("mlp", checkpoint=tmp_path / "none")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_that_is_no_checkpoint(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(DeployError, match="is not a"):
        zoo.spec("mlp", checkpoint=path)


def test_a_truncated_checkpoint(mlp_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(mlp_checkpoint.read_bytes()[:-100])
    with pytest.raises(DeployError, match="not a safetensors file"):
        zoo.spec("mlp", checkpoint=tmp_path / "x")


def _with_metadata(path: Path, out: Path, metadata: dict[str, str]) -> Path:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    out.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    return out


def test_a_checkpoint_of_another_form(mlp_checkpoint: Path, tmp_path: Path) -> None:
    path = _with_metadata(mlp_checkpoint, tmp_path / "x", {"deploypipe.checkpoint.9": ""})
    with pytest.raises(DeployError, match=r"form 'deploypipe.checkpoint.9', known is"):
        zoo.spec("mlp", checkpoint=path)


def test_a_checkpoint_that_says_nonsense(mlp_checkpoint: Path, tmp_path: Path) -> None:
    path = _with_metadata(mlp_checkpoint, tmp_path / "x", {"deploypipe.checkpoint.1": "{}"})
    with pytest.raises(DeployError, match="does not say what it holds"):
        zoo.spec("mlp", checkpoint=path)


def test_weights_that_do_not_fit(mlp_checkpoint: Path, tmp_path: Path) -> None:
    tensors, origin = checkpoint.read(mlp_checkpoint)
    assert origin is not None
    tensors.pop("layers.1.bias")
    checkpoint.write(tmp_path / "x", tensors, origin)
    with pytest.raises(DeployError, match="does not fit MLP"):
        zoo.spec("mlp", checkpoint=tmp_path / "x")


def test_plain_weights_are_for_mobilenet_only(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2, 2)}, tmp_path / "x.pth")
    with pytest.raises(DeployError, match="does not say what model it holds"):
        zoo.spec("mlp", checkpoint=tmp_path / "x.pth")


@pytest.mark.parametrize(("classes", "scored"), [(10, True), (1000, False)])
def test_plain_weights_of_mobilenet(tmp_path: Path, classes: int, scored: bool) -> None:
    module = models.get("mobilenet_v3_small").build((1, 8, 8), classes, 7).eval()
    torch.save(module.state_dict(), tmp_path / "x.pth")
    spec = zoo.spec("mobilenet_v3_small", checkpoint=tmp_path / "x.pth")
    (image,) = spec.example_inputs
    assert image.shape[1:] == (3, 64, 64)
    torch.testing.assert_close(spec.module(image), module(image))
    assert (spec.evaluate is not None) is scored
    assert (spec.train is not None) is scored


@pytest.mark.parametrize("name", ["lltm", "gcwsnet"])
def test_models_with_custom_ops_survive_their_checkpoint(name: str, tmp_path: Path) -> None:
    result = zoo.train(name, epochs=1, seed=2, out=tmp_path / "x")
    spec = zoo.spec(name, checkpoint=result.path)
    assert spec.evaluate is not None
    assert spec.evaluate(eager(spec.module)) == result.accuracy
