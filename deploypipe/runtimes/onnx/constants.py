"""The constants of a file: weights as they are used, and integers in as few bytes as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# Ops that put a matrix together anew.
_MOVES = ("Concat", "Slice", "Unsqueeze")
# Numbers, from which on a constant is worth a node. Shapes, which are read before a model runs, have fewer.
MIN_SIZE = 64


def fold(model: onnx.ModelProto) -> None:
    """Turns the weights of recurrent layers into constants.

    The exporter brings their gates into another order, and leaves that to be done at load where they are large.
    Quantizers take constants only.

    Args:
        model: As it was exported; it is changed.
    """
    from onnxscript import optimizer

    if not any(node.op_type in ("GRU", "LSTM", "RNN") for node in model.graph.node):
        return
    optimizer.fold_constants(
        model, should_fold=lambda node: node.op_type in _MOVES, output_size_limit=np.iinfo(np.int64).max
    )
    ONNXModel(model).clean_initializers()


def narrow(model: onnx.ModelProto) -> None:
    """Stores integers in the smallest type that holds them, and widens them by a Cast, which is computed once at load.

    The sums of weights that `lltm_int8` takes are such.

    Args:
        model: It is changed.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.INT32, TensorProto.INT64) and np.prod(tensor.dims) >= MIN_SIZE:
            values, wide, kind = numpy_helper.to_array(tensor), tensor.name, tensor.data_type
            if (small := _smallest(values)).itemsize < values.dtype.itemsize:
                tensor.CopyFrom(numpy_helper.from_array(values.astype(small), f"{wide}_narrow"))
                casts.append(helper.make_node("Cast", [tensor.name], [wide], f"{wide}_cast", to=kind))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _smallest(values: Array) -> np.dtype[Any]:
    lowest, highest = values.min(), values.max()
    limits = (np.iinfo(kind) for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32))
    fitting = (each.dtype for each in limits if each.min <= lowest and highest <= each.max)
    return next(fitting, values.dtype)
