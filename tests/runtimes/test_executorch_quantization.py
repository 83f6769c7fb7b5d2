"""The precisions of ExecuTorch: what is in the file, what stays float, and what is refused."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import deploypipe
from deploypipe import native
from deploypipe.capture import Program, capture, resolve
from deploypipe.errors import DeployError, VerdictError
from deploypipe.ops import CWS, LLTM
from deploypipe.parity import normalized_error
from deploypipe.precision import NORMALIZED_ERRORS, PRECISIONS
from deploypipe.runtimes import Form, executorch, executorch_quantization
from deploypipe.runtimes.quantized_forms import QuantizedEmbedding
from deploypipe.spec import Axis, ModelSpec

QUANTIZED = ("int8-dynamic", "int8-static", "int4-weight")
NATIVE = [(precision, False) for precision in QUANTIZED]


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


class Reader(nn.Module):
    """A recurrent layer and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.lltm = LLTM(24, 64)
        self.head = nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.lltm(x.permute(1, 0, 2))[0][-1])
        return result


class Hashed(nn.Module):
    """A layer that feeds hashes; the hashes themselves, and their codes looked up in a table."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(32, 32)
        self.cws = CWS(32, 16)
        self.table = nn.Embedding(32, 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        index, t = self.cws(torch.relu(self.before(x)))
        return index, t, self.table(index).sum(1)


class Squeezed(nn.Module):
    """A block of MobileNetV3: a convolution, scaled by the mean of its own channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(32, 32, 3, padding=1)
        self.down, self.up = nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        mean = nn.functional.adaptive_avg_pool2d(x, 1)
        scaled: torch.Tensor = x * nn.functional.hardsigmoid(self.up(torch.relu(self.down(mean))))
        return scaled


