"""Routes of runs: start, cancel, history, states, logs, metrics, comparison, clones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from pytorch_designer.designer.runs.log_parts import USUAL_PART_BYTES
from pytorch_designer.designer.runs.run_differences import compare
from pytorch_designer.designer.server.request_fields import JsonFields, query_integer
from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.pipeline.run_requests import cancel_node, cancel_run
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pytorch_designer.designer.server.services import Services

_RUN = "/api/runs/{run}"


def run_routes(services: Services) -> list[Route]:
    """The routes, the special ones before those that take any run."""
    routes = _RunRoutes(services)
    return [
        Route("/api/runs", routes.list, methods=["GET"]),
        Route("/api/runs", routes.start, methods=["POST"]),
        Route("/api/runs/compare", routes.compare, methods=["GET"]),
        Route(_RUN, routes.read, methods=["GET"]),
        Route(f"{_RUN}/cancel", routes.cancel, methods=["POST"]),
        Route(f"{_RUN}/logs/{{node}}", routes.logs, methods=["GET"]),
        Route(f"{_RUN}/logs/{{node}}/{{file}}", routes.log, methods=["GET"]),
        Route(f"{_RUN}/metrics", routes.metrics, methods=["GET"]),
        Route(f"{_RUN}/document", routes.document, methods=["GET"]),
        Route(f"{_RUN}/pipeline", routes.pipeline, methods=["GET"]),
        Route(f"{_RUN}/clone", routes.clone, methods=["POST"]),
    ]


class _RunRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._runs = services.runs

    async def list(self, request: Request) -> Response:
        search = request.query_params.get("search", "")
        return JSONResponse({"runs": await run_in_threadpool(self._runs.summaries, search)})

    async def start(self, request: Request) -> Response:
        fields = await JsonFields.of(request)
        start = partial(
            self._services.start,
            fields.text("document"),
            fields.text("version"),
            only=fields.texts("only"),
            start_from=fields.texts("from"),
            up_to=fields.texts("to"),
            is_forced=fields.flag("force"),
            faults=fields.lists_by_name("faults"),
        )
        return JSONResponse({"run": await run_in_threadpool(start)}, status_code=201)

    async def read(self, request: Request) -> Response:
        name = request.path_params["run"]
        sequence = self._services.watch.sequence(name)  # before the state, which may only be newer
        return JSONResponse(await run_in_threadpool(self._runs.view, name, sequence))

    async def cancel(self, request: Request) -> Response:
        node = (await JsonFields.of(request)).optional_text("node")
        run = await run_in_threadpool(self._runs.open, request.path_params["run"])
        if run.state != "running":
            return JSONResponse({"asked": False}, status_code=202)
        ask = partial(cancel_run, run.run_folder) if node is None else partial(cancel_node, run.run_folder, node)
        return JSONResponse({"asked": await run_in_threadpool(ask)}, status_code=202)

    async def logs(self, request: Request) -> Response:
        place = (request.path_params["run"], request.path_params["node"])
        return JSONResponse({"files": await run_in_threadpool(self._runs.logs, *place)})

    async def log(self, request: Request) -> Response:
        read = partial(
            self._runs.log,
            request.path_params["run"],
            request.path_params["node"],
            request.path_params["file"],
            offset=query_integer(request, "offset", 0) or 0,
            before=query_integer(request, "before", None),
            limit=query_integer(request, "limit", USUAL_PART_BYTES) or USUAL_PART_BYTES,
        )
        return JSONResponse(await run_in_threadpool(read))

    async def metrics(self, request: Request) -> Response:
        read = partial(self._runs.metrics, request.path_params["run"], request.query_params.get("node"))
        return JSONResponse({"nodes": await run_in_threadpool(read)})

    async def compare(self, request: Request) -> Response:
        names = [request.query_params.get(name, "") for name in ("a", "b")]
        runs = [await run_in_threadpool(self._runs.open, name) for name in names]
        return JSONResponse({"rows": await run_in_threadpool(compare, *runs)})

    async def document(self, request: Request) -> Response:
        return PlainTextResponse(await run_in_threadpool(self._runs.source, request.path_params["run"]))

    async def pipeline(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._pipeline, request.path_params["run"]))

    def _pipeline(self, name: str) -> dict[str, object] | None:
        """The pipeline that was run, as a document; None where its text is not kept, which is no error of the page."""
        run = self._runs.open(name)
        file = run.source or self._services.project.folder / "pipeline.yaml"
        try:
            text = self._runs.source(name)
        except UnknownNameError as error:
            if error.reason != "no_text":
                raise
            return None
        return self._services.store.view(file, text, "This is how the pipeline was run; clone it to edit it.")

    async def clone(self, request: Request) -> Response:
        path = (await JsonFields.of(request)).text("path")
        document = await run_in_threadpool(self._clone, request.path_params["run"], path)
        return JSONResponse(document, status_code=201)

    def _clone(self, name: str, path: str) -> dict[str, object]:
        run = self._runs.open(name)
        text = self._runs.source(name)
        target = self._services.project.file(path)
        folder = None if run.source is None else run.source.parent
        if folder is not None and resolved(folder) != resolved(target.parent):
            raise UnknownNameError(
                "The pipeline of a run is cloned into the folder that it came from: its paths start there.",
                where=path,
                advice=f"Give it a name in {folder}.",
                reason="other_folder",
            )
        return self._services.create(path, "empty", text)
