"""The random tables of consistent weighted sampling, the same bits on every machine for one seed.

numpy promises that the raw stream of PCG64 never changes, but a `log` differs in the last bit from one
maths library to the next. So the logarithm here is made of operations that IEEE 754 defines exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

# ln 2 in two parts: the first has 32 zero bits at its end, so its product with an exponent is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_TERMS = 12


def log(x: Array) -> Array:
    """Returns the natural logarithm of positive finite numbers, within 2 units in the last place.

    With x = m * 2**e and m near 1, log m = 2 atanh s for s = (m - 1) / (m + 1), |s| < 0.172, whose series
    has converged after 12 terms.
    """
    m, e = np.frexp(x)
    small = m < np.sqrt(0.5)
    m, e = np.where(small, 2 * m, m), e - small
    s = (m - 1) / (m + 1)
    z = s * s
    series = np.zeros_like(s)
    for n in range(_TERMS, 0, -1):
        series = (series + 1 / (2 * n + 1)) * z
    return np.asarray(e * _LN2_HIGH + (2 * s + (2 * s * series + e * _LN2_LOW)))


def tables(in_features: int, num_hashes: int, seed: int) -> tuple[Array, Array, Array]:
    """Draws the tables of `num_hashes` hashes of `in_features` features.

    Returns:
        r ~ Gamma(2,1), log c with c ~ Gamma(2,1), and beta ~ U(0,1], float64[k,D] each.
    """
    uniform = _uniforms(5, num_hashes, in_features, seed=seed)
    # A sum of two exponential variables has the law Gamma(2,1).
    r, c = -log(uniform[0] * uniform[1]), -log(uniform[2] * uniform[3])
    return r, log(c), uniform[4]


def _uniforms(*shape: int, seed: int) -> Array:
    """Draws from U(0,1] with 53 bits: 1 minus what numpy's `Generator.random` draws, so never 0."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape))).reshape(shape)
    return np.asarray(1.0 - (raw >> np.uint64(11)) * 2.0**-53)
