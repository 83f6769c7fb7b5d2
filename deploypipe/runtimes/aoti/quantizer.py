"""The quantizer of inductor, as PT2E calls it."""

from __future__ import annotations

from torch import fx, nn
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

_ANNOTATION = "quantization_annotation"


class InductorQuantizer(x86.X86InductorQuantizer):  # type: ignore[misc]
    """Products and convolutions of 8 bits, with a scale per channel of the weights.

    Args:
        dynamic: Scales of activations are found as they come, and not by calibration.
    """

    def __init__(self, dynamic: bool) -> None:
        super().__init__()
        # 7 bits for activations: without VNNI, processors add pairs of products in 16 bits, which 8 bits overflow.
        config = x86.get_default_x86_inductor_quantization_config(is_dynamic=dynamic, reduce_range=True)
        if dynamic:
            # It would take convolutions too, of which inductor has no such kernel: they would be slower than floats.
            self.set_function_type_qconfig(nn.functional.linear, config)
        else:
            self.set_global(config)

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Annotates a graph, except for the nodes that have been answered before."""
        for node in model.graph.nodes:
            if _ANNOTATION in node.meta:
                # It looks in every annotation for fields that only its own kind has.
                node.meta[_ANNOTATION] = x86._X86InductorQuantizationAnnotation(_annotated=True)
        changed: fx.GraphModule = super().annotate(model)
        return changed
