"""The space of settings for an artifact, and the settings that are tried first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploypipe.compress.recipe import Pruning
from deploypipe.layers import Layer
from deploypipe.search.candidate import Candidate

if TYPE_CHECKING:
    import optuna

# Above this the blocks of a model are taken together, else nothing would be tried twice.
MOST_GROUPS = 16
NOTHING = "none"


@dataclass(frozen=True)
class Group:
    """Layers that are quantized or kept float together.

    Attributes:
        name: The path of the module that holds them, or of the layer itself.
        layers: Their paths.
    """

    name: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """What can be set.

    Attributes:
        precisions: Of the runtime; fp32 is the first.
        groups: From the most sensitive one to the least.
        prunings: What can be done to the model before.
    """

    precisions: tuple[str, ...]
    groups: tuple[Group, ...]
    prunings: tuple[Pruning, ...]

    def first(self) -> list[Candidate]:
        """Returns the settings that are tried before the sampler has a say, fp32 the very first.

        After each precision alone come those with the most sensitive group kept float, and each pruning alone
        and with the first precision of 8 bits.
        """
        quantized = self.precisions[1:]
        spared = [Candidate(precision=each, kept_float=(self.groups[0].name,)) for each in quantized if self.groups]
        small = next((each for each in quantized if each.startswith("int8")), "fp32")
        pruned = [Candidate(precision=small, pruning=each) for each in self.prunings]
        alone = [Candidate(pruning=each) for each in self.prunings]
        uniform = [Candidate(precision=each) for each in self.precisions]
        return list(dict.fromkeys((*uniform, *pruned, *(spared if len(self.groups) > 1 else ()), *alone)))

    def distributions(self) -> dict[str, optuna.distributions.CategoricalDistribution]:
        """Returns the choices that the sampler has, by the name that it gives them."""
        from optuna.distributions import CategoricalDistribution as Choices

        labels = [NOTHING, *(each.label for each in self.prunings)]
        spared = {_float(each): Choices([False, True]) for each in self.groups if len(self.groups) > 1}
        return {"precision": Choices(self.precisions), "pruning": Choices(labels), **spared}

    def suggest(self, trial: optuna.Trial) -> Candidate:
        """Returns a setting that the sampler chooses."""
        choices = self.distributions()
        precision = trial.suggest_categorical("precision", choices["precision"].choices)
        label = trial.suggest_categorical("pruning", choices["pruning"].choices)
        # fp32 has no layers to spare.
        asked = [each for each in self.groups if _float(each) in choices and precision != "fp32"]
        kept = tuple(each.name for each in asked if trial.suggest_categorical(_float(each), [False, True]))
        pruning = next((each for each in self.prunings if each.label == label), None)
        return Candidate(precision=str(precision), kept_float=kept, pruning=pruning)

    def parameters(self, candidate: Candidate) -> dict[str, str | bool]:
        """Returns a setting by the names that the sampler gives to choices."""
        label = candidate.pruning.label if candidate.pruning else NOTHING
        kept = {_float(each): each.name in candidate.kept_float for each in self.groups}
        spared = {name: value for name, value in kept.items() if len(kept) > 1 and candidate.precision != "fp32"}
        return {"precision": candidate.precision, "pruning": label, **spared}

    def layers(self, candidate: Candidate) -> tuple[str, ...]:
        """Returns the paths of the layers that a setting keeps float."""
        return tuple(name for each in self.groups if each.name in candidate.kept_float for name in each.layers)


def _float(group: Group) -> str:
    return f"float:{group.name}"


def groups(layers: Sequence[Layer]) -> tuple[Group, ...]:
    """Returns the groups of a model: its layers, or its blocks, the finest of which there are few enough."""
    names = [each.name for each in layers if not each.float_only]
    deepest = max((name.count(".") + 1 for name in names), default=1)
    for depth in range(deepest, 0, -1):
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(".".join(name.split(".")[:depth]), []).append(name)
        if len(found) <= MOST_GROUPS or depth == 1:
            return tuple(Group(name, tuple(members)) for name, members in found.items())
    return ()
