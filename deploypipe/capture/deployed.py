"""The deployed form of a model: a copy in which other modules stand, which say themselves that they are to."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from deploypipe.errors import DeployError, first_line

if TYPE_CHECKING:
    import torch


def deployed(module: torch.nn.Module) -> torch.nn.Module:
    """Returns the model as it is lowered; the one that was given does not change.

    Every submodule with a method `deployed()` is replaced by what that method returns, wherever the model
    refers to it; a submodule that is used twice stays one. A submodule stays as it is when it returns itself,
    when it has forward hooks, or when its `forward` was replaced on the instance: another module would not
    do what was added to it.

    Raises:
        DeployError: A `deployed()` fails or returns no module, or the model cannot be copied.
    """
    forms: dict[int, Any] = {}
    # Parts before the wholes that contain them, so that the form of a whole may contain the form of a part.
    for part in reversed(list(module.modules())):
        form = _form(part)
        if form is not part:
            forms[id(part)] = _copied(form, forms)
    return _copied(module, forms)


def _copied(module: torch.nn.Module, forms: dict[int, Any]) -> torch.nn.Module:
    """Copies a module with the forms in it, by handing them to deepcopy as copies made already."""
    if not any(id(part) in forms for part in module.modules()):
        return module
    try:
        return copy.deepcopy(module, forms)
    except Exception as error:
        raise DeployError(
            f"{type(module).__name__} cannot be copied: {first_line(error)}",
            "Make it fit for copy.deepcopy; the model is lowered from a copy with other modules in it.",
        ) from error


def _form(part: torch.nn.Module) -> torch.nn.Module:
    import torch

    make = getattr(part, "deployed", None)
    if not callable(make) or part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part):
        return part
    try:
        form = make()
    except Exception as error:
        raise DeployError(
            f"deployed() of {type(part).__name__} fails: {type(error).__name__}: {first_line(error)}",
            "Correct it, or rename it if it is not meant to return the module to deploy.",
        ) from error
    if not isinstance(form, torch.nn.Module):
        raise DeployError(
            f"deployed() of {type(part).__name__} returns a {type(form).__name__}",
            "Return the module to deploy, which may be the module itself, or rename the method.",
        )
    return form if form is part else form.train(part.training)
