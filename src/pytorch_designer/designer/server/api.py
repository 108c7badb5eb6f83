"""The HTTP interface of the page: all routes below /api, and what errors become.

Each error is `{"error": {"code", "reason", "name", "message", "where", "advice", "examples", "faults"}}`.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from pytorch_designer.designer.runs.run_views import error_content
from pytorch_designer.designer.server.data_routes import data_routes
from pytorch_designer.designer.server.document_routes import document_routes
from pytorch_designer.designer.server.run_routes import run_routes
from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError, UnknownNameError
from pytorch_designer.shown_text import printable, redacted

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pytorch_designer.designer.server.services import Services

_STATUS_OF_REASON = {
    "conflict": 409,
    "exists": 409,
    "in_use": 409,
    "path_outside": 403,
    "request": 400,
}
_NOT_FOUND = frozenset(
    {
        "no_document",
        "no_run",
        "no_such_node",
        "no_output",
        "no_log",
        "no_text",
        "no_such_file",
        "no_version",
        "no_template",
        "no_submission",
    }
)


def build_api(services: Services) -> Starlette:
    """The application that answers what is below /api."""
    return Starlette(
        routes=[
            Route("/api/project", _project(services)),
            Route("/api/events", _events(services)),
            *document_routes(services),
            *run_routes(services),
            *data_routes(services),
        ],
        exception_handlers={DesignerError: _named, HTTPException: _refused, OSError: _failed, Exception: _bug},
    )


def status_of(error: DesignerError) -> int:
    """The HTTP status of a named error."""
    if error.reason in _STATUS_OF_REASON:
        return _STATUS_OF_REASON[error.reason]
    if isinstance(error, UnknownNameError) and error.reason in _NOT_FOUND:
        return 404
    return 507 if isinstance(error, FailedToWriteOutputsError) else 400


def _project(services: Services) -> Any:
    async def project(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(services.project_view))

    return project


def _events(services: Services) -> Any:
    async def events(request: Request) -> Response:
        stream = services.hub.stream(request.headers.get("last-event-id"))
        return StreamingResponse(stream, media_type="text/event-stream")

    return events


async def _named(request: Request, error: Exception) -> Response:
    assert isinstance(error, DesignerError)
    return JSONResponse({"error": error_content(error)}, status_code=status_of(error))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "There is nothing at this address." if error.status_code == 404 else str(error.detail)
    return _plain(error.status_code, "request", message)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    return _plain(500, "system", f"{error.strerror or error}.", None if error.filename is None else str(error.filename))


async def _bug(request: Request, error: Exception) -> Response:
    text = printable(redacted("".join(traceback.format_exception(error))))
    print(text, file=sys.stderr, flush=True)
    message = f"An error in pytorch-designer itself ({type(error).__name__}); the terminal shows it. Please report it."
    return _plain(500, "bug", message)


def _plain(status: int, reason: str, message: str, where: str | None = None) -> Response:
    content: dict[str, Any] = {
        "code": None,
        "reason": reason,
        "name": None,
        "message": message,
        "where": where,
        "advice": "",
        "examples": [],
        "faults": [],
    }
    return JSONResponse({"error": content}, status_code=status)
