"""A manifest may say anything: what reads it gives a model or one sentence, and never something else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

import deploypipe
from deploypipe.bundle import manifest as manifests
from deploypipe.errors import DeployError
from deploypipe.tensors import TensorInfo, load_cases

from .damage import edit

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["../x", "/x", "manifest.json", "model.sig", "lib/x.so", "torchscript", "batch", "float16", "", ".", "\0"]
    ),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@pytest.fixture(scope="module")
def bundle(built_hashing_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle for all mutations; only its manifest changes."""
    return Path(shutil.copytree(built_hashing_onnx, tmp_path_factory.mktemp("mutated") / "bundle"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Gives the path of everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutate(table: Any, data: st.DataObject) -> None:
    """Replaces, removes or adds something anywhere in a manifest."""
    path = data.draw(st.sampled_from(sorted(places(table), key=repr)), "place")
    holder = table
    for key in path[:-1]:
        holder = holder[key]
    action = data.draw(st.sampled_from(["replace", "remove", "add"]), "action")
    if action == "remove":
        del holder[path[-1]]
    elif action == "add" and isinstance(holder, dict):
        holder[data.draw(st.text(max_size=10), "key")] = data.draw(VALUES, "value")
    else:
        holder[path[-1]] = data.draw(VALUES, "value")


@given(data=st.data())
def test_a_mutated_manifest_gives_a_model_or_one_sentence(
    built_hashing_onnx: Path, bundle: Path, data: st.DataObject
) -> None:
    table = json.loads((built_hashing_onnx / "manifest.json").read_text())
    del table["verdict"]  # most of a manifest, and nothing that a reader acts on
    for _ in range(data.draw(st.integers(1, 3), "mutations")):
        mutate(table, data)
    (bundle / "manifest.json").write_text(json.dumps(table))
    with contextlib.suppress(DeployError), deploypipe.load(bundle) as model:
        model.verify()


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_damaged_manifest(content: bytes) -> None:
    with pytest.raises(DeployError, match=r"manifest.json is damaged|has format"):
        manifests.parse(content, Path("bundle"))


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, '{"a":' * 100_000, '{"deploypipe_bundle": 1e999}', "NaN"])
def test_a_manifest_that_is_hard_to_read_is_damaged(text: str) -> None:
    with pytest.raises(DeployError, match=r"bundle/manifest.json is damaged"):
        manifests.parse(text.encode(), Path("bundle"))


@pytest.mark.parametrize("limit", ["NaN", "Infinity", "1e999"])
def test_a_limit_that_everything_or_nothing_keeps_is_damage(onnx_bundle: Path, limit: str) -> None:
    path = onnx_bundle / "manifest.json"
    path.write_text(path.read_text().replace('"normalized_error": 0.0001', f'"normalized_error": {limit}', 1))
    with pytest.raises(DeployError, match=r"manifest.json is damaged: (limits.normalized_error|NaN|Infinity)"):
        deploypipe.load(onnx_bundle)


def test_a_long_key_does_not_make_a_long_sentence(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table["axes"].update({"first\nsecond" * 10_000: 1}))
    with pytest.raises(DeployError, match=r"manifest.json is damaged: axes.first second") as caught:
        deploypipe.load(onnx_bundle)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500 + len(str(onnx_bundle))


def test_a_name_that_no_disk_takes_is_one_sentence(onnx_bundle: Path) -> None:
    name = "\N{SNOWMAN}" * 200
    edit(onnx_bundle, lambda table: (table["files"].update({name: "0" * 64}), table["sizes"].update({name: 1})))
    with pytest.raises(DeployError, match=r"onnx-bundle cannot be read: File name too long. Make its files readable"):
        deploypipe.load(onnx_bundle)


def test_a_manifest_of_many_bytes_is_not_read(onnx_bundle: Path) -> None:
    with (onnx_bundle / "manifest.json").open("r+b") as file:
        file.truncate(16_000_001)
    with pytest.raises(DeployError, match="has 16000001 bytes; 16000000 are the most"):
        deploypipe.load(onnx_bundle)


def test_a_manifest_of_a_million_files_is_refused(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(files={f"f{number}": "" for number in range(1_000_000)}))
    with pytest.raises(DeployError, match=r"16000000 are the most|files: Dictionary should have at most 10000"):
        deploypipe.load(onnx_bundle)


@pytest.mark.parametrize("name", ["manifest.json", "model.sig"])
def test_what_is_not_listed_may_not_be_a_link_either(onnx_bundle: Path, name: str) -> None:
    path = onnx_bundle / name
    path.touch()
    path.rename(onnx_bundle.parent / "moved")
    path.symlink_to(onnx_bundle.parent / "moved")
    with pytest.raises(DeployError, match=f"{name} in .* is a link. Do not trust this bundle"):
        deploypipe.load(onnx_bundle)


def test_processing_that_the_model_does_not_have_is_damage(onnx_bundle: Path) -> None:
    edit(onnx_bundle, lambda table: table.update(processing={"outputs": {"z": {"labels": ["a"]}}}))
    with pytest.raises(DeployError, match="The processing names an unknown output 'z'"):
        deploypipe.load(onnx_bundle)


HEADERS: dict[str, dict[str, Any]] = {
    "sizes that overflow": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 16]},
    "offsets beyond the end": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**63]},
    "offsets in reverse": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
    "a negative size": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
    "a type that nobody has": {"dtype": "F31", "shape": [4], "data_offsets": [0, 16]},
    "a type that numpy has not": {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]},
    "another size": {"dtype": "F32", "shape": [3], "data_offsets": [0, 16]},
}


def golden(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + bytes(16)


@pytest.mark.parametrize("case", HEADERS)
def test_golden_vectors_with_sizes_that_cannot_be_are_refused(tmp_path: Path, case: str) -> None:
    path = tmp_path / "golden.safetensors"
    path.write_bytes(golden(json.dumps({"0.inputs.x": HEADERS[case]}).encode()))
    with pytest.raises(DeployError, match=r"golden.safetensors holds no golden vectors of it"):
        load_cases(path, [], [])


@given(data=st.data())
def test_golden_vectors_of_any_header_are_cases_or_one_sentence(bundle: Path, data: st.DataObject) -> None:
    whole = save(load_file(bundle / "golden.safetensors"))
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    mutate(header, data)
    path = bundle.parent / "golden.safetensors"
    size = data.draw(st.none() | st.integers(0, 2**64 - 1), "length")
    path.write_bytes(golden(json.dumps(header).encode(), size) + whole[8 + length :])
    info = TensorInfo(name="x", dtype="float32", shape=("batch", 6))
    with contextlib.suppress(DeployError):
        load_cases(path, [info], [])
