"""Names of numpy's dtypes in the Open Inference Protocol; Triton's configuration puts `TYPE_` before them."""

from __future__ import annotations

from deploypipe.errors import DeployError

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}


def datatype(dtype: str) -> str:
    """Returns the protocol's name of a dtype.

    Raises:
        DeployError: The protocol has none.
    """
    if dtype not in DATATYPES:
        raise DeployError(
            f"The Open Inference Protocol has no {dtype}",
            f"Convert it inside the model to one of {', '.join(DATATYPES)}.",
        )
    return DATATYPES[dtype]
