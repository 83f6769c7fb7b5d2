"""Pieces of the ONNX bodies of the cws ops, which slice by an attribute and so cannot be derived."""

from __future__ import annotations

CONSTANTS = """
    axis0 = Constant <value_ints: ints = [0]> ()
    axis1 = Constant <value_ints: ints = [1]> ()
    axis2 = Constant <value_ints: ints = [2]> ()
    nothing = Constant <value_float: float = 0.0> ()
    unit = Constant <value_float: float = 1.0> ()
    huge = Constant <value_float: float = 3.0e38> ()
    none = Constant <value_int: int = -1> ()
    hashes_scalar = Constant <value_int: int = @hashes> ()
    count = Unsqueeze (hashes_scalar, axis0)
"""


def unpacked(numbers: int, feature_major: bool) -> str:
    """Nodes from `table` to `parts`, [numbers,k,D], with the hashes that fill up the last tile."""
    order = (2, 0, 1, 3) if feature_major else (2, 1, 0, 3)
    return f"""
        apart = Constant <value_ints: ints = [0, 0, {numbers}, 16]> ()
        together = Constant <value_ints: ints = [0, 0, -1]> ()
        tiles = Reshape (table, apart)
        by_feature = Transpose <perm: ints = [{", ".join(map(str, order))}]> (tiles)
        joined = Reshape (by_feature, together)
        parts = Transpose <perm: ints = [0, 2, 1]> (joined)
    """


# ri and s of r, log_c and beta, [1,k,D] each.
DERIVED = """
    ri = Div (unit, r)
    beta_below = Sub (beta, unit)
    s_drop = Mul (r, beta_below)
    s = Add (log_c, s_drop)
"""

# The outputs of `input` and of ri, beta, s and r, [1,k,D] each; of these k the first `hashes` count.
HASHES = """
    positive = Greater (input, nothing)
    usable_weights = Where (positive, input, unit)
    logarithm = Log (usable_weights)
    log_u = Unsqueeze (logarithm, axis1)
    scaled = Mul (log_u, ri)
    shifted = Add (scaled, beta)
    levels = Floor (shifted)
    drop = Mul (r, levels)
    a = Sub (s, drop)
    takes_part = Unsqueeze (positive, axis1)
    ranked = Where (takes_part, a, huge)
    winner = ArgMin <axis: int = 2, keepdims: int = 1> (ranked)
    level = GatherElements <axis: int = 2> (levels, winner)
    index_all = Squeeze (winner, axis2)
    t_all = Squeeze (level, axis2)
    negative = Less (input, nothing)
    infinite = IsInf (input)
    undefined = IsNaN (input)
    wrong = Or (negative, infinite)
    bad = Or (wrong, undefined)
    bad_number = Cast <to: int = 1> (bad)
    positive_number = Cast <to: int = 1> (positive)
    worst = ReduceMax <keepdims: int = 1> (bad_number, axis1)
    best = ReduceMax <keepdims: int = 1> (positive_number, axis1)
    usable = Greater (best, worst)
    index_usable = Where (usable, index_all, none)
    t_usable = Where (usable, t_all, nothing)
    t_whole = Cast <to: int = 7> (t_usable)
    index = Slice (index_usable, axis0, count, axis1)
    t = Slice (t_whole, axis0, count, axis1)
"""
