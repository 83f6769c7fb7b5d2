"""The tables of cws in the layouts that kernels read, which come in tiles of 16 hashes.

A tile-major table, [tiles,features,...], suits dense rows; a feature-major one, [features,tiles,...], suits rows
with few nonzeros. The last tile is filled up with zeros, which no one reads.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 16


def parameters(r: Tensor, log_c: Tensor, beta: Tensor) -> Tensor:
    """Returns what a hash is computed from, [4,k,D]: ri = 1 / r, beta, s = log c + r * (beta - 1), and r."""
    return torch.stack([1 / r, beta, log_c + r * (beta - 1), r])


def pack(values: Tensor, feature_major: bool) -> Tensor:
    """Packs [n,k,D] into [(k+15)/16,D,16n], or [D,(k+15)/16,16n] when feature-major."""
    count, hashes, features = values.shape
    padded = F.pad(values, (0, 0, 0, -hashes % TILE)).reshape(count, -1, TILE, features)
    order = (3, 1, 0, 2) if feature_major else (1, 3, 0, 2)
    return padded.permute(order).flatten(2).contiguous()


def unpack(table: Tensor, hashes: int, feature_major: bool) -> Tensor:
    """Unpacks a table into [n,k,D]."""
    outer, inner, width = table.shape
    apart = table.reshape(outer, inner, width // TILE, TILE)
    by_value = apart.permute((2, 1, 3, 0) if feature_major else (2, 0, 3, 1))
    return by_value.reshape(width // TILE, -1, outer if feature_major else inner)[:, :hashes]


def encode(r: Tensor, log_c: Tensor, beta: Tensor) -> Tensor:
    """Returns the codes of float tables of any dtype, uint8[3,k,D]: of r, beta and log c.

    Every code stands for the middle of its interval. r is a number of 4 bits of exponent and 4 of mantissa, from
    2^-12 to 16; log c is between -8 and 4.
    """
    mantissa, exponent = torch.frexp(r)  # r = mantissa * 2^exponent with mantissa in [0.5, 1)
    codes_r = (exponent + 11) * 16 + torch.floor(mantissa * 32 - 16)
    codes = torch.stack([codes_r, torch.floor(beta * 256), torch.floor((log_c + 8) * (256 / 12))])
    return codes.clamp(0, 255).to(torch.uint8)


def decode(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns r, log c and beta of codes[3,k,D], float32[k,D] each and exact."""
    code_r, code_beta, code_log_c = codes[0].float(), codes[1].float(), codes[2].float()
    exponent = torch.floor(code_r / 16)
    r = _power_of_two(exponent) * (2.0**-12) * (1 + (code_r - 16 * exponent + 0.5) / 16)
    return r, (code_log_c + 0.5) * (12 / 256) - 8, (code_beta + 0.5) / 256


def _power_of_two(exponent: Tensor) -> Tensor:
    """Returns 2^exponent for whole numbers 0 to 15, bit by bit: `pow` is not exact in every runtime."""
    factors = []
    for bit in (8, 4, 2, 1):
        has = torch.floor(exponent / bit)
        exponent = exponent - has * bit
        factors.append(1 + has * (2.0**bit - 1))
    return factors[0] * factors[1] * factors[2] * factors[3]
