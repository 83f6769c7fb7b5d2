"""Custom ops in ONNX: schemas, translations from torch, and function bodies, with nothing written per op.

A body stands in for the kernel where no op library is registered. Everything comes from the C++ signature
and the OpSpec.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, first_line
from deploypipe.oplib.spec import OpSpec

if TYPE_CHECKING:
    import onnx

OPSET = 20
TENSORS = {
    "float32": "tensor(float)",
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
    "int8": "tensor(int8)",
    "uint8": "tensor(uint8)",
    "bool": "tensor(bool)",
}
PYTHON_TYPES: Mapping[str, type] = {"float": float, "int": int}

Signature = Mapping[str, Any]
"""An op as `native.describe` gives it: name, inputs, attributes, outputs; and its `arguments` in order."""


def translations(ops: Sequence[str]) -> dict[Any, Callable[..., Any]]:
    """Returns the translation table of custom ops for `torch.onnx.export`, registering their schemas.

    Args:
        ops: Names as `namespace::op`.
    """
    import torch

    table: dict[Any, Callable[..., Any]] = {}
    for op in ops:
        domain, name = op.split("::")
        signature = _find(op)[1]
        _register_schema(domain, signature)
        table[getattr(getattr(torch.ops, domain), name).default] = _translation(domain, signature)
    return table


def attach_bodies(model: onnx.ModelProto, ops: Sequence[str]) -> None:
    """Adds the function body of each op to a model, so that it runs without an op library.

    Raises:
        DeployError: The body of an op cannot be derived from its reference.
    """
    for op in ops:
        spec, signature = _find(op)
        model.functions.append(_body(op.split("::")[0], spec, signature))


def _find(op: str) -> tuple[OpSpec, Signature]:
    import torch

    from deploypipe import native
    from deploypipe.oplib import registry

    library, spec = registry.provider(op)
    description = native.describe(native.library("torch", library.source))
    signature = next(each for each in description["ops"] if each["name"] == spec.name)
    overload = getattr(getattr(torch.ops, library.namespace), spec.name).default
    return spec, {**signature, "arguments": [each.name for each in overload._schema.arguments]}


def _register_schema(domain: str, signature: Signature) -> None:
    import onnx

    name = signature["name"]
    if onnx.defs.has(name, domain):
        return
    schema = onnx.defs.OpSchema
    onnx.defs.register_schema(
        schema(
            name,
            domain,
            1,
            inputs=[schema.FormalParameter(each["name"], TENSORS[each["dtype"]]) for each in signature["inputs"]],
            outputs=[schema.FormalParameter(each["name"], TENSORS[each["dtype"]]) for each in signature["outputs"]],
            attributes=[_schema_attribute(each) for each in signature["attributes"]],
        )
    )


def _schema_attribute(attribute: Mapping[str, Any]) -> Any:
    import onnx

    kinds = {"float": onnx.defs.OpSchema.AttrType.FLOAT, "int": onnx.defs.OpSchema.AttrType.INT}
    if attribute["default"] is None:
        return onnx.defs.OpSchema.Attribute(attribute["name"], kinds[attribute["type"]], required=True)
    return onnx.defs.OpSchema.Attribute(attribute["name"], _default(attribute))


def _default(attribute: Mapping[str, Any]) -> onnx.AttributeProto:
    import onnx

    return onnx.helper.make_attribute(attribute["name"], PYTHON_TYPES[attribute["type"]](attribute["default"]))


def _translation(domain: str, signature: Signature) -> Callable[..., Any]:
    import onnxscript

    opset = onnxscript.values.Opset(domain, 1)
    python = _python_signature(signature)
    attributes = {each["name"] for each in signature["attributes"]}

    def translate(*args: Any, **kwargs: Any) -> Any:
        given = python.bind(*args, **kwargs).arguments
        inputs = [value for name, value in given.items() if name not in attributes]
        return getattr(opset, signature["name"])(*inputs, **{n: v for n, v in given.items() if n in attributes})

    # The exporter reads the signature to tell tensors from attributes.
    translate.__name__ = signature["name"]
    translate.__annotations__ = {each["name"]: PYTHON_TYPES[each["type"]] for each in signature["attributes"]}
    vars(translate)["__signature__"] = python
    return translate


def _python_signature(signature: Signature) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arguments = {each["name"]: inspect.Parameter(each["name"], kind) for each in signature["inputs"]}
    for each in signature["attributes"]:
        default = inspect.Parameter.empty if each["default"] is None else each["default"]
        annotation = PYTHON_TYPES[each["type"]]
        arguments[each["name"]] = inspect.Parameter(each["name"], kind, default=default, annotation=annotation)
    return inspect.Signature([arguments[name] for name in signature["arguments"]])


def _body(domain: str, spec: OpSpec, signature: Signature) -> onnx.FunctionProto:
    import onnx

    inputs = [each["name"] for each in signature["inputs"]]
    outputs = [each["name"] for each in signature["outputs"]]
    nodes = _parsed(spec, inputs, outputs) if spec.onnx_body else _derived(spec, signature, inputs, outputs)
    return onnx.helper.make_function(
        domain,
        spec.name,
        inputs,
        outputs,
        nodes,
        [onnx.helper.make_opsetid("", OPSET)],
        attributes=[each["name"] for each in signature["attributes"] if each["default"] is None],
        attribute_protos=[_default(each) for each in signature["attributes"] if each["default"] is not None],
    )


def _parsed(spec: OpSpec, inputs: Sequence[str], outputs: Sequence[str]) -> Sequence[onnx.NodeProto]:
    import onnx

    head = f'<opset_import: ["" : {OPSET}], domain: "body"> {spec.name} ({", ".join(inputs)}) => ({", ".join(outputs)})'
    try:
        nodes: Sequence[onnx.NodeProto] = onnx.parser.parse_function(f"{head} {{ {spec.onnx_body} }}").node
    except onnx.parser.ParseError as error:
        raise DeployError(f"The onnx_body of {spec.name} is wrong: {error}", "Correct it in its OpSpec.") from error
    return nodes


def _derived(spec: OpSpec, signature: Signature, inputs: Sequence[str], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """Exports the reference with every dimension dynamic, and each attribute as a scalar tensor."""
    try:
        graph = _reference_graph(spec, signature)
    except Exception as error:
        raise DeployError(
            f"No ONNX function can be derived from the reference of {spec.name}: {first_line(error)}",
            "Write its nodes in ONNX text syntax as onnx_body of the OpSpec.",
        ) from error
    attributes = signature["attributes"]
    names = dict(zip((each.name for each in graph.input), [*inputs, *(a["name"] for a in attributes)], strict=True))
    names |= dict(zip((each.name for each in graph.output), outputs, strict=True))
    constants = [_attribute_constant(each) for each in attributes]
    constants += [_constant(tensor) for tensor in graph.initializer]
    return [_renamed(node, names) for node in [*constants, *graph.node]]


def _reference_graph(spec: OpSpec, signature: Signature) -> onnx.GraphProto:
    import torch

    sample = max(spec.samples(), key=lambda each: min((n for t in each.inputs for n in t.shape), default=0))

    names = [each["name"] for each in (*signature["inputs"], *signature["attributes"])]
    places = [names.index(name) for name in signature["arguments"]]

    class Reference(torch.nn.Module):
        """The reference as a module whose attributes are tensors after the inputs."""

        def forward(self, *tensors: torch.Tensor) -> Any:
            return spec.reference(*(tensors[place] for place in places))

    scalars = [torch.tensor(each["default"] or 1) for each in signature["attributes"]]
    dims = tuple(dict.fromkeys(range(t.ndim), torch.export.Dim.AUTO) for t in (*sample.inputs, *scalars))
    exported = torch.export.export(Reference(), (*sample.inputs, *scalars), dynamic_shapes=(dims,))
    _refuse_fixed(exported, signature)
    program = torch.onnx.export(exported, dynamo=True, opset_version=OPSET, verbose=False)
    if program is None:
        raise RuntimeError("the exporter returned nothing")
    graph: onnx.GraphProto = program.model_proto.graph
    return graph


def _refuse_fixed(exported: Any, signature: Signature) -> None:
    """A body must not be made for the sizes of the sample only."""
    values = {node.name: node.meta["val"] for node in exported.graph.nodes if node.op == "placeholder"}
    for each, name in zip(signature["inputs"], exported.graph_signature.user_inputs, strict=False):
        dims = [dim for dim in each["dims"] if dim != "..."]
        sizes = values[name].shape[-len(dims) :] if dims else ()
        for dim, size in zip(dims, sizes, strict=True):
            if isinstance(size, int) and not dim.isdigit():
                raise ValueError(f"it is fixed to {dim}={size} of {each['name']}")


def _attribute_constant(attribute: Mapping[str, Any]) -> onnx.NodeProto:
    import onnx

    node = onnx.helper.make_node("Constant", [], [attribute["name"]])
    reference = onnx.AttributeProto(name=f"value_{attribute['type']}", ref_attr_name=attribute["name"])
    reference.type = onnx.AttributeProto.FLOAT if attribute["type"] == "float" else onnx.AttributeProto.INT
    node.attribute.append(reference)
    return node


def _constant(tensor: onnx.TensorProto) -> onnx.NodeProto:
    import onnx

    return onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """Gives values the op's own names, and drops what the exporter noted down for debugging."""
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.metadata_props[:]
    copy.doc_string = ""
    copy.input[:] = [_rename(name, names) for name in node.input]
    copy.output[:] = [_rename(name, names) for name in node.output]
    return copy


def _rename(name: str, names: Mapping[str, str]) -> str:
    if not name or name in names:
        return names.get(name, name)
    # A prefix keeps inner values apart from the op's own names.
    return name if name in names.values() else f"body_{name}"
