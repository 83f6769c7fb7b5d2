"""Running a model over a data set, whatever executes it: splitting of batches, and scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, first_line

if TYPE_CHECKING:
    import numpy as np
    import torch

    from deploypipe.spec import Evaluate, Predict
    from deploypipe.tensors import TensorInfo

    Array = np.ndarray[Any, Any]

CHUNK = 256


def batch_axis(inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> str | None:
    """Returns the axis that leads every input and output, along which a large batch can be split."""
    leading = {info.shape[0] if info.shape else None for info in (*inputs, *outputs)}
    axis = leading.pop() if len(leading) == 1 else None
    return axis if isinstance(axis, str) else None


def chunked(predict: Predict, size: int | None) -> Predict:
    """Returns a `Predict` that feeds at most `size` rows at a time; None leaves batches whole."""
    import numpy as np

    def run(*inputs: Array) -> tuple[Array, ...]:
        rows = inputs[0].shape[0] if inputs[0].ndim else 0
        if size is None or rows <= size:
            return predict(*inputs)
        parts = [predict(*(array[start : start + size] for array in inputs)) for start in range(0, rows, size)]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    return run


def eager(module: torch.nn.Module) -> Predict:
    """Returns a `Predict` that runs a module in eager PyTorch, its outputs in one flat tuple."""
    import torch

    def run(*inputs: Array) -> tuple[Array, ...]:
        with torch.no_grad():
            leaves = torch.utils._pytree.tree_leaves(module(*map(torch.from_numpy, inputs)))
        return tuple(leaf.numpy() for leaf in leaves)

    return run


def scores_of(evaluate: Evaluate | None, predict: Predict) -> dict[str, float]:
    """Runs the evaluation of a spec; a plain number is called `accuracy`.

    Raises:
        DeployError: It fails, or does not return numbers.
    """
    if evaluate is None:
        return {}
    try:
        result = evaluate(predict)
        named = result if isinstance(result, Mapping) else {"accuracy": result}
        return {name: float(score) for name, score in named.items()}
    except DeployError:
        raise
    except Exception as error:
        text = f"The evaluation of the model fails: {type(error).__name__}: {first_line(error)}"
        raise DeployError(text, "Mend its evaluate function.") from error
