"""What range the activations of a file have, by which they are quantized to integers.

ai-edge-quantizer finds it by running the file, which it cannot where there are custom operators. Those files are
run here, with the op libraries that belong to them.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploypipe import native
from deploypipe.errors import DeployError
from deploypipe.oplib import registry
from deploypipe.runtimes import calibration
from deploypipe.runtimes.tflite import flatbuffer
from deploypipe.tensors import AxisRange

if TYPE_CHECKING:
    import numpy as np

    from deploypipe.capture import Program

    Array = np.ndarray[Any, Any]

Samples = Mapping[str, Sequence[Mapping[str, "Array"]]]
Statistics = dict[str, dict[str, Any]]
# What is beyond it stands for infinity.
LARGEST = 3e38


def of(work: Any, model: flatbuffer.Model, program: Program) -> Statistics:
    """Returns the range of every activation, by the names of tensors.

    Args:
        work: The Quantizer of the file.
        model: The file, with float weights.
        program: Has the calibration data.

    Raises:
        DeployError: There is no such data, or a loop whose inside nobody can look into.
    """
    if "WHILE" in flatbuffer.operator_names(model):
        raise DeployError(
            "Activations inside of a WHILE, by which a long sequence is run, cannot be calibrated",
            "Take int8-dynamic, or a shorter sequence.",
        )
    samples = {each.signatureKey.decode(): list(_samples(model, each, program)) for each in model.signatureDefs}
    if not flatbuffer.custom_codes(model):
        found: Statistics = work.calibrate(samples, num_threads=1)
        return found
    # It would make an interpreter once more, to see that nothing is missing.
    work._ensure_model_qsv_sufficient = lambda _found: None
    return _measured(model, program, samples)


def _samples(model: flatbuffer.Model, signature: Any, program: Program) -> Iterator[dict[str, Array]]:
    """Yields the calibration data in the sizes that a signature of the file has."""
    graph, infos = model.subgraphs[signature.subgraphIndex], program.facts.inputs
    shapes = {each.name.decode(): flatbuffer.shape_of(graph.tensors[each.tensorIndex]) for each in signature.inputs}
    sizes = {name: size for info in infos for name, size in zip(info.shape, shapes[info.name], strict=True)}
    axes = {name: AxisRange(min=sizes[name], max=sizes[name]) for name in program.facts.axes if name in sizes}
    fixed = dataclasses.replace(program, facts=program.facts.model_copy(update={"axes": axes}))
    for sample in calibration.samples(fixed, "int8-static"):
        yield {info.name: tensor.numpy() for info, tensor in zip(infos, sample, strict=True)}


def _measured(model: flatbuffer.Model, program: Program, samples: Samples) -> Statistics:
    """Runs a copy of a file, in which every activation is an output."""
    from deploypipe.runtimes.tflite.compiled import CompiledModel

    sources = {registry.provider(op)[0].source for op in program.facts.ops}
    libraries = [native.library("litert", source) for source in sources]
    found: Statistics = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.tflite")
        file.write_bytes(_exposed(model))
        for key, pieces in samples.items():
            with CompiledModel.open(file, libraries, signature=key) as compiled:
                names = [each.name for each in (*compiled.inputs, *compiled.outputs)]
                for piece in pieces:
                    inputs = [piece[info.name] for info in program.facts.inputs]
                    _note(found, zip(names, (*inputs, *compiled.run(inputs)), strict=True))
    return found


def _exposed(model: flatbuffer.Model) -> bytes:
    """Writes a copy of a file in which all floats that are computed are outputs; those have the names of tensors."""
    copy, kinds = flatbuffer.parse(flatbuffer.inline(model)), flatbuffer.schema()
    for signature in copy.signatureDefs:
        graph = copy.subgraphs[signature.subgraphIndex]
        computed = [int(index) for operator in graph.operators for index in operator.outputs]
        graph.outputs = [index for index in computed if graph.tensors[index].type == kinds.TensorType.FLOAT32]
        signature.outputs = [flatbuffer.tensor_map(graph.tensors[index].name, index) for index in graph.outputs]
        for each in signature.inputs:
            each.name = graph.tensors[each.tensorIndex].name
    return flatbuffer.write(copy)


def _note(found: Statistics, values: Iterable[tuple[str, Array]]) -> None:
    """Adds one sample, as ai-edge-quantizer does it: what is infinite does not count, and extremes move slowly."""
    from ai_edge_quantizer.utils import qsv_utils

    for name, value in values:
        finite = value[abs(value) < LARGEST] if value.dtype.kind == "f" else value[:0]
        if finite.size:
            shape = (1,) * value.ndim
            new = {"min": finite.min().reshape(shape), "max": finite.max().reshape(shape)}
            found[name] = qsv_utils.moving_average_update(found.get(name, {}), new)
