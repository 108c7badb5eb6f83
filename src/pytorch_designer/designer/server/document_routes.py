"""Routes of documents: palette, pipelines, edits, versions, checks, forecast, code and submission."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from pytorch_designer.designer.document.data_folders import data_folders
from pytorch_designer.designer.runs.run_views import error_content
from pytorch_designer.designer.server.request_fields import JsonFields
from pytorch_designer.errors import DesignerError, UnknownNameError, describe_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pytorch_designer.designer.server.services import Services

_PATH = "/api/documents/{path:path}"


def document_routes(services: Services) -> list[Route]:
    """The routes, the special ones before those that take any path."""
    routes = _DocumentRoutes(services)
    return [
        Route("/api/palette", routes.palette),
        Route("/api/documents", routes.documents, methods=["GET"]),
        Route("/api/documents", routes.create, methods=["POST"]),
        Route(f"{_PATH}/edits", routes.edit, methods=["POST"]),
        Route(f"{_PATH}/undo", routes.stepping("undo"), methods=["POST"]),
        Route(f"{_PATH}/redo", routes.stepping("redo"), methods=["POST"]),
        Route(f"{_PATH}/rename", routes.rename, methods=["POST"]),
        Route(f"{_PATH}/delete", routes.delete, methods=["POST"]),
        Route(f"{_PATH}/write-again", routes.write_again, methods=["POST"]),
        Route("/api/deleted/{removal}", routes.bring_back, methods=["POST"]),
        Route(f"{_PATH}/versions", routes.versions, methods=["GET"]),
        Route(f"{_PATH}/versions", routes.name_version, methods=["POST"]),
        Route(f"{_PATH}/restore", routes.restore, methods=["POST"]),
        Route(f"{_PATH}/text", routes.text, methods=["GET"]),
        Route(f"{_PATH}/text", routes.write_text, methods=["PUT"]),
        Route(f"{_PATH}/nodes", routes.nodes, methods=["GET"]),
        Route(f"{_PATH}/data-folders", routes.data_folders, methods=["GET"]),
        Route(f"{_PATH}/check", routes.check, methods=["POST"]),
        Route(f"{_PATH}/forecast", routes.forecast, methods=["GET"]),
        Route(f"{_PATH}/sdk", routes.sdk, methods=["GET"]),
        Route(f"{_PATH}/submit", routes.submit, methods=["POST"]),
        Route("/api/submissions/{submission}", routes.submission, methods=["GET"]),
        Route(_PATH, routes.read, methods=["GET"]),
    ]


class _DocumentRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def palette(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._store.palette))

    async def documents(self, request: Request) -> Response:
        return JSONResponse({"documents": await run_in_threadpool(self._store.list_documents)})

    async def create(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        path, template, text = fields.text("path"), fields.text("template", "empty"), fields.optional_text("text")
        document = await run_in_threadpool(self._services.create, path, template, text)
        return JSONResponse(document, status_code=201)

    async def read(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._store.read, self._path(request)))

    async def edit(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        version, label, edits = fields.text("version"), fields.text("label", ""), fields.objects("edits")
        return await self._changed(request, partial(self._store.edit, self._path(request), version, label, edits))

    def stepping(self, direction: str) -> Callable[[Request], Awaitable[Response]]:
        """The route that undoes or redoes."""
        step = getattr(self._store, direction)

        async def route(request: Request) -> Response:
            version = (await JsonFields.of(request)).text("version")
            return await self._changed(request, partial(step, self._path(request), version))

        return route

    async def rename(self, request: Request) -> Response:
        target = (await JsonFields.of(request)).text("to")
        return JSONResponse(await run_in_threadpool(self._services.rename, self._path(request), target))

    async def delete(self, request: Request) -> Response:
        version = (await JsonFields.of(request)).text("version")
        removal = await run_in_threadpool(self._services.remove, self._path(request), version)
        return JSONResponse({"id": removal})

    async def bring_back(self, request: Request) -> Response:
        path = (await JsonFields.of(request)).optional_text("path")
        removal = str(request.path_params["removal"])
        return JSONResponse(await run_in_threadpool(self._services.bring_back, removal, path), status_code=201)

    async def write_again(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._services.write_again, self._path(request)), status_code=201)

    async def versions(self, request: Request) -> Response:
        return JSONResponse({"versions": await run_in_threadpool(self._store.versions, self._path(request))})

    async def name_version(self, request: Request) -> Response:
        name = (await JsonFields.of(request)).text("name")
        return JSONResponse({"versions": await run_in_threadpool(self._store.name_version, self._path(request), name)})

    async def restore(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        change = partial(self._store.restore, self._path(request), fields.text("version"), fields.text("id"))
        return await self._changed(request, change)

    async def text(self, request: Request) -> Response:
        return PlainTextResponse(await run_in_threadpool(self._store.text, self._path(request)))

    async def write_text(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        change = partial(self._store.write_text, self._path(request), fields.text("version"), fields.text("text"))
        return await self._changed(request, change)

    async def nodes(self, request: Request) -> Response:
        names = request.query_params.getlist("name")
        return PlainTextResponse(await run_in_threadpool(self._store.nodes_text, self._path(request), names))

    async def data_folders(self, request: Request) -> Response:
        project = self._services.project
        find = partial(data_folders, project.folder, project.folder / self._path(request))
        return JSONResponse({"folders": await run_in_threadpool(find)})

    async def check(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        place, value = (fields.text("node"), fields.text("port")), fields.scalar("value")
        check = partial(self._store.check_value, self._path(request), *place, value)
        return JSONResponse({"message": await run_in_threadpool(check)})

    async def forecast(self, request: Request) -> Response:
        query = request.query_params
        ask = partial(
            self._store.forecast,
            self._path(request),
            only=tuple(query.getlist("only")),
            start_from=tuple(query.getlist("from")),
            up_to=tuple(query.getlist("to")),
            is_forced=query.get("force") in {"1", "true"},
        )
        return await _found_or_why(ask, "nodes")

    async def sdk(self, request: Request) -> Response:
        return await _found_or_why(partial(self._store.sdk_code, self._path(request)), "code")

    async def submit(self, request: Request) -> Response:
        path = self._path(request)
        await run_in_threadpool(self._store.text, path)  # refuses what is no document of the project
        submission = await run_in_threadpool(self._services.submissions.start, path)
        return JSONResponse({"id": submission, "log": f"/api/submissions/{submission}"}, status_code=202)

    async def submission(self, request: Request) -> Response:
        return JSONResponse(self._services.submissions.view(request.path_params["submission"]))

    async def _changed(self, request: Request, change: Callable[[], dict[str, Any]]) -> Response:
        """The document after a change, which other pages are told of; in a conflict, as it is now."""
        path = self._path(request)
        try:
            document = await run_in_threadpool(change)
        except DesignerError as error:
            if error.reason != "conflict":
                raise
            now = await run_in_threadpool(self._store.read, path)
            return JSONResponse({"error": error_content(error), "document": now}, status_code=409)
        self._services.hub.publish("document", {"path": path, "version": document["version"]})
        return JSONResponse(document)

    def _path(self, request: Request) -> str:
        """The path of the document in the address, which may have been renamed since.

        Raises:
            UnknownNameError: It cannot be that of a document of the project.
        """
        path = str(request.path_params["path"])
        self._services.project.file(path)
        if not path.lower().endswith((".yaml", ".yml")):
            raise UnknownNameError(
                f"There is no document {describe_value(path)}.",
                where=path,
                advice="The project lists its documents.",
                reason="no_document",
            )
        return self._services.path_now(path)


async def _found_or_why(find: Callable[[], object], name: str) -> Response:
    """What is found at `name`, with an empty `problem`; or null there, and the reason at `problem`.

    That a pipeline cannot run yet, or has no code, is no error of the page that asks.
    """
    try:
        return JSONResponse({name: await run_in_threadpool(find), "problem": ""})
    except DesignerError as error:
        if error.reason == "no_document":
            raise
        return JSONResponse({name: None, "problem": f"{error.what} {error.advice}".strip()})
