"""Smaller hash layers: fewer hashes, shorter codes, tables of codes instead of floats, no rows that never come."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deploypipe.errors import DeployError
from deploypipe.ops import CWS, cws_layouts
from deploypipe.ops.hash_sum import HashSum, ReachedHashSum
from deploypipe.spec import Train

# Tables of the hashes that a model is trained anew with.
SEED = 0


@dataclass(frozen=True)
class Pair:
    """A CWS and the HashSum that takes its hashes.

    Attributes:
        hashes: Name of the CWS.
        sum: Name of the HashSum.
    """

    hashes: str
    sum: str


def pairs(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> list[Pair]:
    """Returns each HashSum of a model with the CWS that feeds it, found by running the model."""
    made: dict[int, str] = {}
    kept, found = [], []

    def after_hashes(name: str, output: tuple[Tensor, Tensor]) -> None:
        kept.append(output)  # so that no other tensor gets its id
        made[id(output[0])] = name

    def before_sum(name: str, index: Tensor) -> None:
        if id(index) in made:
            found.append(Pair(made[id(index)], name))

    handles = [
        part.register_forward_hook(lambda _part, _args, output, name=name: after_hashes(name, output))
        if isinstance(part, CWS)
        else part.register_forward_pre_hook(lambda _part, args, name=name: before_sum(name, args[0]))
        for name, part in module.named_modules()
        if isinstance(part, CWS | HashSum)
    ]
    try:
        with torch.no_grad():
            module(*example_inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def counts(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> list[int]:
    """Returns k of each CWS of a model that feeds a HashSum."""
    return [_part(module, pair.hashes).num_hashes for pair in pairs(module, example_inputs)]


def kept(module: nn.Module, example_inputs: tuple[Tensor, ...], hashes: int) -> nn.Module:
    """Returns a copy with the first hashes of every CWS; the rows that were trained for them stay.

    Args:
        module: Is not changed.
        example_inputs: One tensor per argument of its forward.
        hashes: k; a CWS that has no more keeps all.

    Raises:
        DeployError: The model has no CWS that feeds a HashSum.
    """
    return _changed(module, example_inputs, lambda cws: _first(cws, hashes), lambda each: _first_rows(each, hashes))


def recoded(
    module: nn.Module, example_inputs: tuple[Tensor, ...], bits: int | None = None, t_bits: int | None = None
) -> nn.Module:
    """Returns a copy whose codes have other numbers of bits, with new rows, which are to be trained.

    Args:
        module: Is not changed.
        example_inputs: One tensor per argument of its forward.
        bits: Of the index; None leaves them.
        t_bits: Of t; None leaves them.

    Raises:
        DeployError: The model has no CWS that feeds a HashSum.
    """

    def anew(each: HashSum) -> HashSum:
        wanted = (each.bits if bits is None else bits, each.t_bits if t_bits is None else t_bits)
        return _new(each.num_hashes, *wanted, each)

    return _changed(module, example_inputs, lambda cws: cws, anew)


def stored(module: nn.Module, example_inputs: tuple[Tensor, ...], storage: str) -> nn.Module:
    """Returns a copy with CWS tables in another storage: other hashes, with new rows, which are to be trained.

    Args:
        module: Is not changed.
        example_inputs: One tensor per argument of its forward.
        storage: One of `ops.cws_layer.STORAGES`.

    Raises:
        DeployError: There is no such storage, or the model has no CWS that feeds a HashSum.
    """

    def anew(cws: CWS) -> CWS:
        return CWS(cws.in_features, cws.num_hashes, SEED, storage)

    return _changed(module, example_inputs, anew, lambda each: _new(each.num_hashes, each.bits, each.t_bits, each))


def reached(module: nn.Module, batches: Iterable[tuple[Tensor, ...]], train: Train | None = None) -> nn.Module:
    """Returns a copy whose hash layers have rows only for the codes that come in given data.

    Of the 256 codes of a hash of the zoo's gcwsnet, 9 come in the training images.

    Args:
        module: Is not changed.
        batches: Inputs of the model.
        train: Trains a copy for one epoch, by which the codes of the training data are seen too.

    Raises:
        DeployError: The model has no HashSum.
    """
    seen = copy.deepcopy(module)
    found = {name: _watched(part) for name, part in seen.named_modules() if isinstance(part, HashSum)}
    if not found:
        raise _nothing(module)
    with torch.no_grad():
        for batch in batches:
            seen(*batch)
    if train is not None:
        with torch.random.fork_rng(devices=[]):
            train(seen, 1)
    smaller = copy.deepcopy(module)
    for name, codes in found.items():
        smaller.set_submodule(name, ReachedHashSum(_part(smaller, name), codes))
    return smaller


def _watched(layer: HashSum) -> Tensor:
    """Returns bool[k*codes], in which a code is marked as soon as the layer is called with it."""
    codes = torch.zeros(layer.table.num_embeddings - 1, dtype=torch.bool)

    def mark(layer: HashSum, hashes: tuple[Tensor, Tensor]) -> None:
        codes[layer.positions(*hashes)[hashes[0] >= 0]] = True

    layer.register_forward_pre_hook(mark)
    return codes


def _changed(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    hashes: Callable[[CWS], CWS],
    rows: Callable[[HashSum], HashSum],
) -> nn.Module:
    found = pairs(module, example_inputs)
    if not found:
        raise _nothing(module)
    changed = copy.deepcopy(module)
    for name in dict.fromkeys(pair.hashes for pair in found):
        changed.set_submodule(name, hashes(_part(changed, name)))
    for name in dict.fromkeys(pair.sum for pair in found):
        changed.set_submodule(name, rows(_part(changed, name)))
    return changed.train(module.training)


def _part(module: nn.Module, name: str) -> Any:
    return module.get_submodule(name)


def _nothing(module: nn.Module) -> DeployError:
    return DeployError(
        f"{type(module).__name__} has no CWS that feeds a HashSum", "Leave the settings of hashes out for this model."
    )


def _first(cws: CWS, hashes: int) -> CWS:
    cws.num_hashes = min(cws.num_hashes, hashes)
    if cws.storage != "generated":
        table = cws_layouts.unpack(cws.table, cws.num_hashes, cws.sparse)
        cws.table = nn.Buffer(cws_layouts.pack(table, cws.sparse))
    return cws


def _first_rows(layer: HashSum, hashes: int) -> HashSum:
    made = _new(min(layer.num_hashes, hashes), layer.bits, layer.t_bits, layer)
    with torch.no_grad():
        made.table.weight[:-1] = layer.table.weight[: made.table.num_embeddings - 1]
        made.bias.copy_(layer.bias)
    return made


def _new(hashes: int, bits: int, t_bits: int, like: HashSum) -> HashSum:
    """Returns a layer with rows that know nothing, the same on each call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return HashSum(hashes, bits, t_bits, like.table.embedding_dim)
