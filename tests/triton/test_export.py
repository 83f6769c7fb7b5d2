"""Bundles as models of Triton's repository, read back by Triton's own definitions."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import deploypipe
from deploypipe.bundle import archive, integrity
from deploypipe.errors import DeployError, VerdictError
from deploypipe.triton.repository import Exported, export
from tests.bundle import damage

from .conftest import ReadConfig

Cli = Callable[..., Any]

MOUNT = PurePosixPath("/models")


def exported(bundle: Path, folder: Path) -> Exported:
    return export(bundle, folder / "repository", MOUNT)


def enum(message: Any, field: str) -> str:
    """The name of an enum's value."""
    name: str = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name
    return name


def test_an_onnx_bundle_becomes_a_model_that_triton_batches(
    onnx_bundle: Path, tmp_path: Path, read_config: ReadConfig
) -> None:
    place = exported(onnx_bundle, tmp_path).place
    config = read_config(place / "config.pbtxt")
    assert (config.name, config.backend, config.default_model_filename) == ("plain", "onnxruntime", "model.onnx")
    assert config.max_batch_size == deploypipe.load(onnx_bundle).manifest.axes["batch"].max
    assert config.HasField("dynamic_batching")
    assert [(each.name, list(each.dims), enum(each, "data_type")) for each in config.input] == [("x", [4], "TYPE_FP32")]
    assert [(each.name, list(each.dims)) for each in config.output] == [("y", [3])]
    assert [enum(group, "kind") for group in config.instance_group] == ["KIND_CPU"]
    assert config.version_policy.latest.num_versions == 1
    assert not config.HasField("model_operations")
    assert (place / "1" / "model.onnx").read_bytes() == (onnx_bundle / "model.onnx").read_bytes()


def test_the_warm_up_is_a_row_of_the_golden_vector(onnx_bundle: Path, tmp_path: Path, read_config: ReadConfig) -> None:
    place = exported(onnx_bundle, tmp_path).place
    (sample,) = read_config(place / "config.pbtxt").model_warmup
    given = sample.inputs["x"]
    assert (sample.batch_size, list(given.dims)) == (1, [4])
    golden = load_file(onnx_bundle / "golden.safetensors")["0.inputs.x"]
    content = (place / "warmup" / given.input_data_file).read_bytes()
    np.testing.assert_array_equal(np.frombuffer(content, "<f4"), golden[0])


def test_op_libraries_are_named_as_triton_sees_them(
    hashing_onnx: Path, tmp_path: Path, read_config: ReadConfig
) -> None:
    place = exported(hashing_onnx, tmp_path).place
    config = read_config(place / "config.pbtxt")
    (path,) = config.model_operations.op_library_filename
    assert path == "/models/hashing/1/libdeploypipe_onnxruntime.so"
    (library,) = (hashing_onnx / "lib").iterdir()
    assert (place / "1" / PurePosixPath(path).name).read_bytes() == library.read_bytes()
    assert {each.name: enum(each, "data_type") for each in config.output} == {"index": "TYPE_INT64", "t": "TYPE_INT64"}


def test_the_artifact_has_the_names_of_the_configuration(
    hashing_onnx: Path, tmp_path: Path, read_config: ReadConfig
) -> None:
    """What Triton's ONNX backend does: it registers the library, and looks the tensors up by name."""
    import onnxruntime

    place = exported(hashing_onnx, tmp_path).place
    config = read_config(place / "config.pbtxt")
    options = onnxruntime.SessionOptions()
    for path in config.model_operations.op_library_filename:
        options.register_custom_ops_library(str(place / PurePosixPath(path).relative_to(MOUNT / "hashing")))
    session = onnxruntime.InferenceSession(place / "1" / "model.onnx", options)
    given = {name: warmed(place, each) for name, each in config.model_warmup[0].inputs.items()}
    found = session.run([each.name for each in config.output], given)
    for array, expected in zip(found, deploypipe.load(hashing_onnx)(*given.values()), strict=True):
        np.testing.assert_array_equal(array, expected)


