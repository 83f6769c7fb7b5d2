"""What is done to a model before it is lowered, in plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from deploypipe.errors import DeployError
from deploypipe.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

# Epochs of training that follow unless another number is given. Weights that are left need mending; new rows of hash
# layers learn from nothing: on digits gcwsnet reaches 97.2 % in 4 epochs and 98.0 % in 12.
MENDING = 5
LEARNING = 12
QAT = 3


Share = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[int, Field(ge=0)]


class Pruning(BaseModel):
    """What is done to a model; what is left out is left as it is.

    Attributes:
        magnitude: Share of the weights that become zero.
        channels: Share of the channels that every linear and convolution layer loses.
        hidden: Share of the hidden units that every LLTM loses.
        hashes: k, the hashes of every CWS that are kept.
        bits: Bits of the index in the codes of HashSum layers.
        t_bits: Bits of t in them.
        storage: Of CWS tables: `float32`, `uint8` or `generated`.
        reached: HashSum layers lose the rows of codes that do not come in the training data.
        qat_epochs: Epochs of quantization-aware training, after those of `epochs`.
        epochs: Epochs of training after the changes; None takes as many as they need.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    magnitude: Share | None = None
    channels: Share | None = None
    hidden: Share | None = None
    hashes: Annotated[int, Field(ge=1)] | None = None
    bits: Annotated[int, Field(ge=0, le=16)] | None = None
    t_bits: Annotated[int, Field(ge=0, le=16)] | None = None
    storage: str | None = None
    reached: bool = False
    qat_epochs: Epochs = 0
    epochs: Epochs | None = None

    @property
    def label(self) -> str:
        """How it is called in tables: `channels 0.5`, `storage uint8 reached`."""
        chosen = self.model_dump(exclude_defaults=True)
        words = (name if value is True else f"{name} {value}" for name, value in chosen.items())
        return " ".join(words).replace("_", " ")

    @property
    def learns(self) -> bool:
        """Whether rows of hash layers are new."""
        return any(each is not None for each in (self.bits, self.t_bits, self.storage))

    @property
    def training(self) -> int:
        """Epochs of training after the changes, without those of quantization-aware training."""
        if self.epochs is not None:
            return self.epochs
        if self.learns:
            return LEARNING
        changed = any(each is not None for each in (self.magnitude, self.channels, self.hidden, self.hashes))
        return MENDING if changed else 0


def applicable(spec: ModelSpec) -> list[Pruning]:
    """Returns what may be worth trying with a model, by its layers.

    Pruning by magnitude is not among it, since it makes no artifact smaller or faster. A model that cannot be
    trained is offered what does without.
    """
    from deploypipe.compress import channels, hashes, magnitude

    trains = spec.train is not None
    mended = None if trains else 0
    found = [
        Pruning.model_validate({name: share, "epochs": mended})
        for name, kinds in (("channels", channels.CHANNELS), ("hidden", channels.HIDDEN))
        if channels.prunable(spec.module, spec.example_inputs, kinds)
        for share in (0.25, 0.5)
    ]
    if counts := hashes.counts(spec.module, spec.example_inputs):
        found += _of_hashes(spec, min(counts))
    if trains and magnitude.layers(spec.module):
        found.append(Pruning(qat_epochs=QAT))
    return found


def _of_hashes(spec: ModelSpec, hashes: int) -> list[Pruning]:
    found = [Pruning(reached=True)] if spec.train or spec.calibration else []
    if spec.train:
        found += [Pruning(storage=storage, reached=True) for storage in ("uint8", "generated")]
        found += [Pruning(hashes=hashes // 2, storage="uint8", reached=True)] if hashes > 1 else []
    return found


def applied(spec: ModelSpec, pruning: Pruning) -> ModelSpec:
    """Returns the spec of the model that a pruning makes.

    Its baseline is the scores of the model that was given, so that accuracy is compared with what that model had.
    The same call gives the same weights where `train` does, and torch's random state stays as it was.

    Raises:
        DeployError: The pruning does not fit the model, or asks for training and the spec has no `train`.
    """
    from deploypipe.compress import hashes, scores, tuning

    if pruning.training or pruning.qat_epochs:
        tuning.trainer(spec)
    module = tuning.fine_tuned(spec, changed(spec, pruning), pruning.training)
    if pruning.qat_epochs:
        from deploypipe.compress import qat

        module = qat.trained(replace(spec, module=module), pruning.qat_epochs)
    if pruning.reached:
        if not (spec.train or spec.calibration):
            raise DeployError(
                f"The model '{spec.name}' has no data in which codes are reached",
                "Give its ModelSpec a `train` or `calibration`.",
            )
        module = hashes.reached(module, spec.calibration or (), spec.train)
    baseline = scores.scores(spec, spec.module) if spec.baseline is None else spec.baseline
    return replace(spec, module=module.eval(), baseline=baseline)


def changed(spec: ModelSpec, pruning: Pruning) -> nn.Module:
    """Returns the module as a pruning leaves it before any training, with all rows of its hash layers.

    Raises:
        DeployError: The pruning does not fit the model.
    """
    from deploypipe.compress import channels, hashes, magnitude

    module, inputs = spec.module, spec.example_inputs
    if pruning.hashes is not None:
        module = hashes.kept(module, inputs, pruning.hashes)
    if pruning.storage is not None:
        module = hashes.stored(module, inputs, pruning.storage)
    if pruning.bits is not None or pruning.t_bits is not None:
        module = hashes.recoded(module, inputs, pruning.bits, pruning.t_bits)
    if pruning.hidden is not None:
        module = channels.pruned(module, inputs, pruning.hidden, channels.HIDDEN)
    if pruning.channels is not None:
        module = channels.pruned(module, inputs, pruning.channels)
    if pruning.magnitude is not None:
        module = magnitude.pruned(module, pruning.magnitude)
    return module
