"""Every op on every runtime, in every form, on every sample of its OpSpec, judged by the op's own metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deploypipe.errors import DeployError
from deploypipe.oplib import registry
from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import cws, cws_layouts
from deploypipe.parity import NORMALIZED_ERROR

from .cases import FORMS, Form, data_of, lower, model_of, signature_of

PROJECT = registry.get("deploypipe")
# The references of lltm loop over T, which a graph holds unrolled.
UNROLLED = dict.fromkeys(("lltm", "lltm_packed", "lltm_int8"), ("T",))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize(
    ("spec", "sample"),
    [
        pytest.param(spec, sample, id=f"{spec.name}-{sample.name}")
        for spec in PROJECT.specs
        for sample in spec.samples()
    ],
)
def test_an_op_gives_the_answers_of_its_reference(spec: OpSpec, sample: Sample, form: Form, tmp_path: Path) -> None:
    fixed = UNROLLED.get(spec.name, ()) if form.decomposed else ()
    session = lower(model_of(PROJECT, spec, sample, fixed), form, tmp_path)
    names = [each["name"] for each in signature_of(PROJECT, spec)["inputs"]]
    inputs = [tensor.numpy() for tensor in data_of(spec, names, sample)]

    if not form.empty and not all(array.size for array in inputs):
        with pytest.raises(DeployError, match="no empty input"):
            session.run(inputs)
        return
    outputs = session.run(inputs)

    expected = spec.reference(*sample.arguments(getattr(torch.ops.deploypipe, spec.name).default))
    expected = [expected] if not isinstance(expected, tuple) else expected
    assert len(outputs) == len(expected)
    for output, reference in zip(outputs, expected, strict=True):
        assert output.shape == tuple(reference.shape)
        assert output.dtype == reference.numpy().dtype
        assert spec.metric.distance(output, reference.numpy()) <= spec.metric.limit
    assert session.op_paths(inputs, [f"deploypipe::{spec.name}"]) == {f"deploypipe::{spec.name}": form.path}


@pytest.mark.parametrize("name", ["cws", "cws_dense", "cws_sparse", "cws_codes", "cws_generated"])
def test_hashes_are_bit_for_bit_equal_across_kernels_and_nearly_so_elsewhere(name: str, tmp_path: Path) -> None:
    """One kernel serves torch, ONNX Runtime, ExecuTorch and LiteRT; other forms compute in another order."""
    spec = PROJECT.find(name)
    assert spec is not None
    sample = many_hashes(name)
    op = getattr(torch.ops.deploypipe, name).default
    expected = [tensor.numpy() for tensor in op(*sample.arguments(op))]
    assert expected[0].size == 200_000

    shares = {}
    for form in FORMS:
        session = lower(model_of(PROJECT, spec, sample), form, tmp_path / str(form))
        session.run([sample.inputs[0][:1].numpy()])  # the batch grows, for which some runtimes plan anew
        outputs = session.run([sample.inputs[0].numpy()])
        shares[str(form)] = float(np.mean((outputs[0] == expected[0]) & (outputs[1] == expected[1])))

    exact = {str(form) for form in FORMS if form.native}
    assert {name: share for name, share in shares.items() if name in exact} == dict.fromkeys(exact, 1.0)
    assert min(shares.values()) >= 0.9999, shares


@pytest.mark.parametrize("name", ["lltm", "lltm_packed", "lltm_int8"])
def test_floats_are_bit_for_bit_equal_across_kernels_and_nearly_so_elsewhere(name: str, tmp_path: Path) -> None:
    spec = PROJECT.find(name)
    assert spec is not None
    sample = next(each for each in spec.samples() if each.name == "model")
    op = getattr(torch.ops.deploypipe, name).default
    expected = [tensor.numpy() for tensor in op(*sample.arguments(op))]
    names = [each["name"] for each in signature_of(PROJECT, spec)["inputs"]]
    inputs = [tensor.numpy() for tensor in data_of(spec, names, sample)]
    # With 8 bits, a state that falls to the other side of a level makes more of a difference.
    limit = max(1e-5, spec.metric.limit) if name == "lltm_int8" else 1e-5

    for form in FORMS:
        fixed = UNROLLED[name] if form.decomposed else ()
        outputs = lower(model_of(PROJECT, spec, sample, fixed), form, tmp_path / str(form)).run(inputs)
        for output, value in zip(outputs, expected, strict=True):
            if form.native:
                assert output.tobytes() == value.tobytes(), form
            assert NORMALIZED_ERROR.distance(output, value) <= limit, form


def many_hashes(name: str) -> Sample:
    """Returns a call of an op of the family with 200 rows, half of them zeros, and 1,000 hashes."""
    generator = torch.Generator().manual_seed(7)
    rows, hashes, features = 200, 1000, 48
    data = torch.rand(rows, features, generator=generator) * (torch.rand(rows, features, generator=generator) < 0.5)
    tables = cws.tables_of(data, hashes)
    parameters = {
        "cws": tables,
        "cws_dense": (cws_layouts.pack(cws_layouts.parameters(*tables), feature_major=False),),
        "cws_sparse": (cws_layouts.pack(cws_layouts.parameters(*tables), feature_major=True),),
        "cws_codes": (cws_layouts.pack(cws_layouts.encode(*tables), feature_major=True),),
        "cws_generated": (torch.tensor([3]),),
    }
    return Sample("many", (data, *parameters[name]), {} if name == "cws" else {"hashes": hashes})
