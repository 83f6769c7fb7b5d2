"""The one list of the conformance suite: every sample of every op, and every form of every runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deploypipe import native, runtimes
from deploypipe.capture import Program, capture, resolve
from deploypipe.oplib import registry
from deploypipe.oplib.registry import OpLibrary
from deploypipe.oplib.spec import OpSpec, Sample
from deploypipe.pipeline import keys
from deploypipe.spec import Axis, ModelSpec

MAX_SIZE = 1100


@dataclass(frozen=True)
class Form:
    """A way to run an op.

    Attributes:
        runtime: A name of `runtimes.NAMES`.
        native: With the op library; False leaves it out.
        decomposed: The graph holds the reference instead of the op.
        empty: The runtime admits an empty batch; one that does not must refuse it.
    """

    runtime: str
    native: bool = True
    decomposed: bool = False
    empty: bool = True

    @property
    def path(self) -> str:
        if self.native:
            return "native"
        return "decomposed" if self.decomposed and self.runtime != "onnxruntime" else "inlined"

    def __str__(self) -> str:
        return f"{self.runtime}-{'decomposed' if self.decomposed else 'native' if self.native else 'inlined'}"


FORMS = (
    Form("torchscript"),
    Form("aotinductor"),
    Form("onnxruntime"),
    Form("onnxruntime", native=False),
    Form("executorch", empty=False),
    Form("executorch", native=False, decomposed=True, empty=False),
    Form("litert", empty=False),
    Form("litert", native=False, decomposed=True, empty=False),
    Form("tflite-runtime", native=False, decomposed=True, empty=False),
)

# Parameters of a layer are constants of a model; what remains are its inputs.
PARAMETERS = {
    "lltm": ("weight", "bias"),
    "lltm_packed": ("weight",),
    "lltm_int8": ("weight", "sums", "scales"),
    "cws": ("r", "log_c", "beta"),
    "cws_dense": ("table",),
    "cws_sparse": ("table",),
    "cws_codes": ("table",),
    "cws_generated": ("seed",),
}
# Dimensions that a parameter fixes; that of cws_generated is the sample's.
FIXED = {
    **dict.fromkeys(("lltm", "lltm_packed", "lltm_int8"), ("I", "H")),
    **dict.fromkeys(("cws", "cws_dense", "cws_sparse", "cws_codes", "cws_generated"), ("D",)),
}


class OpModel(torch.nn.Module):
    """A model that is one op, with the parameters of a sample."""

    def __init__(self, op: Any, constants: dict[str, torch.Tensor], sample: Sample) -> None:
        super().__init__()
        self.op, self.sample = op, sample
        self.constants = tuple(constants)
        for name, tensor in constants.items():
            self.register_buffer(name, tensor)

    def forward(self, *inputs: torch.Tensor) -> Any:
        rest = iter(inputs)
        names = [each.name for each in self.op._schema.arguments if each.name not in self.sample.attributes]
        tensors = tuple(getattr(self, name) if name in self.constants else next(rest) for name in names)
        return self.op(*dataclasses.replace(self.sample, inputs=tensors).arguments(self.op))


def signature_of(library: OpLibrary, spec: OpSpec) -> dict[str, Any]:
    description = native.describe(native.library("torch", library.source))
    return next(op for op in description["ops"] if op["name"] == spec.name)


def data_of(spec: OpSpec, names: Sequence[str], sample: Sample) -> list[torch.Tensor]:
    """Returns the inputs of a sample that are inputs of the model."""
    constants = PARAMETERS.get(spec.name, ())
    return [tensor for name, tensor in zip(names, sample.inputs, strict=True) if name not in constants]


def model_of(library: OpLibrary, spec: OpSpec, sample: Sample, fixed_axes: Sequence[str] = ()) -> ModelSpec:
    """Returns a model of one op in which everything is dynamic that its parameters do not fix."""
    signature = signature_of(library, spec)
    names = [each["name"] for each in signature["inputs"]]
    given = dict(zip(names, sample.inputs, strict=True))
    constants = {name: given[name] for name in PARAMETERS.get(spec.name, ())}
    op = getattr(getattr(torch.ops, library.namespace), spec.name).default
    data = [each for each in signature["inputs"] if each["name"] not in PARAMETERS.get(spec.name, ())]
    inputs = data_of(spec, names, sample)
    fixed = (*FIXED.get(spec.name, ()), *fixed_axes)
    axes = {
        each["name"]: {
            dim: Axis(axis, 1, MAX_SIZE)
            for dim, axis in enumerate(dims(each["dims"], tensor.ndim))
            if axis not in fixed
        }
        for each, tensor in zip(data, inputs, strict=True)
    }
    return ModelSpec(
        name=f"{spec.name}-{sample.name}",
        module=OpModel(op, constants, sample),
        example_inputs=tuple(torch.ones_like(t) if t.numel() == 0 else t for t in map(_at_least_one, inputs)),
        input_names=[each["name"] for each in data],
        dynamic_axes=axes,
    )


def _at_least_one(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.numel() else torch.ones([max(size, 1) for size in tensor.shape], dtype=tensor.dtype)


def dims(texts: Sequence[str], rank: int) -> list[str]:
    """Spells out `...`: axes without a name are called `any0`, `any1`, ..."""
    if "..." not in texts:
        return list(texts)
    at = texts.index("...")
    spread = [f"any{number}" for number in range(rank - len(texts) + 1)]
    return [*texts[:at], *spread, *texts[at + 1 :]]


def lower(model: ModelSpec, form: Form, folder: Path) -> runtimes.Session:
    """Captures and lowers a model, and loads it as the form says."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = resolve(model)
    capture(resolved, MAX_SIZE, folder)
    # With a key, the two runtimes that read the same file share its conversion.
    program = Program.load(resolved, folder, keys.capture(resolved, MAX_SIZE))
    runtime = runtimes.get(form.runtime)
    artifact = folder / runtime.ARTIFACT
    runtime.lower(program, runtimes.Form(form.decomposed), artifact)
    libraries = {registry.get(op.partition("::")[0]).source for op in program.facts.ops}
    paths = [native.library(runtime.BINDING, source) for source in libraries] if form.native else []
    return runtime.load(artifact, paths)
