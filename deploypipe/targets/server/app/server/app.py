"""The routes of the Open Inference Protocol v2, and of Prometheus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import deploypipe
from deploypipe.errors import DeployError, first_line

from .answers import VERSION
from .errors import RefusedError
from .requests import HEADER
from .service import Service

_log = logging.getLogger("server")
router = APIRouter()


def create(service: Service) -> FastAPI:
    """Makes the application of a service; the bundle verifies itself when it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        verification = asyncio.create_task(service.verify())
        yield
        await verification
        service.close()

    app = FastAPI(title="deploypipe", version=deploypipe.__version__, lifespan=lifespan)
    app.state.service = service
    app.include_router(router)
    for kind in (RefusedError, DeployError, HTTPException):
        app.add_exception_handler(kind, _refused)
    return app


@router.get("/v2/", include_in_schema=False)
@router.get("/v2")
async def server_metadata() -> dict[str, Any]:
    """Tells what this server is."""
    return {"name": "deploypipe", "version": deploypipe.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/v2/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/v2/health/ready")
async def ready(request: Request) -> JSONResponse:
    """The bundle verified itself on this machine; its failures are told otherwise."""
    service = _service(request)
    failures = service.verdict.failures if service.verdict else ()
    table: dict[str, Any] = {"ready": service.ready, **({"error": " ".join(failures)} if failures else {})}
    return JSONResponse(table, 200 if service.ready else 503)


@router.get("/v2/models/{name}")
@router.get("/v2/models/{name}/versions/{version}")
async def model_metadata(request: Request, name: str, version: str = VERSION) -> dict[str, Any]:
    """Tells the inputs and outputs of the model."""
    service = _service(request)
    service.check_name(name, version)
    return service.metadata


@router.get("/v2/models/{name}/ready")
@router.get("/v2/models/{name}/versions/{version}/ready")
async def model_ready(request: Request, name: str, version: str = VERSION) -> JSONResponse:
    """The same as for the server, since it has one model."""
    service = _service(request)
    service.check_name(name, version)
    return JSONResponse({"name": name, "ready": service.ready}, 200 if service.ready else 503)


async def infer(request: Request) -> Response:
    """Runs the model; tensors are JSON, or bytes behind it."""
    service = _service(request)
    with service.metrics.in_progress.track_inprogress():
        try:
            service.check_name(request.path_params["name"], request.path_params.get("version", VERSION))
            answer = await service.infer(await _body(request, service.settings.max_body), request.headers.get(HEADER))
            response = Response(answer.body, headers=answer.headers)
        except Exception as error:
            response = _refused(request, error)
    service.metrics.answered(response.status_code)
    return response


# Plain routes: FastAPI would spend more on their parameters than a small model takes.
for _path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
    router.add_route(_path, infer, methods=["POST"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Tells Prometheus what was done."""
    return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _body(request: Request, limit: int) -> bytes:
    """Reads a body, and stops where it is too large."""
    if encoding := request.headers.get("content-encoding"):
        raise RefusedError(415, f"The body has the encoding {encoding!r}", "Send it as it is.")
    stated = request.headers.get("content-length", "0")
    body = bytearray()
    try:
        if int(stated) <= limit:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    break
    except ClientDisconnect:
        raise RefusedError(400, "The client went away before the end of its request", "Send all of it.") from None
    if int(stated) > limit or len(body) > limit:
        raise RefusedError(413, f"The body has more than {limit} bytes", "Send less, or start with --max-body-mb.")
    return bytes(body)


def _refused(request: Request, error: Exception) -> Response:
    """Says in one sentence what is wrong, and what to do."""
    if isinstance(error, RefusedError):
        return JSONResponse({"error": str(error)}, error.status)
    if isinstance(error, DeployError):
        return JSONResponse({"error": str(error)}, 400)
    if isinstance(error, HTTPException):
        return JSONResponse({"error": f"{request.method} {request.url.path}: {error.detail}."}, error.status_code)
    _log.error("The model failed", exc_info=error)
    return JSONResponse({"error": f"The model failed: {first_line(error)}. The log has the details."}, 500)
