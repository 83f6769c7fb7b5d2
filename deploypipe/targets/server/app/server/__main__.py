"""Starts the server: `python -m server`."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from deploypipe.errors import DeployError

from .app import create
from .service import Service, Settings

BUNDLE = Path(__file__).resolve().parent.parent / "bundle"
# Seconds that requests have to end when the server is told to.
_GRACE = 30


def main(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = BUNDLE,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    sessions: Annotated[int, typer.Option(min=1, help="Runs at the same time, each in its own session.")] = 1,
    batch_ms: Annotated[
        float | None,
        typer.Option(min=0, help="Run requests together, waiting so long for others; 0 takes those that wait."),
    ] = None,
    max_body_mb: Annotated[int, typer.Option(min=1, help="Largest request, in MiB.")] = 64,
) -> None:
    """Serve a bundle by the Open Inference Protocol v2."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    delay = None if batch_ms is None else batch_ms / 1000
    try:
        service = Service(Settings(bundle, sessions, delay, max_body_mb << 20))
    except DeployError as error:
        sys.exit(str(error))
    config = uvicorn.Config(
        create(service), host, port, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE
    )
    listening = listen(config)
    name, number = listening.getsockname()[:2]
    print(f"{service.manifest.model} at http://{name}:{number}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def listen(config: uvicorn.Config) -> socket.socket:
    """Opens the socket of a server; whoever is told its address may connect at once."""
    listening = config.bind_socket()
    # Connections inherit it. asyncio sets it for its own sockets only, and without it the body of an answer waits
    # 40 ms for the client to acknowledge its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.listen(config.backlog)
    return listening


if __name__ == "__main__":
    typer.run(main)
