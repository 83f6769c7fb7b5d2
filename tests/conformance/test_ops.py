"""Every op on every runtime, in every form, on every sample of its OpSpec, judged by the op's own metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deploypipe.errors import DeployError
from deploypipe.oplib import registry
from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.ops import CWS

from .cases import FORMS, Form, data_of, lower, model_of, signature_of

PROJECT = registry.get("deploypipe")
# The reference of lltm is a loop over T, which a graph holds unrolled.
UNROLLED = {"lltm": ("T",)}


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

    expected = spec.reference(*sample.inputs, **sample.attributes)
    expected = [expected] if not isinstance(expected, tuple) else expected
    assert len(outputs) == len(expected)
    for output, reference in zip(outputs, expected, strict=True):
        assert output.shape == tuple(reference.shape)
        assert output.dtype == reference.numpy().dtype
        assert spec.metric.distance(output, reference.numpy()) <= spec.metric.limit
    assert session.op_paths(inputs, [f"deploypipe::{spec.name}"]) == {f"deploypipe::{spec.name}": form.path}


def test_hashes_are_bit_for_bit_equal_across_kernels_and_nearly_so_elsewhere(tmp_path: Path) -> None:
    """One kernel serves torch, ONNX Runtime and ExecuTorch; the other forms compute in another order."""
    spec = PROJECT.find("cws")
    assert spec is not None
    generator = torch.Generator().manual_seed(7)
    rows, hashes, features = 200, 1000, 48
    data = torch.rand(rows, features, generator=generator) * (torch.rand(rows, features, generator=generator) < 0.5)
    layer = CWS(features, hashes, seed=3)
    sample = Sample("many", (data, layer.r, layer.log_c, layer.beta))
    model = model_of(PROJECT, spec, sample)
    expected = [tensor.numpy() for tensor in torch.ops.deploypipe.cws(*sample.inputs)]
    assert expected[0].size == 200_000

    shares = {}
    for form in FORMS:
        outputs = lower(model, form, tmp_path / str(form)).run([data.numpy()])
        shares[str(form)] = float(np.mean((outputs[0] == expected[0]) & (outputs[1] == expected[1])))

    exact = {str(form) for form in FORMS if form.native}
    assert {name: share for name, share in shares.items() if name in exact} == dict.fromkeys(exact, 1.0)
    assert min(shares.values()) >= 0.9999, shares
