"""ASGI application of a server: the page at once, the interface when it is first requested.

The page is served in a fraction of a second: what reads pipelines is imported while the browser opens.
"""

from __future__ import annotations

import mimetypes
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles

from pytorch_designer.designer.server.request_guard import RequestGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from pytorch_designer.designer.server.event_hub import EventHub
    from pytorch_designer.designer.server.services import Services

STATIC_FOLDER = Path(__file__).parents[1] / "static"
_PAGE = "index.html"
_API = "/api/"
_NOT_BUILT = "The page itself is missing from this installation: `page/` has not been built.\n"


class DesignerApp:
    """ASGI application of one server.

    Args:
        open_services: Makes the services, when they are needed first.
        hub: The events.
        static: The built page.
    """

    def __init__(self, open_services: Callable[[], Services], hub: EventHub, static: Path = STATIC_FOLDER) -> None:
        self._open_services = open_services
        self._hub = hub
        self._static = static
        self._files = StaticFiles(directory=static, check_dir=False)
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._api: ASGIApp | None = None
        # The registry of the system may know another type of scripts, which browsers then refuse.
        mimetypes.add_type("text/javascript", ".js")

    def guarded(self, port: int, token: str) -> RequestGuard:
        """This application behind its request guard."""
        return RequestGuard(self, port=port, token=token)

    def open(self) -> ASGIApp:
        """Make the interface, which takes some tenths of a second the first time."""
        with self._lock:
            if self._api is None:
                from pytorch_designer.designer.server.api import build_api

                self._services = self._open_services()
                self._api = build_api(self._services)
            return self._api

    def services(self) -> Services:
        """Services that the routes use."""
        self.open()
        assert self._services is not None
        return self._services

    def close(self) -> None:
        """End streams and services."""
        self._hub.close()
        with self._lock:
            if self._services is not None:
                self._services.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"].startswith(_API):
            await (await run_in_threadpool(self.open))(scope, receive, send)
        elif scope["path"] == "/":
            page = self._static / _PAGE
            answer = FileResponse(page) if page.is_file() else PlainTextResponse(_NOT_BUILT, status_code=503)
            await answer(scope, receive, send)
        else:
            await self._file(scope, receive, send)

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.exceptions import HTTPException

        try:
            answer = await self._files.get_response(scope["path"].lstrip("/"), scope)
        except (HTTPException, ValueError):  # none, or a NUL character
            answer = PlainTextResponse("There is nothing at this address.\n", status_code=404)
        await answer(scope, receive, send)