@dataclass(frozen=True)
class Made:
    """What lowering a module made."""

    program: Program
    artifact: Path
    lowered: Any

    @property
    def states(self) -> dict[str, str]:
        return {layer.name: layer.precision for layer in self.lowered.layers}

    @property
    def reasons(self) -> dict[str, str]:
        return {layer.name: layer.reason for layer in self.lowered.layers if layer.precision == "fp32"}

    def run(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
        libraries = [native.library("executorch")] if self.program.facts.ops else []
        return executorch.load(self.artifact, libraries).run([tensor.numpy() for tensor in inputs])


def made(folder: Path, module: nn.Module, example: torch.Tensor, form: Form, **fields: Any) -> Made:
    folder.mkdir(exist_ok=True)
    spec = resolve(ModelSpec("m", module, (example,), **({"calibration": [(example,)]} | fields)))
    prepare = functools.partial(executorch.prepare, form=form) if form.precision != "fp32" else None
    capture(spec, 64, folder, prepare)
    program = Program.load(spec, folder, prepare=prepare)
    artifact = folder / executorch.ARTIFACT
    return Made(program, artifact, executorch.lower(program, form, artifact))


def constants(artifact: Path, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Reads type and sizes of the constants that XNNPACK has, from the file."""
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as xnnpack
    from executorch.exir._serialize import _flatbuffer
    from executorch.exir._serialize._program import deserialize_pte_binary

    (folder / "schema.fbs").write_bytes(xnnpack._get_schema_bytes())
    for data in deserialize_pte_binary(artifact.read_bytes()).program.backend_delegate_data:
        content = bytes(data.data)
        header = xnnpack.XNNHeader.from_bytes(content[: xnnpack.XNNHeader.EXPECTED_LENGTH])
        (folder / "graph.bin").write_bytes(content[header.flatbuffer_offset :][: header.flatbuffer_size])
        _flatbuffer._flatc_decompile(
            str(folder), str(folder / "schema.fbs"), str(folder / "graph.bin"), ["--raw-binary"]
        )
        text = re.sub(r"\binf\b", "Infinity", (folder / "graph.json").read_text())
        for value in json.loads(text)["xvalues"]:
            tensor = value["xvalue_union"].get("tensor_value", value["xvalue_union"])
            if tensor.get("constant_buffer_idx"):
                yield tensor["datatype"].removeprefix("xnn_datatype_"), tuple(tensor["dims"])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256))


Full = Callable[..., tuple[Any, torch.Tensor, Made]]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Full:
    """Makes a module, its input and its fp32 artifact, each once."""

    @functools.cache
    def make(kind: Callable[[], nn.Module], rows: int, features: int, decomposed: bool = False) -> Any:
        module, x = kind(), torch.rand(rows, features)
        return module, x, made(tmp_path_factory.mktemp("full"), module, x, Form(decomposed=decomposed))

    return make


def test_every_precision_is_offered_or_refused_with_what_to_take_instead() -> None:
    assert {*executorch.PRECISIONS, *executorch.REFUSED} == set(PRECISIONS)
    assert not set(executorch.PRECISIONS) & set(executorch.REFUSED)
    assert all(refusal.nearest in executorch.PRECISIONS for refusal in executorch.REFUSED.values())


@pytest.mark.parametrize(
    ("precision", "kind", "share"),
    [("int8-dynamic", "qcint8", 0.28), ("int8-static", "qcint8", 0.28), ("int4-weight", "qbint4", 0.18)],
)
def test_linear_layers_have_few_bits_in_the_file(
    precision: str, kind: str, share: float, tmp_path: Path, full: Full
) -> None:
    module, x, large = full(mlp, 64, 64)

    small = made(tmp_path / "few", module, x, Form(precision=precision))

    weights = [found for found in constants(small.artifact, tmp_path) if len(found[1]) == 2]
    assert weights == [(kind, (256, 64)), (kind, (256, 256))]
    assert small.artifact.stat().st_size < share * large.artifact.stat().st_size
    assert small.states == dict.fromkeys(("0", "2"), precision[:4])
    assert large.states == dict.fromkeys(("0", "2"), "fp32")
    (output,) = small.run(x)
    assert output.dtype == np.float32
    assert normalized_error(output, module(x).detach().numpy()) < NORMALIZED_ERRORS[precision]


@pytest.mark.parametrize(("precision", "decomposed"), [*NATIVE, slow("int8-dynamic", True), slow("int4-weight", True)])
def test_the_bytes_of_an_lltm_are_in_the_file(precision: str, decomposed: bool, tmp_path: Path) -> None:
    """In our kernel's panels, or as the weights of XNNPACK's products; never unpacked to floats."""
    module, x = Reader(), torch.rand(17, 2, 24)
    found = made(tmp_path, module, x, Form(precision=precision, decomposed=decomposed))

    assert found.states == {"lltm": "int8", "head": precision[:4]}
    content = found.artifact.read_bytes()
    assert (content.find(b"deploypipe::lltm_int8\0") >= 0) is not decomposed
    if decomposed:
        assert {kind for kind, sizes in constants(found.artifact, tmp_path) if sizes == (192, 88)} == {"qcint8"}
    else:
        assert module.lltm.quantized().panels.numpy().tobytes() in content
    (output,) = found.run(x)
    assert normalized_error(output, module(x).detach().numpy()) < NORMALIZED_ERRORS[precision]


@pytest.mark.parametrize(("precision", "decomposed"), [*NATIVE, slow("int8-static", True)])
def test_hashes_are_the_same_in_every_precision(precision: str, decomposed: bool, tmp_path: Path, full: Full) -> None:
    module, x, large = full(Hashed, 40, 32, decomposed)
    found = made(tmp_path, module, x, Form(precision=precision, decomposed=decomposed))

    index, t, total = found.run(x)

    expected = large.run(x)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_array_equal(t, expected[1])
    assert index.dtype == t.dtype == np.int64
    assert normalized_error(total, expected[2]) < 0.02
    assert found.states == {"before": "fp32", "cws": "fp32", "table": "int8"}
    assert found.reasons == {
        "before": "an op that takes float only needs what it gives",
        "cws": "its hashes would change: it takes float only",
    }
    assert QuantizedEmbedding(module.table.weight.detach()).weight.numpy().tobytes() in found.artifact.read_bytes()


@pytest.mark.parametrize("precision", QUANTIZED)
def test_layers_that_are_kept_stay_float_in_the_file(precision: str, tmp_path: Path) -> None:
    form = Form(precision=precision, kept_float=("2",))
    found = made(tmp_path, mlp(), torch.randn(17, 64), form)

    weights = {sizes: kind for kind, sizes in constants(found.artifact, tmp_path) if len(sizes) == 2}
    assert weights[256, 256] == "fp32" != weights[256, 64]
    assert found.states == {"0": precision[:4], "2": "fp32"}
    assert found.reasons == {"2": "it was asked to stay float"}


def test_a_linear_layer_that_cannot_have_4_bits_has_8(tmp_path: Path) -> None:
    """XNNPACK takes groups of 32 weights."""
    module = nn.Sequential(
        nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 32), nn.Unflatten(1, (2, 16)), nn.Conv1d(2, 2, 3)
    )
    found = made(tmp_path, module, torch.randn(17, 24), Form(precision="int4-weight"))
    assert found.states == {"0": "int8", "2": "int4", "4": "fp32"}
    assert found.reasons == {"4": "XNNPACK has no int4-weight form of it"}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static"])
def test_the_batch_grows_up_to_its_range(precision: str, tmp_path: Path) -> None:
    """With a mean among convolutions of bytes, XNNPACK gave wrong numbers for the rows above an earlier batch."""
    module, x = Squeezed(), torch.randn(64, 32, 8, 8)
    found = made(tmp_path, module, x[:2], Form(precision=precision), calibration=[(x,)])
    (expected,) = found.run(x)  # XNNPACK keeps its memory for the process, so this batch must be the first...
    code = (
        "import sys, numpy as np; from pathlib import Path; from deploypipe.runtimes import executorch\n"
        "x, session = np.load(sys.argv[1]), executorch.load(Path(sys.argv[2]), [])\n"
        "np.save(sys.argv[1], [session.run([x[:batch]])[0] for batch in (16, 50, 64, 5, 64)][-1])"
    )
    np.save(tmp_path / "x.npy", x.numpy())
    subprocess.run([sys.executable, "-c", code, tmp_path / "x.npy", found.artifact], check=True)  # ... and 16 here
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
    assert normalized_error(expected, module(x).detach().numpy()) < 0.05


def test_sizes_that_are_not_dynamic_stay_so(tmp_path: Path) -> None:
    x = torch.randn(30, 3, 16)
    axes = {"input": {1: Axis("time", 2, 9)}}
    found = made(
        tmp_path, nn.Linear(16, 4), x[:1], Form(precision="int8-static"), dynamic_axes=axes, calibration=[(x,)]
    )
    assert found.run(x[:1].repeat(1, 3, 1))[0].shape == (1, 9, 4)


def test_integers_are_left_alone(tmp_path: Path) -> None:
    """XNNPACK's quantizer would turn the numbers that they are multiplied with into floats."""

    class Codes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(64, 8), nn.Linear(8, 2)

        def forward(self, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            place = code * 4 + 1
            return place, self.head(self.table(place))

    code = torch.arange(15)
    place, _ = made(tmp_path, Codes(), code, Form(precision="int8-static")).run(code)
    np.testing.assert_array_equal(place, code.numpy() * 4 + 1)


@pytest.mark.parametrize("precision", QUANTIZED)
def test_a_model_with_nothing_to_quantize_is_refused(precision: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=f"There is nothing in the model that {precision} could quantize. Take fp32"):
        made(tmp_path, nn.Sequential(nn.LayerNorm(8), nn.ReLU()), torch.rand(17, 8), Form(precision=precision))


def test_static_scales_need_calibration_data(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="int8-static needs calibration data"):
        made(tmp_path, mlp(), torch.rand(17, 64), Form(precision="int8-static"), calibration=())


def test_a_quantizer_that_drops_the_scale_fails_the_verdict(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = executorch_quantization.of_the_graph

    def broken(program: Program, exported: Any, form: Form) -> Any:
        result = real(program, exported, form)
        for name, tensor in result.state_dict.items():
            if name.startswith("_scale"):
                tensor.fill_(1.0)
        return result

    monkeypatch.setattr(executorch_quantization, "of_the_graph", broken)
    spec = ModelSpec("m", mlp(), (torch.randn(17, 64),))
    with pytest.raises(VerdictError, match=r"m/host/executorch-int8-dynamic: output: normalized_error .*, limit 0.1"):
        deploypipe.build(spec, out=tmp_path / "dist", runtimes=["executorch"], precision="int8-dynamic")


def test_weights_alone_would_lose_their_scale(tmp_path: Path) -> None:
    """Why int8-weight is refused: what torchao makes of it runs without an error, and gives x @ whole numbers."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerAxis

    linear, x = nn.Linear(64, 8, bias=False), torch.randn(2, 64)
    module = nn.Sequential(linear)
    quantize_(module, IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0)))
    exported = torch.export.export(module, (x,))
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    (tmp_path / "model.pte").write_bytes(edge.to_executorch().buffer)

    (output,) = executorch.load(tmp_path / "model.pte", []).run([x.numpy()])

    weight: Any = linear.weight
    torch.testing.assert_close(torch.from_numpy(output), x @ weight.qdata.float().T, rtol=1e-3, atol=1e-2)
