"""The web application of a service: its routers, its health, its metrics, one form of error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Final

import orjson
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from shared.http import problems
from shared.http.body import MAX_BODY_BYTES
from shared.http.gate import NONE, Gate
from shared.http.problems import Problem
from shared.telemetry import Metrics

HEALTH_TIMEOUT_S: Final = 5.0
_NO_OWN_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}  # FastAPI's own would record addresses and the words of exceptions, which may hold personal data; the gate makes the span.
_OPERATIONS: Final = "operations"
"""Tag of the routes that every service has."""
OF_ALL: Final[dict[int | str, dict[str, Any]]] = {422: {"model": Problem}}
"""In place of FastAPI's own; `_openapi` tells of the others."""
_log = structlog.get_logger()


class Health(BaseModel):
    """Whether a service gets on with its work."""

    ready: bool
    reasons: list[str] = Field(default=[], description="Why it is not ready.")
    notes: list[str] = Field(default=[], description="What should be known, and keeps it from nothing.")


def router_of(service: str, *tags: str) -> APIRouter:
    """Return a router for routes under `/<service>`. What holds for all of them is said here, not where they become an application's:
    FastAPI would build each route a second time for it, at the first request."""
    return APIRouter(prefix=f"/{service}", tags=list(tags), responses=OF_ALL)


def create_app(
    title: str,
    version: str,
    routers: Iterable[APIRouter],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None,
    health: Callable[[], Awaitable[Health]],
    metrics: Metrics,
    max_body_bytes: int = MAX_BODY_BYTES,
    description: str = "",
    is_full: Callable[[], bool] = lambda: False,
    large: Mapping[str, int] = NONE,
) -> FastAPI:
    """Return the application of a service.

    It answers every error with a problem document, JSON bodies are checked by `strict_json` before any route sees them, and it has
    `/health/live` (the process answers), `/health/ready` (503 with reasons while work waits and nothing moves), `/metrics` and `/docs`,
    which need no internet and work behind any prefix. While `is_full` says so, whoever would write is told to come back.
    `large` names the addresses whose bodies may be larger, one at a time, and how large.
    """
    app = FastAPI(
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # The address would lack the prefix of a gateway, and lead to something else there.
        telemetry=_NO_OWN_TELEMETRY,
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to change the document.
    problems.install(app)
    app.add_middleware(Gate, max_body_bytes=max_body_bytes, is_full=is_full, large=large)
    for router in (*routers, _operations(health, metrics)):
        app.router.routes += router.routes
    _add_docs(app)
    return app


def _operations(health: Callable[[], Awaitable[Health]], metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=[_OPERATIONS])

    @router.head("/health/live", include_in_schema=False)
    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """Say that the process answers: restart it where this fails."""
        return {"status": "live"}

    @router.head("/health/ready", include_in_schema=False)
    @router.get("/health/ready", response_model=Health, responses={503: {"model": Health}})
    async def ready() -> Response:
        """Say whether the service gets on with its work: send it no requests where this is 503."""
        try:
            state = await asyncio.wait_for(health(), HEALTH_TIMEOUT_S)
        except Exception as error:
            _log.warning("health check failed", exc_info=error)
            state = Health(ready=False, reasons=[f"the health check failed: {type(error).__name__}"])
        return Response(orjson.dumps(state.model_dump()), 200 if state.ready else 503, media_type="application/json")

    @router.get("/metrics", response_class=Response)
    async def all_metrics() -> Response:
        """Give all metrics in the text format of Prometheus."""
        return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _add_docs(app: FastAPI) -> None:
    """Serve the page that shows the API, its scripts from a package; all addresses in it are relative to its own."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
        )

    app.mount("/docs", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-files")


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, in which each operation tells of the problems that are common to all like it."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if _OPERATIONS in operation.get("tags", ()):
                    continue
                some = ([404] if "{" in path else []) + ([408, 409, 413, 415] if "requestBody" in operation else [])
                common = problems.problem_responses(400, *some, 422, 429, 503)
                operation["responses"] = dict(sorted((operation["responses"] | common).items()))
        app.openapi_schema = document
    return app.openapi_schema
