"""The example server under load: requests per second and latency, beside the bare run of the same bundle."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import aiohttp
import numpy as np
from rich.table import Table

import deploypipe
from deploypipe.bundle.load import Model
from deploypipe.bundle.manifest import GOLDEN
from deploypipe.bundle.timing import smallest
from deploypipe.errors import DeployError
from deploypipe.target import SHIPPED
from deploypipe.tensors import load_cases
from deploypipe.triton.datatypes import datatype

APP = SHIPPED / "server" / "app"
# Seconds that a server has to verify its bundle.
_PATIENCE = 120
# A whole run is cut into so many rounds, so that a slow moment of the machine touches every lane.
ROUNDS = 5


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: Its address.
        pid: Its process.
    """

    url: str
    pid: int

    def cpu(self) -> float:
        """Returns the CPU seconds that it has used; a busy machine changes them less than latencies."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Call:
    """An inference request as HTTP sends it."""

    name: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Lane:
    """What was measured of one kind of request from one number of clients.

    Attributes:
        call: What the clients send; None for runs without a server.
        clients: That send at the same time, each its next request after the last answer.
        seconds: Of all answers with status 200.
        errors: Answers that were none.
        wall: Seconds of measuring.
        cpu: Seconds that the process used which ran the model.
    """

    call: Call | None
    clients: int
    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.call.name if self.call else "bare run"

    def milliseconds(self, percent: float) -> float:
        """Returns a percentile of the latency, in ms."""
        return float(np.percentile(self.seconds, percent)) * 1e3 if self.seconds else float("nan")


def measure(bundle: Path, clients: Sequence[int], seconds: float, options: Sequence[str]) -> list[Lane]:
    """Measures the bare run and every kind of request from every number of clients, in turns.

    Args:
        bundle: What is served.
        clients: Numbers of clients.
        seconds: For each lane, over all rounds.
        options: Of the server.

    Raises:
        DeployError: The bundle is damaged, or the server does not become ready.
    """
    bare = Lane(None, 1)
    with deploypipe.load(bundle) as model, server(bundle, options) as running:
        inputs = _inputs(model)
        calls = (as_json(model.manifest.model, inputs), as_bytes(model.manifest.model, inputs))
        lanes = [Lane(call, count) for count in clients for call in calls]
        for _ in range(ROUNDS):
            _run_bare(bare, model, inputs, seconds / ROUNDS)
            for lane in lanes:
                before = running.cpu()
                asyncio.run(_load(lane, running.url, seconds / ROUNDS))
                lane.cpu += running.cpu() - before
    return [bare, *lanes]


def _inputs(model: Model) -> dict[str, Any]:
    """Returns the smallest golden vector."""
    manifest = model.manifest
    return smallest(load_cases(model.path / GOLDEN, manifest.inputs, manifest.outputs)).inputs


def as_json(model: str, inputs: dict[str, Any]) -> Call:
    """Returns a request with its tensors, and those of its answer, in JSON."""
    tensors = [_tensor(name, array) | {"data": array.ravel().tolist()} for name, array in inputs.items()]
    body = json.dumps({"inputs": tensors}).encode()
    return Call("JSON", f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})


def as_bytes(model: str, inputs: dict[str, Any]) -> Call:
    """Returns a request with its tensors, and those of its answer, as bytes."""
    tensors = [
        _tensor(name, array) | {"parameters": {"binary_data_size": array.nbytes}} for name, array in inputs.items()
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    body = b"".join([head, *(array.tobytes() for array in inputs.values())])
    return Call("binary", f"/v2/models/{model}/infer", body, {"Inference-Header-Content-Length": str(len(head))})


def _tensor(name: str, array: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype(str(array.dtype)), "shape": list(array.shape)}


@contextmanager
def server(bundle: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """Runs the example server on a free port of this machine, and gives it when it is ready.

    Raises:
        DeployError: It does not become ready.
    """
    command = [sys.executable, "-m", "server", "--bundle", str(bundle.resolve()), "--port", "0", *options]
    process = subprocess.Popen(command, cwd=APP, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise DeployError("The server did not start", "It says above why.")
        url = line.split()[-1]
        _wait(f"{url}/v2/health/ready")
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            urlopen(url).close()
            return
        except HTTPError as error:
            if "error" in (said := json.load(error)):
                raise DeployError("The server did not become ready", said["error"]) from None
            time.sleep(0.05)
    raise DeployError("The server did not become ready", f"Ask {url} why.")


def _run_bare(lane: Lane, model: Model, inputs: dict[str, Any], seconds: float) -> None:
    before = time.process_time()
    with _walled(lane, seconds) as more:
        while more():
            begin = time.perf_counter()
            model.run(inputs)
            lane.seconds.append(time.perf_counter() - begin)
    lane.cpu += time.process_time() - before


async def _load(lane: Lane, url: str, seconds: float) -> None:
    connector = aiohttp.TCPConnector(limit=lane.clients)
    async with aiohttp.ClientSession(url, connector=connector) as client:
        with _walled(lane, seconds) as more:
            await asyncio.gather(*(_ask(lane, client, more) for _ in range(lane.clients)))


async def _ask(lane: Lane, client: aiohttp.ClientSession, more: Callable[[], bool]) -> None:
    call = lane.call
    assert call
    while more():
        begin = time.perf_counter()
        async with client.post(call.path, data=call.body, headers=call.headers) as response:
            await response.read()
        if response.status == HTTPStatus.OK:
            lane.seconds.append(time.perf_counter() - begin)
        else:
            lane.errors += 1


@contextmanager
def _walled(lane: Lane, seconds: float) -> Iterator[Callable[[], bool]]:
    """Gives what says whether there is time left, and adds the time that was taken."""
    begin = time.perf_counter()
    yield lambda: time.perf_counter() - begin < seconds
    lane.wall += time.perf_counter() - begin


def numbers(lanes: Sequence[Lane]) -> list[dict[str, Any]]:
    """Returns the figures as plain values; `over_ms` is the median over that of the bare run."""
    bare = lanes[0].milliseconds(50)
    return [
        {
            "request": lane.name,
            "clients": lane.clients,
            "per_second": len(lane.seconds) / lane.wall,
            **{f"p{percent}_ms": lane.milliseconds(percent) for percent in (50, 90, 99)},
            "over_ms": lane.milliseconds(50) - bare,
            "cpu_ms": lane.cpu / max(len(lane.seconds), 1) * 1e3,
            "errors": lane.errors,
        }
        for lane in lanes
    ]


def table(lanes: Sequence[Lane]) -> Table:
    """Makes the table of the figures."""
    title = "Requests to the example server, ms; over: median beyond the bare run's; cpu: of the server, per request"
    made = Table(title=title)
    for name in ("request", "clients", "per second", "p50", "p90", "p99", "over", "cpu", "errors"):
        made.add_column(name, justify="left" if name == "request" else "right")
    for row in numbers(lanes):
        figures = (f"{row[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms", "over_ms", "cpu_ms"))
        made.add_row(row["request"], str(row["clients"]), f"{row['per_second']:.0f}", *figures, str(row["errors"]))
    return made
