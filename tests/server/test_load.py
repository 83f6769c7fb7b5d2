"""Many clients at the same time: every answer is the right one, and the metrics count them."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import serving
from deploypipe.bundle.load import Model

from .conftest import PATIENCE, PAUSE, numbers, tensor

INFER = "/v2/models/plain/infer"
CLIENTS, EACH = 8, 50


def inputs() -> Any:
    """One row for each request, of every client."""
    return np.random.default_rng(0).standard_normal((CLIENTS, EACH, 1, 4), np.float32)


def metrics(url: str) -> dict[str, float]:
    """The sums and counts at /metrics; those of requests by status."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    return {
        sample.name + sample.labels.get("status", ""): sample.value
        for family in families
        for sample in family.samples
        if "le" not in sample.labels
    }


async def ask_all(url: str, rows: Any) -> Any:
    """Lets every client send its requests one after the other, all clients at the same time."""

    async def ask(client: httpx.AsyncClient, own: Any) -> list[Any]:
        return [numbers(await client.post(INFER, json={"inputs": [tensor(row)]})) for row in own]

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        return np.array(await asyncio.gather(*(ask(client, own) for own in rows)))


def test_every_answer_is_the_models(running: serving.Server, direct: Model) -> None:
    rows, before = inputs(), metrics(running.url)
    found = asyncio.run(ask_all(running.url, rows))
    expected = np.array([[direct(row)[0] for row in own] for own in rows])
    np.testing.assert_array_equal(found, expected)
    after = metrics(running.url)
    for name in ("requests_total200", "queue_seconds_count", "inference_seconds_count", "batch_rows_sum"):
        assert after[f"deploypipe_{name}"] - before.get(f"deploypipe_{name}", 0) == CLIENTS * EACH, name
    assert after["deploypipe_inference_seconds_sum"] > before.get("deploypipe_inference_seconds_sum", 0)


def test_requests_that_run_as_one_get_their_own_rows(built_onnx: Path, direct: Model) -> None:
    rows = inputs()
    with serving.server(built_onnx, ["--batch-ms", "5", "--sessions", "2"]) as running:
        found = asyncio.run(ask_all(running.url, rows))
        counted = metrics(running.url)
    expected = np.array([[direct(row)[0] for row in own] for own in rows])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert counted["deploypipe_batch_rows_sum"] == CLIENTS * EACH
    assert counted["deploypipe_inference_seconds_count"] < CLIENTS * EACH


def test_what_was_asked_is_answered_before_it_ends(built_onnx: Path) -> None:
    """The first request waits for a second one; the server is told to end while it does."""
    options = ["--bundle", str(built_onnx), "--port", "0", "--batch-ms", "5000"]
    command = [sys.executable, "-m", "server", *options]
    process = subprocess.Popen(command, cwd=serving.APP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    row = inputs()[0, 0]

    async def ask(url: str) -> httpx.Response:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            while (await client.get("/v2/health/ready")).status_code != httpx.codes.OK:
                await asyncio.sleep(PAUSE)
            request = asyncio.create_task(client.post(INFER, json={"inputs": [tensor(row)]}))
            while not request.done():
                if 'requests_in_progress{model="plain"} 1.0' in (await client.get("/metrics")).text:
                    break
            process.send_signal(signal.SIGTERM)
            return await request

    try:
        assert process.stdout
        assert numbers(asyncio.run(ask(process.stdout.readline().split()[-1]))).shape == (1, 3)
        _, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said
    finally:
        process.kill()
        process.communicate()


def test_a_connection_sends_at_once() -> None:
    """Otherwise the body of each answer waits until the client acknowledges its head, which takes 40 ms."""
    import uvicorn
    from server.__main__ import listen

    config = uvicorn.Config("app", port=0, log_level="warning")
    with listen(config) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()
