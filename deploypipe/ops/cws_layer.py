"""CWS, the module: a layer of hashes, with the table in one of three forms."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from deploypipe.errors import DeployError, nearest
from deploypipe.ops import cws_layouts
from deploypipe.ops.cws_tables import tables

STORAGES = ("float32", "uint8", "generated")
# Above this a table does not stay in the cache, and rows with few nonzeros must not read all of it.
SPARSE_BYTES = 32 << 20

_jit: Any = torch.jit


class CWS(nn.Module):
    """A layer of hashes for nonnegative data; it has a table but nothing to train.

    The three storages are three families of hashes: a model is trained with the one that it is deployed with.

    Args:
        in_features: D, the length of a row.
        num_hashes: k, hashes per row.
        seed: The same seed gives the same hashes on every machine.
        storage: "float32"; "uint8", which takes 19 % of the bytes; or "generated", which keeps only the seed
            and makes the table when it is first used.
        sparse: Of float32, whether rows have few nonzeros; None takes large tables for sparse data.

    Attributes:
        in_features: D.
        num_hashes: k.
        storage: One of `STORAGES`.
        sparse: Whether the table is feature-major.
        table: float32[(k+15)/16,D,64], float32[D,(k+15)/16,64] when sparse, or uint8[D,(k+15)/16,48].
        seed: int64[1], of a generated table, which has no `table`.
    """

    __constants__ = ("sparse", "_coded", "_generated")  # so that TorchScript compiles one branch of forward

    def __init__(
        self,
        in_features: int,
        num_hashes: int,
        seed: int = 0,
        storage: str = "float32",
        sparse: bool | None = None,
    ) -> None:
        super().__init__()
        self._describe(in_features, num_hashes, storage, sparse)
        if self._generated:
            self.seed = nn.Buffer(torch.tensor([seed]))
        else:
            drawn = (torch.from_numpy(table) for table in tables(in_features, num_hashes, seed))
            self.table = nn.Buffer(self._packed(*drawn))

    @classmethod
    def from_tables(cls, r: Tensor, log_c: Tensor, beta: Tensor, sparse: bool | None = None) -> Self:
        """Makes the layer from given tables, [k,D] each, of any float dtype; they are kept as float32.

        Raises:
            DeployError: The tables are not of one shape [k,D], or r is not positive.
        """
        if r.dim() != 2 or r.shape != log_c.shape or r.shape != beta.shape:
            shapes = ", ".join(str(list(table.shape)) for table in (r, log_c, beta))
            raise DeployError(f"The CWS tables are of shapes {shapes}", "Give three tables of one shape [k,D].")
        if not bool((r > 0).all()):
            raise DeployError("The CWS table r has values that are not positive", "Draw r from Gamma(2,1).")
        module = cls.__new__(cls)
        nn.Module.__init__(module)
        module._describe(r.size(1), r.size(0), "float32", sparse)
        module.table = nn.Buffer(module._packed(r, log_c, beta))
        return module

    def _describe(self, in_features: int, num_hashes: int, storage: str, sparse: bool | None) -> None:
        if storage not in STORAGES:
            raise DeployError(f"There is no CWS storage '{storage}'", nearest(storage, list(STORAGES)))
        if sparse is not None and storage != "float32":
            raise DeployError(f"The CWS storage '{storage}' has one layout", "Leave `sparse` out.")
        self.in_features, self.num_hashes, self.storage = in_features, num_hashes, storage
        self._coded, self._generated = storage == "uint8", storage == "generated"
        large = 16 * in_features * num_hashes > SPARSE_BYTES
        self.sparse = self._coded or (storage == "float32" and (large if sparse is None else sparse))

    def _packed(self, r: Tensor, log_c: Tensor, beta: Tensor) -> Tensor:
        if self._coded:
            values = cws_layouts.encode(r, log_c, beta)
        else:
            values = cws_layouts.parameters(r.float(), log_c.float(), beta.float())
        return cws_layouts.pack(values, self.sparse)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Packs the tables of a state dict that has them as they were drawn."""
        names = [f"{prefix}{name}" for name in ("r", "log_c", "beta")]
        if self.storage == "float32" and all(name in state_dict for name in names):
            r, log_c, beta = (state_dict.pop(name) for name in names)
            state_dict[f"{prefix}table"] = self._packed(r, log_c, beta)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        """Hashes the rows.

        Args:
            input: Nonnegative finite weights, float32[B,D].

        Returns:
            index int64[B,k] and t int64[B,k]; -1 and 0 for an all-zero row.

        Raises:
            DeployError: A value is negative, infinite or NaN; in eager mode only, an exported model gives
                -1 and 0 for that row.
            ValueError: A shape that does not fit, from the op.
        """
        if not _jit.is_scripting():
            _refuse_bad_values(input, self.in_features)
        if self._generated:
            index, t = torch.ops.deploypipe.cws_generated(input, self.seed, self.num_hashes)
        elif self._coded:
            index, t = torch.ops.deploypipe.cws_codes(input, self.num_hashes, self.table)
        elif self.sparse:
            index, t = torch.ops.deploypipe.cws_sparse(input, self.num_hashes, self.table)
        else:
            index, t = torch.ops.deploypipe.cws_dense(input, self.num_hashes, self.table)
        return index, t

    def extra_repr(self) -> str:
        """Describes the sizes and the storage."""
        return f"in_features={self.in_features}, num_hashes={self.num_hashes}, storage={self.storage}"


def split_signs(x: Tensor) -> Tensor:
    """Makes signed data fit for CWS: every value becomes a pair, its positive and its negative part.

    Args:
        x: float[...,D].

    Returns:
        Nonnegative float[...,2D], interleaved: value j is at 2j when positive and at 2j+1 when negative.
    """
    return torch.stack([x.clamp(min=0), x.clamp(max=0).abs()], dim=-1).flatten(-2)


def _refuse_bad_values(data: Tensor, features: int) -> None:
    if torch.compiler.is_compiling() or _jit.is_tracing():
        return
    if data.dim() != 2 or data.size(1) != features:
        # A table that is generated fits rows of any length.
        raise ValueError(f"CWS: input must be [B,{features}], not {list(data.shape)}")
    if not bool(((data >= 0) & (data < torch.inf)).all()):
        raise DeployError(
            "The input of CWS has a value that is negative, infinite or NaN",
            "Give nonnegative finite data; deploypipe.ops.split_signs makes it from signed data.",
        )