def warmed(place: Path, given: Any) -> Any:
    """The data of a warm-up, with the axis of the batch that Triton adds."""
    return np.frombuffer((place / "warmup" / given.input_data_file).read_bytes(), "<f4").reshape(1, *given.dims)


def test_torchscript_tensors_are_addressed_by_number(
    script_bundle: Path, tmp_path: Path, read_config: ReadConfig
) -> None:
    place = exported(script_bundle, tmp_path).place
    config = read_config(place / "config.pbtxt")
    assert (config.backend, config.platform) == ("pytorch", "pytorch_libtorch")
    assert [each.name for each in (*config.input, *config.output)] == ["INPUT__0", "OUTPUT__0"]
    assert list(config.model_warmup[0].inputs) == ["INPUT__0"]
    assert (place / "1" / "model.pt").is_file()


def test_a_library_for_torch_is_loaded_before_triton(hashing_script: Path, tmp_path: Path) -> None:
    """What Triton's PyTorch backend needs: the ops are there because the library was loaded before it."""
    import torch

    made = exported(hashing_script, tmp_path)
    preload = made.config.environment["LD_PRELOAD"]
    assert preload == "/models/hashing/1/libdeploypipe_torch.so"
    assert f'LD_PRELOAD="{preload}"' in (made.place / "config.pbtxt").read_text()
    code = "import sys, torch; print(torch.jit.load(sys.argv[1])(torch.ones(1, 6))[0].shape)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(made.place / "1" / "model.pt")],
        env={
            "LD_PRELOAD": str(made.place / "1" / PurePosixPath(preload).name),
            "LD_LIBRARY_PATH": str(Path(torch.__file__).parent / "lib"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "torch.Size([1, 4])\n", done.stderr


def retold(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Changes what a bundle says of itself; what is tested reads no more than that."""
    damage.edit(bundle, change)
    return bundle


def test_a_compiled_model_is_not_batched(script_bundle: Path, tmp_path: Path, read_config: ReadConfig) -> None:
    retold(script_bundle, lambda table: table["runtime"].update(name="aotinductor"))
    made = exported(script_bundle, tmp_path)
    config = read_config(made.place / "config.pbtxt")
    assert (config.platform, config.max_batch_size) == ("torch_aoti", 0)
    assert [list(each.dims) for each in (*config.input, *config.output)] == [[-1, 4], [-1, 3]]
    assert not config.HasField("dynamic_batching")
    assert "Triton 26.05 or newer" in made.config.needs


def test_a_model_without_an_open_batch_is_not_batched(
    onnx_bundle: Path, tmp_path: Path, read_config: ReadConfig
) -> None:
    retold(onnx_bundle, lambda table: table["outputs"][0].update(shape=[]))
    place = exported(onnx_bundle, tmp_path).place
    config = read_config(place / "config.pbtxt")
    assert config.max_batch_size == 0
    (output,) = config.output
    assert (list(output.dims), output.HasField("reshape"), list(output.reshape.shape)) == ([1], True, [])


def test_labels_of_the_manifest_become_a_file(onnx_bundle: Path, tmp_path: Path, read_config: ReadConfig) -> None:
    classes = {"kind": "classes", "labels": ["a cat", "two\nlines", "é"], "softmax": True}
    retold(onnx_bundle, lambda table: table.update(processing={"inputs": {}, "outputs": {"y": classes}}))
    place = exported(onnx_bundle, tmp_path).place
    (output,) = read_config(place / "config.pbtxt").output
    assert (place / output.label_filename).read_text() == "a cat\ntwo lines\né\n"


def test_odd_names_stay_names(onnx_bundle: Path, tmp_path: Path, read_config: ReadConfig) -> None:
    name = 'x"\n/../é'
    retold(onnx_bundle, lambda table: table["outputs"][0].update(name=name))
    damage_golden(onnx_bundle, name)
    place = exported(onnx_bundle, tmp_path).place
    assert [each.name for each in read_config(place / "config.pbtxt").output] == [name]


def damage_golden(bundle: Path, name: str) -> None:
    from safetensors.numpy import save_file

    path = bundle / "golden.safetensors"
    save_file({key.replace("outputs.y", f"outputs.{name}"): array for key, array in load_file(path).items()}, path)
    damage.mend(bundle)


@pytest.mark.parametrize("runtime", ["executorch", "litert", "tflite-runtime"])
def test_other_runtimes_are_refused_with_one_that_works(onnx_bundle: Path, tmp_path: Path, runtime: str) -> None:
    retold(onnx_bundle, lambda table: table["runtime"].update(name=runtime))
    with pytest.raises(DeployError, match=f"no backend for {runtime}") as caught:
        exported(onnx_bundle, tmp_path)
    assert "`--runtime onnxruntime`" in caught.value.cure
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("name", ["..", "../out", "a/b", ".", ""])
def test_a_model_does_not_leave_the_repository(onnx_bundle: Path, tmp_path: Path, name: str) -> None:
    retold(onnx_bundle, lambda table: table.update(model=name))
    with pytest.raises(DeployError, match="cannot be the name of a folder"):
        exported(onnx_bundle, tmp_path)
    assert not (tmp_path / "repository").exists()


def test_a_bundle_that_did_not_pass_is_refused(onnx_bundle: Path, tmp_path: Path) -> None:
    retold(onnx_bundle, lambda table: table["verdict"].update(passed=False))
    with pytest.raises(VerdictError, match="did not pass"):
        exported(onnx_bundle, tmp_path)


def test_a_model_that_is_there_is_left_alone(onnx_bundle: Path, tmp_path: Path) -> None:
    place = exported(onnx_bundle, tmp_path).place
    before = sorted(path.stat().st_mtime_ns for path in place.rglob("*"))
    with pytest.raises(DeployError, match="is there already"):
        exported(onnx_bundle, tmp_path)
    assert sorted(path.stat().st_mtime_ns for path in place.rglob("*")) == before


def test_a_zip_will_do(onnx_bundle: Path, tmp_path: Path) -> None:
    archive.pack_zip(onnx_bundle, tmp_path / "bundle.zip")
    place = exported(tmp_path / "bundle.zip", tmp_path).place
    assert (place / "1" / "model.onnx").read_bytes() == (onnx_bundle / "model.onnx").read_bytes()


def test_a_bundle_is_not_changed_by_a_repository_inside_of_it(onnx_bundle: Path) -> None:
    with pytest.raises(DeployError, match="lies in the bundle, which it would change"):
        exported(onnx_bundle, onnx_bundle)
    integrity.check(onnx_bundle)


def test_the_command_is_one_for_a_shell(cli: Cli, hashing_script: Path, tmp_path: Path) -> None:
    said = cli("export-triton", hashing_script, "repository", "--mount", "/my models", code=0).stdout
    assert "\n  LD_LIBRARY_PATH=/opt/tritonserver/backends/pytorch:$LD_LIBRARY_PATH LD_PRELOAD=" in said
    assert shlex.split(said.splitlines()[-1])[1:] == [
        "LD_PRELOAD=/my models/hashing/1/libdeploypipe_torch.so",
        "tritonserver",
        "--model-repository=/my models",
    ]
    assert (tmp_path / "work" / "repository" / "hashing" / "config.pbtxt").is_file()


def test_nothing_is_left_where_it_fails(onnx_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploypipe.triton.repository._write_samples", full)
    with pytest.raises(DeployError, match="cannot be written: No space left"):
        exported(onnx_bundle, tmp_path)
    assert list((tmp_path / "repository").iterdir()) == []
