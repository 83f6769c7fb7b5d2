"""The ops again, in numpy: every float32 operation of cws in the order that its header promises, lltm in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
TILE = 16


class Tables(NamedTuple):
    """The parameters of hashes, float32[k,D] each."""

    r: Array
    log_c: Array
    beta: Array


def log(weights: Array) -> Array:
    """Returns the logarithm in double, rounded once; -inf for zero."""
    with np.errstate(divide="ignore"):
        return np.log(weights.astype(np.float64)).astype(np.float32)


def cws(weights: Array, tables: Tables) -> tuple[Array, Array]:
    """Hashes rows one by one with float32 operations, none of them fused; the first of equal heights wins."""
    with np.errstate(all="ignore"):
        inverse = np.float32(1) / tables.r
        shift = tables.log_c + tables.r * (tables.beta - np.float32(1))
    index = np.full((len(weights), len(tables.r)), -1, np.int64)
    level = np.zeros_like(index)
    for row, data in enumerate(weights):
        if not ((data >= 0) & (data < np.inf)).all() or not data.any():
            continue
        with np.errstate(all="ignore"):
            steps = np.floor(log(data) * inverse + tables.beta)
            height = shift - tables.r * steps
        height[:, data == 0] = np.inf
        index[row] = height.argmin(axis=1)
        level[row] = steps[np.arange(len(steps)), index[row]].astype(np.int64)
    return index, level


def dense_table(tables: Tables) -> Array:
    """Packs tables tile-major: float32[(k+15)/16,D,64] of 1/r, beta, s and r."""
    ri, shift = np.float32(1) / tables.r, tables.log_c + tables.r * (tables.beta - np.float32(1))
    parts = [_tiles(part) for part in (ri, tables.beta, shift, tables.r)]
    return np.concatenate(parts, axis=2)


def sparse_table(tables: Tables) -> Array:
    """Packs tables feature-major: float32[D,(k+15)/16,64]."""
    return np.ascontiguousarray(dense_table(tables).transpose(1, 0, 2))


def decode(codes: Array, hashes: int) -> Tables:
    """Returns the tables that uint8[D,(k+15)/16,48] stands for."""
    parts = codes.reshape(*codes.shape[:2], 3, TILE).transpose(2, 1, 3, 0).astype(np.float64)
    code_r, code_beta, code_c = parts.reshape(3, codes.shape[1] * TILE, codes.shape[0])[:, :hashes]
    r = np.exp2(code_r // 16 - 12) * (1 + (code_r % 16 + 0.5) / 16)
    made = (r, -8 + (code_c + 0.5) * (12 / 256), (code_beta + 0.5) / 256)
    return Tables(*(part.astype(np.float32) for part in made))


def draw(seed: int, hashes: int, features: int) -> Tables:
    """Returns the tables that a seed of cws_generated stands for."""
    u = [_uniforms(seed, n, hashes, features) for n in range(5)]
    made = (-np.log(u[0] * u[1]), np.log(-np.log(u[2] * u[3])), u[4])
    return Tables(*(part.astype(np.float32) for part in made))


def _uniforms(seed: int, n: int, hashes: int, features: int) -> Array:
    low, high = np.uint64(seed % 2**32), np.uint64((seed >> 32) % 2**32)
    stream = _mix(_mix(low + np.uint64((n + 1) * 0x1E3779B9)) ^ high)
    feature = _mix(stream + np.arange(features, dtype=np.uint64))
    hash_ = _mix(_mix(stream) + np.arange(hashes, dtype=np.uint64))
    return (_mix(feature[None, :] ^ hash_[:, None]) + 0.5) * 2.0**-32


def _mix(x: Array | np.uint64) -> Any:
    """The mix of csrc/kernels/cws_generated.h, with 64-bit numbers cut to 32 bits."""
    word = np.uint64(2**32 - 1)
    x = x & word
    for shift, factor in ((17, 0x7FEB352D), (11, 0x31848BAB), (15, 0x2C1B3C6D)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) & word
    return x ^ (x >> np.uint64(14))


def _tiles(part: Array) -> Array:
    """[k,D] -> [(k+15)/16,D,16]; the padding holds ones."""
    hashes, features = part.shape
    padded = np.ones((-(-hashes // TILE) * TILE, features), np.float32)
    padded[:hashes] = part
    return padded.reshape(len(padded) // TILE, TILE, features).transpose(0, 2, 1)


def lltm(x: Array, h: Array, c: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """Runs the layer in float64."""
    x, h, c, weight, bias = (each.astype(np.float64) for each in (x, h, c, weight, bias))
    hidden = h.shape[1]
    outputs = np.zeros((len(x), *h.shape))
    for step, data in enumerate(x):
        gates = np.concatenate([h, data], axis=1) @ weight.T + bias
        h, c = cell(gates[:, :hidden], gates[:, hidden : 2 * hidden], gates[:, 2 * hidden :], c)
        outputs[step] = h
    return outputs, h, c


def cell(i: Array, o: Array, g: Array, c: Array) -> tuple[Array, Array]:
    """Returns the next h and c from the gates before their activations."""
    with np.errstate(over="ignore"):
        candidate = np.where(g > 0, g, np.expm1(np.minimum(g, 0)))
        c = c + candidate / (1 + np.exp(-i))
        return np.tanh(c) / (1 + np.exp(-o)), c


def lltm_panels(weight: Array, bias: Array, hidden: int) -> Array:
    """Packs a weight: float32[(H+15)/16,H+I+1,48], per panel and column 3 gates of 16 units, the bias last."""
    columns = np.concatenate([weight, bias[:, None]], axis=1)
    return np.ascontiguousarray(
        _panels(columns, hidden).transpose(0, 3, 1, 2).reshape(-(-hidden // TILE), columns.shape[1], 48)
    )


def _panels(rows: Array, hidden: int) -> Array:
    """[3H,K] -> [(H+15)/16,3,16,K], padded with zeros."""
    panels = -(-hidden // TILE)
    padded = np.zeros((3, panels * TILE, rows.shape[1]), rows.dtype)
    padded[:, :hidden] = rows.reshape(3, hidden, rows.shape[1])
    return padded.reshape(3, panels, TILE, rows.shape[1]).transpose(1, 0, 2, 3)


class Quantized(NamedTuple):
    """An int8 layer before packing: weights int8[3H,H] and [3H,I], factors and bias float32[3H] each."""

    h: Array
    x: Array
    h_scale: Array
    x_scale: Array
    bias: Array

    @property
    def hidden(self) -> int:
        """H."""
        return self.h.shape[1]

    def packed(self) -> tuple[Array, Array, Array]:
        """Returns the inputs weight, sums and scales of lltm_int8."""
        weight = np.concatenate([_groups(self.h, self.hidden), _groups(self.x, self.hidden)], axis=1)
        whole = [part.astype(np.int32).sum(axis=1, dtype=np.int32) for part in (self.h, self.x)]
        return weight, self._rows(whole), self._rows([self.h_scale, self.x_scale, self.bias])

    def _rows(self, parts: list[Array]) -> Array:
        """[3H] each -> [(H+15)/16,parts,48]."""
        panels = _panels(np.stack(parts, axis=1), self.hidden)
        return np.ascontiguousarray(panels.transpose(0, 3, 1, 2).reshape(len(panels), len(parts), 48))


def _groups(weight: Array, hidden: int) -> Array:
    """int8[3H,K] -> [(H+15)/16,(K+3)/4,192]: per group of 4 columns 3 gates x 16 units x 4 columns."""
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % 4)))
    panels = _panels(padded, hidden)
    split = panels.reshape(*panels.shape[:3], padded.shape[1] // 4, 4)
    return np.ascontiguousarray(split.transpose(0, 3, 1, 2, 4).reshape(len(panels), padded.shape[1] // 4, 192))


def quantize(values: Array, factor: Array | float) -> Array:
    """Rounds to the nearest integer, to the even one of two, as float32 gives the product."""
    return np.rint(values.astype(np.float32) * np.asarray(factor, np.float32)).astype(np.int64)


def lltm_int8(x: Array, h: Array, c: Array, layer: Quantized) -> tuple[Array, Array, Array]:
    """Runs the layer with exact integer sums; gates and states in float64."""
    outputs = np.zeros((len(x), *h.shape))
    state, h = c.astype(np.float64), h.astype(np.float64)
    for step, data in enumerate(x):
        most = np.abs(data).max(axis=1, keepdims=True, initial=0).astype(np.float32)
        # Below about 4e-37 the factor would be infinite; so small an input adds nothing to a gate.
        with np.errstate(divide="ignore", over="ignore"):
            factor = np.where(most > 1e-36, np.float32(127) / most, np.float32(0))
        from_h = quantize(np.clip(h, -1, 1), 127) @ layer.h.T.astype(np.int64)
        from_x = quantize(data, factor) @ layer.x.T.astype(np.int64)
        gates = from_h * layer.h_scale.astype(np.float64) + from_x * (layer.x_scale * (most / np.float32(127)))
        gates = gates + layer.bias
        size = layer.hidden
        h, state = cell(gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :], state)
        outputs[step] = h
    return outputs, h, state
