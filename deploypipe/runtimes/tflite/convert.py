"""A program becomes a `.tflite` file with float weights, by litert-torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deploypipe import cache, fingerprint, installed, native
from deploypipe.errors import DeployError, first_line
from deploypipe.oplib import registry
from deploypipe.parity import metric_for
from deploypipe.runtimes.protocol import Form, Lowered
from deploypipe.runtimes.tflite import (
    axes,
    axis_sizes,
    batches,
    constants,
    flatbuffer,
    integers,
    kept_float,
    loops,
    lowerings,
    marks,
    precision,
)

if TYPE_CHECKING:
    import torch

    from deploypipe.capture import Program
    from deploypipe.tensors import TensorInfo

# The first size of the first dynamic axis at which a graph is converted; each further one is its own.
FIRST_SIZE = 8
# What is between the two sizes of an axis: unlike steps, so that a size tells which axis it is made of.
STEPS = (1, 7, 11, 13)

CONTENT, NOTES = "model.tflite", "notes.json"


class _Graph(NamedTuple):
    exported: torch.export.ExportedProgram
    loops: list[loops.Loop]
    notes: dict[str, str]


@dataclass(frozen=True)
class Converted:
    """A converted file.

    Attributes:
        content: With every constant inside the flatbuffer, as the quantizer takes it.
        notes: Facts for the manifest.
    """

    content: bytes
    notes: dict[str, str]


def convert(program: Program, form: Form) -> Converted:
    """Converts a program, with its axes open where that can be, and at fixed batches where it cannot.

    Raises:
        DeployError: litert-torch has no lowering for something in it, or an axis that is not a batch would
            become fixed.
    """
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    lowerings.register(program.facts.ops)
    constants.register()
    integers.register()
    sizes = _sizes(program)
    first, notes = _static(program, form, {name: pair[0] for name, pair in sizes.items()})
    if not sizes:
        return _finished(program, flatbuffer.parse(first), notes | {"batch": "fixed, as in the example"})
    second, _ = _static(program, form, {name: pair[1] for name, pair in sizes.items()})
    try:
        model = axes.opened(first, second, sizes)
        _check_outputs(model, program, {name: pair[1] for name, pair in sizes.items()})
        return _finished(program, model, notes | {"batch": "any"})
    except axis_sizes.FixedAxisError as reason:
        return _at_fixed_batches(program, form, notes, str(reason))


def _sizes(program: Program) -> dict[str, tuple[int, int]]:
    """Returns two sizes for each dynamic axis, no two axes with the same pair.

    Raises:
        DeployError: The ranges of two axes are so narrow that they cannot be told apart.
    """
    pairs: dict[str, tuple[int, int]] = {}
    for number, (name, axis) in enumerate(_dynamic(program).items()):
        step = STEPS[number % len(STEPS)]
        start = min(max(FIRST_SIZE + 2 * number, axis.min), axis.max - 1)
        found = ((first, min(first + step, axis.max)) for first in range(start, axis.min - 1, -1))
        pair = next((each for each in found if each not in pairs.values()), None)
        if pair is None:
            raise DeployError(
                f"The axis {name} admits too few sizes to tell it from the others", "Raise its maximum, or fix it."
            )
        pairs[name] = pair
    return pairs


def _check_outputs(model: flatbuffer.Model, program: Program, sizes: dict[str, int]) -> None:
    """Resizes a model without running it: LiteRT's C API needs to know the sizes of its outputs by then.

    Raises:
        FixedAxisError: It knows one only when it runs.
    """
    from ai_edge_litert.interpreter import Interpreter

    if flatbuffer.custom_codes(model):
        return  # the interpreter has no kernels
    facts = program.facts
    interpreter = Interpreter(model_content=flatbuffer.inline(model), num_threads=1)
    for detail, info in zip(interpreter.get_input_details(), facts.inputs, strict=True):
        shape = [size if isinstance(size, int) else sizes.get(size, facts.axes[size].min) for size in info.shape]
        interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    for detail, info in zip(interpreter.get_output_details(), facts.outputs, strict=True):
        wanted = [sizes.get(size, size) if isinstance(size, str) else size for size in info.shape]
        pairs = zip(detail["shape"], wanted, strict=True)
        if any(isinstance(size, int) and found != size for found, size in pairs):
            raise axis_sizes.FixedAxisError(f"LiteRT knows the size of {info.name} only when it runs")


def _dynamic(program: Program) -> dict[str, Any]:
    return {name: axis for name, axis in program.facts.axes.items() if axis.min < axis.max}


def _static(program: Program, form: Form, sizes: dict[str, int]) -> tuple[bytes, dict[str, str]]:
    """Converts a program at one size of each axis."""
    exported, found, notes = _graph(program, form, sizes)
    parts = [(flatbuffer.SIGNATURE, _module(exported), _example(program, sizes))]
    for number, loop in enumerate(found):
        handed_on = loops.handed_on(exported.graph_module, number)
        parts += [(f"body_{number}", loop.body, handed_on), (f"condition_{number}", loop.condition, handed_on)]
    model = flatbuffer.parse(_converted(parts))
    loops.splice(model, found, program.layers)
    return flatbuffer.inline(model), notes


def _graph(program: Program, form: Form, sizes: dict[str, int]) -> _Graph:
    """Exports the graph again at fixed sizes, custom ops decomposed where that is asked for."""
    import torch

    graph: Any = program.exported().module(check_guards=False)
    found = loops.rewrite(graph) if form.decomposed else []
    notes = {loop.op: loop.describe() for loop in found}
    if form.decomposed:
        notes |= loops.unrolled(graph)
        kept_float.rewrite(graph)
    try:
        exported = torch.export.export(graph, _example(program, sizes))
        if form.decomposed:
            exported = exported.run_decompositions(registry.references(program.facts.ops))
    except Exception as error:
        raise DeployError(
            f"The model cannot be exported at {sizes}: {first_line(error)}", "Build for another runtime."
        ) from error
    marks.mark(exported.graph_module, program.layers)
    return _Graph(exported, found, notes)


def _module(exported: torch.export.ExportedProgram) -> Any:
    """Returns the module of a graph in which everything that depends on constants alone has been computed."""
    module: Any = exported.module(check_guards=False)
    constants.fold(module)
    return module


def _example(program: Program, sizes: dict[str, int]) -> tuple[torch.Tensor, ...]:
    """Returns inputs of given sizes, no two of them the same object, which litert-torch would merge."""
    import torch

    golden = program.golden()[0].inputs
    return tuple(_sized(torch.from_numpy(golden[info.name]), info, sizes) for info in program.facts.inputs)


def _sized(tensor: torch.Tensor, info: TensorInfo, sizes: dict[str, int]) -> torch.Tensor:
    import torch

    for axis, size in enumerate(info.shape):
        if isinstance(size, str) and size in sizes:
            tensor = tensor.index_select(axis, torch.arange(sizes[size]) % tensor.size(axis))
    return tensor.clone()


def _converted(parts: Sequence[tuple[str, Any, tuple[Any, ...]]]) -> bytes:
    """Runs litert-torch on modules, each with the key of its signature and an example of its inputs.

    Raises:
        DeployError: It has no lowering for something, or wrote nothing.
    """
    import litert_torch

    try:
        converter: Any = None
        for key, module, example in parts:
            begin = converter.signature if converter else litert_torch.signature
            converter = begin(key, module, example)
        # Otherwise integers of 64 bits become such of 32, in outputs too.
        content: bytes = converter.convert(enable_x64=True).model_content()
    except Exception as error:
        raise DeployError(
            f"The model cannot be converted to LiteRT: {first_line(error)}",
            "Replace the operator that the text names, or build for another runtime.",
        ) from error
    if not content:
        raise DeployError("litert-torch wrote an empty file", "Run again with --debug.")
    return content


def _finished(program: Program, model: flatbuffer.Model, notes: dict[str, str]) -> Converted:
    """Gives inputs and outputs the names of the program."""
    facts = program.facts
    flatbuffer.name_uniquely(model)
    flatbuffer.share_constants(model)
    flatbuffer.drop_unused(model)
    for signature in model.signatureDefs:
        for prefix, maps, infos in (
            ("args_", signature.inputs, facts.inputs),
            ("output_", signature.outputs, facts.outputs),
        ):
            for each in maps:
                each.name = infos[int(each.name.decode().removeprefix(prefix))].name.encode()
    return Converted(flatbuffer.inline(model), notes | {"operators": ", ".join(flatbuffer.operator_names(model))})


def _at_fixed_batches(program: Program, form: Form, notes: dict[str, str], reason: str) -> Converted:
    """Converts a program once for each batch of the target, as signatures of one file.

    Raises:
        DeployError: An axis that is not the batch of every input and output would be fixed.
    """
    axis = _only_batch(program)
    if axis is None:
        raise DeployError(
            f"LiteRT cannot leave {', '.join(_dynamic(program))} open: {reason}",
            "Leave the axis out of dynamic_axes, or build for another runtime.",
        )
    _check_rows(program, form, reason)
    parts = []
    for batch in sorted(set(form.batches)):
        exported = _graph(program, form, {axis: batch}).exported
        parts.append((batches.key_of(batch), _module(exported), _example(program, {axis: batch})))
    model = flatbuffer.parse(_converted(parts))
    said = f"signatures for {', '.join(str(batch) for batch in sorted(set(form.batches)))}: {reason}"
    return _finished(program, model, notes | {"batch": said})


def _check_rows(program: Program, form: Form, reason: str) -> None:
    """Runs the program itself in pieces: a row whose answer depends on its place or on other rows does not allow it.

    Raises:
        DeployError: It gives other answers than for the whole batch.
    """
    import torch

    module = program.exported().module(check_guards=False)

    def piece(_: int, inputs: Sequence[Any]) -> list[Any]:
        found = module(*map(torch.from_numpy, inputs))
        return [each.detach().numpy() for each in torch.utils._pytree.tree_leaves(found)]

    for case in program.golden():
        inputs = [case.inputs[info.name] for info in program.facts.inputs]
        found = batches.run(inputs, form.batches, piece)
        for info, output in zip(program.facts.outputs, found, strict=True):
            expected = case.outputs[info.name]
            metric = metric_for(expected)
            if output.shape != expected.shape or not metric.distance(output, expected) <= metric.limit:
                raise DeployError(
                    f"LiteRT cannot leave the batch open: {reason}. Nor can the model be run in pieces, since "
                    f"{info.name} depends on where a row stands",
                    "Leave the batch out of dynamic_axes, or build for another runtime.",
                )


def _only_batch(program: Program) -> str | None:
    """Returns the name of the one dynamic axis when it is the first axis of every input and output."""
    dynamic = list(_dynamic(program))
    infos = (*program.facts.inputs, *program.facts.outputs)
    first = all(info.shape and info.shape[0] == dynamic[0] for info in infos)
    alone = not any(isinstance(size, str) for info in infos for size in info.shape[1:])
    return dynamic[0] if len(dynamic) == 1 and first and alone else None


@dataclass(frozen=True)
class File:
    """A file that is ready.

    Attributes:
        content: Its operators are marked still; `compact.written` gives what is shipped.
        lowered: Facts for the manifest, and what became of each layer.
    """

    content: bytes
    lowered: Lowered


def lower(program: Program, form: Form, legacy: bool = False) -> File:
    """Returns the file of a program.

    Args:
        program: The captured model.
        form: Decomposed or with custom operators, the precision, and the batches where they must be fixed.
        legacy: For tflite-runtime.

    Raises:
        DeployError: The program cannot be converted or quantized as asked; the text says why.
    """
    converted = _converted_once(program, form)
    content, notes = precision.quantized(converted.content, program, form, legacy)
    return File(content, Lowered(converted.notes | notes, precision.states(content, program, form)))


def _converted_once(program: Program, form: Form) -> Converted:
    """Converts a program unless the cache has it: all precisions that prepare the module alike begin with one file."""
    folder, _ = cache.stage("litert", _key(program, form), lambda folder: _store(convert(program, form), folder))
    return Converted((folder / CONTENT).read_bytes(), json.loads((folder / NOTES).read_text()))


def _key(program: Program, form: Form) -> str | None:
    """Returns a digest of what a conversion depends on, in which the precision does not stand."""
    if program.key is None:
        return None
    facts = program.facts.model_dump(include={"inputs", "outputs", "axes", "ops", "layers"})
    libraries = {each.namespace: native.digest(each.source) for each in registry.libraries()}
    versions = [installed.version(each) for each in ("torch", "litert-torch", "litert-converter")]
    sources = fingerprint.sources_digest("capture", "layers.py", "oplib", "ops", "runtimes", "tensors.py")
    parts = (program.module(), facts, form.decomposed, form.batches, libraries, versions, sources)
    try:
        return fingerprint.digest(*parts)
    except fingerprint.UnknownContentError:
        return None


def _store(converted: Converted, folder: Path) -> None:
    (folder / CONTENT).write_bytes(converted.content)
    (folder / NOTES).write_text(json.dumps(converted.notes))
