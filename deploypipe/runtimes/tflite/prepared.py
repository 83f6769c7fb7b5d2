"""What is put in the place of layers before the export: forms with 8-bit weights whose op has a kernel.

Everything else is quantized in the converted file. That goes for a decomposed op too: its 8-bit form would round at
every step by operators of its own, and makes a larger file with the same answers. It also goes for tables, which the
file can hold in 4 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploypipe.runtimes.protocol import Form

if TYPE_CHECKING:
    from torch import nn


def of(module: nn.Module, form: Form) -> nn.Module:
    """Returns a copy of a model with those forms, or the model itself where ops are decomposed."""
    from deploypipe.runtimes.quantized_forms import replaced

    if form.decomposed or not form.precision.startswith("int"):
        return module
    return replaced(module, form, _quantized)


def _quantized(layer: nn.Module) -> nn.Module | None:
    make = getattr(layer, "quantized", None)
    form: nn.Module | None = make() if callable(make) else None
    return form
