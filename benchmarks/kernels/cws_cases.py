"""The cases of consistent weighted sampling."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.kernels import cws_data, cws_peers, cws_sparse_peers
from benchmarks.kernels.bounds import VECTOR, Need, read
from benchmarks.kernels.case import Case, Comparison
from benchmarks.kernels.compiled import Stopwatch
from benchmarks.kernels.cws_data import CwsData
from benchmarks.kernels.own import Own
from benchmarks.kernels.timing import Lane, repeat

# Two multiplications, an addition, a subtraction, a rounding (which counts double on Intel's processors), a
# comparison, and two selections for a feature and 16 hashes.
_VECTOR_OPERATIONS = 9
_PARAMETER_BYTES = 16
_CODE_BYTES = 3


def dense(own: Own, batch: int = 32, features: int = 784, hashes: int = 256) -> Case:
    """A batch of rows of which half of the weights are zero."""
    data = cws_data.draw(batch, features, hashes)
    work = f"CWS dense D={features}, k={hashes}, " + ("one row" if batch == 1 else f"batch {batch}")
    stopwatch = Stopwatch()
    compiled = cws_peers.compiled_lanes(data)
    note = stopwatch.note(work)
    lanes = [
        *_own(own, "cws_dense", data, data.dense_table()),
        *compiled,
        *cws_peers.torch_lanes(data),
        *cws_peers.numpy_lanes(data),
        *cws_peers.datasketch_lanes(data),
    ]
    return Case(lanes, _dense_comparisons(work, data), notes=[note])


def _own(own: Own, op: str, data: CwsData, table: cws_data.Array) -> list[Lane]:
    return [
        *own.kernel("kernel", op, [data.rows, table], {"hashes": data.hashes}, "cws"),
        *own.torch_op("torch op", op, [data.rows, data.hashes, table], "cws"),
    ]


def _dense_comparisons(work: str, data: CwsData) -> list[Comparison]:
    batch = data.rows.shape[0]
    numpy = ("numpy: all", "numpy: nonzeros", "numpy: blocks")
    compiled = ("torch.compile: at once", "torch.compile: t again")
    one = batch == 1
    # A row that is alone reads the parameters of its own features; a batch reads the whole table once.
    features = data.nonzeros if one else data.rows.shape[1]
    needs = (
        Need(VECTOR, _VECTOR_OPERATIONS * data.nonzeros * data.hashes),
        read(features * data.hashes * _PARAMETER_BYTES),
    )

    def line(against: str, ours: str, peers: Sequence[str], asked: float | None) -> Comparison:
        return Comparison(work, against, ours, tuple(peers), asked, kernel="kernel", needs=needs)

    return [
        line("torch.compile of the log form", "torch op", compiled, 4.5 if one else 8),
        line("torch eager", "torch op", ["torch eager"], 12 if one else None),
        line("torch eager, literal form", "torch op", ["torch eager literal"], None),
        line("best numpy form", "kernel", numpy, None if one else 12),
        line("datasketch minhash", "kernel", ["datasketch minhash"], None if one else 120),
        line("datasketch minhash_many", "kernel", ["datasketch minhash_many"], None if one else 65),
    ]


def sparse(own: Own, batch: int = 256, features: int = 47236, hashes: int = 256, nonzeros: int = 70) -> Case:
    """Rows with few weights, and tables that are larger than the caches: each row finds its part of them cold."""
    data = cws_data.draw(batch, features, hashes, nonzeros)
    tables = cws_sparse_peers.tables(data)
    codes, real = data.coded()
    lanes = [
        *_own(own, "cws_sparse", data, data.sparse_table()),
        *own.kernel("kernel uint8", "cws_codes", [data.rows, codes], {"hashes": hashes}, "codes"),
        *cws_peers.datasketch_lanes(data, one_by_one=False),
    ]
    for given in (False, True):
        lanes += cws_sparse_peers.numpy_lanes(data, tables, given)
        lanes += cws_sparse_peers.torch_lanes(data, tables, given)
    work = f"CWS sparse D={features:,}, {nonzeros} nonzeros, {batch} rows"
    return Case(lanes, _sparse_comparisons(work, data, codes), [_decoded(real)], [_file_note(data, codes)])


def _sparse_comparisons(work: str, data: CwsData, codes: cws_data.Array) -> list[Comparison]:
    needs, code_needs = _sparse_needs(data, _PARAMETER_BYTES), _sparse_needs(data, _CODE_BYTES)

    def line(against: str, ours: str, peer: str, end: str, asked: float | None) -> Comparison:
        peers = (f"{peer}{end}: by feature", f"{peer}{end}: by hash")
        return Comparison(work, against + end, ours, peers, asked, kernel="kernel", needs=needs)

    given = ", nonzeros given"
    many = ("datasketch minhash_many",)
    return [
        Comparison(work, many[0], "kernel", many, 100, kernel="kernel", needs=needs),
        line("torch eager", "torch op", "torch eager", "", 8),
        line("torch eager", "torch op", "torch eager", given, None),
        line("best numpy form", "kernel", "numpy", "", 4),
        line("best numpy form", "kernel", "numpy", given, None),
        Comparison(
            f"CWS uint8 tables, cold rows ({codes.nbytes / (4 * data.r.nbytes):.1%} of the bytes)",
            "own float32 tables",
            "kernel uint8",
            ("kernel",),
            1.8,
            kernel="kernel uint8",
            needs=code_needs,
        ),
    ]


def _sparse_needs(data: CwsData, parameter_bytes: int) -> tuple[Need, ...]:
    """The rows stream by, and so do the parameters of what is not zero in them."""
    touched = data.nonzeros * data.hashes * parameter_bytes
    size = data.rows.nbytes + touched
    return Need(VECTOR, _VECTOR_OPERATIONS * data.nonzeros * data.hashes), read(size)


def _decoded(real: CwsData) -> Lane:
    """The tables that the codes stand for, hashed by numpy."""
    lane = cws_sparse_peers.numpy_lanes(real, cws_sparse_peers.tables(real), given=True)[0]
    return Lane("numpy, decoded", repeat(lambda: None), lane.result, "codes", cws_peers.UNEQUAL)


def _file_note(data: CwsData, codes: cws_data.Array) -> str:
    whole = 4 * data.r.nbytes
    return f"uint8 tables: {codes.nbytes:,} bytes, float32 tables: {whole:,} bytes ({codes.nbytes / whole:.2%})"
