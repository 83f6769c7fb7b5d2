"""The package of AOTInductor: made small, and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploypipe.runtimes import torch_archive

_LEFT_OUT = (".wrapper.cpp", ".kernel.cpp", ".kernel_metadata.json")
_CONSTANT = re.compile(r"constants_info_\[(\d+)\]\.(name|dtype|shape|original_fqn) = \"?([^;\"]*)\"?;")
_KERNEL = re.compile(r"aoti_torch_\w*?_q(?:linear|conv)\w*\((.*)\);")


@dataclass(frozen=True)
class Constant:
    """A tensor in a package.

    Attributes:
        origin: Its name in the graph that was compiled.
        dtype: As in `torch.int8`, without the module.
        axes: How many it has.
        in_kernel: It is given to a product or a convolution of 8 bits.
    """

    origin: str
    dtype: str
    axes: int
    in_kernel: bool


def slim(package: Path) -> str:
    """Drops the sources from a package and compresses the rest.

    Returns:
        The source that says which constants there are and which kernels they are given to.
    """
    sources = torch_archive.compress(package, _LEFT_OUT)
    return next(content for name, content in sources.items() if name.endswith(".wrapper.cpp")).decode()


def constants(source: str) -> list[Constant]:
    """Reads what `slim` returned."""
    fields: dict[str, dict[str, str]] = {}
    for number, key, value in _CONSTANT.findall(source):
        fields.setdefault(number, {})[key] = value
    given = {word for call in _KERNEL.findall(source) for word in re.findall(r"\w+", call)}
    return [_constant(each, given) for each in fields.values()]


def _constant(fields: Mapping[str, str], given: set[str]) -> Constant:
    return Constant(
        origin=fields.get("original_fqn", ""),
        dtype=fields["dtype"].removeprefix("cached_torch_dtype_"),
        axes=len(fields["shape"].strip("{}").split(",")),
        in_kernel=fields["name"] in given,
    )
