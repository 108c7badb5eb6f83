"""Routes of data: previews, small pictures, and files of outputs.

Whatever is served here may have been written by anybody. Pages come with a policy of their own, for a frame without
scripts, forms and origin; of other files, pictures and texts are shown and the rest is downloaded.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pytorch_designer.designer.server.project_folder import DATA_ELSEWHERE, NO_SUCH_FILE, is_below
from pytorch_designer.designer.server.request_fields import query_integer
from pytorch_designer.errors import UnknownNameError, describe_value
from pytorch_designer.storage.paths import resolve_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    from pytorch_designer.designer.server.services import Services

REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_PAGES = {".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8"}
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}
_TEXTS = frozenset({".txt", ".json", ".yaml", ".yml", ".csv", ".tsv", ".log", ".md", ".py", ".toml"})
_USUAL_SIDE = 128
# A frame with a cross, in place of the small picture of a file that is no image.
_NO_PICTURE = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 128 128' fill='none' stroke='#8a93a3' stroke-width='3'>"
    "<rect x='16' y='16' width='96' height='96' rx='6'/><path d='M48 48l32 32M80 48l-32 32'/></svg>"
)
_PICTURE_SECONDS = 3600


def data_routes(services: Services) -> list[Route]:
    """The routes."""
    routes = _DataRoutes(services)
    return [
        Route("/api/runs/{run}/outputs/{node}/{port}", routes.output),
        Route("/api/runs/{run}/files/{node}/{port}/{rest:path}", routes.output_file),
        Route("/api/preview", routes.data),
        Route("/api/files", routes.data_file),
        Route("/api/thumbnails", routes.thumbnail),
    ]


class _DataRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def output(self, request: Request) -> Response:
        run, node, port = (request.path_params[name] for name in ("run", "node", "port"))
        files = f"/api/runs/{quote(run, safe='')}/files/{quote(node, safe='')}/{quote(port, safe='')}/"
        find = partial(self._output, run, node, port)
        return await self._preview(request, find, files, {"run": run, "node": node, "port": port})

    async def output_file(self, request: Request) -> Response:
        place = [request.path_params[name] for name in ("run", "node", "port")]
        path = await run_in_threadpool(self._output, *place)
        return await run_in_threadpool(_served, path, request.path_params["rest"])

    async def data(self, request: Request) -> Response:
        query = {name: request.query_params[name] for name in ("path", "document") if name in request.query_params}
        return await self._preview(request, partial(self._data, query), f"/api/files?{urlencode(query)}&file=", query)

    async def data_file(self, request: Request) -> Response:
        path = await run_in_threadpool(self._data, dict(request.query_params))
        return await run_in_threadpool(_served, path, request.query_params.get("file", ""))

    async def thumbnail(self, request: Request) -> Response:
        query = request.query_params
        if "run" in query:
            top = await run_in_threadpool(self._output, *(query.get(name, "") for name in ("run", "node", "port")))
        else:
            top = await run_in_threadpool(self._data, dict(query))
        path = await run_in_threadpool(_inside, top, query.get("file", ""))
        side = query_integer(request, "side", _USUAL_SIDE)
        ask = partial(self._services.previews.ask, {"kind": "picture", "path": str(path), "side": side})
        answer, picture = await run_in_threadpool(ask)
        if answer["kind"] != "picture":  # a damaged image among others is no error of the page that shows them
            return Response(_NO_PICTURE, media_type="image/svg+xml")
        headers = {"cache-control": f"private, max-age={_PICTURE_SECONDS}"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    async def _preview(self, request: Request, find: Callable[[], Path], files: str, place: dict[str, str]) -> Response:
        """What the page shows of a path; what is not there is shown as missing, and is no error of the page."""
        try:
            path = await run_in_threadpool(find)
        except UnknownNameError as error:
            if error.reason not in {NO_SUCH_FILE, DATA_ELSEWHERE}:
                raise
            return JSONResponse({"kind": "missing", "message": f"{error.what} {error.advice}"})
        question = {
            "kind": "preview",
            "path": str(path),
            "offset": max(query_integer(request, "offset", 0) or 0, 0),
            "class_name": request.query_params.get("class"),
        }
        content, _ = await run_in_threadpool(self._services.previews.ask, question)
        del content["num_bytes"]
        return JSONResponse(_with_addresses(content, files, place))

    def _output(self, run: str, node: str, port: str) -> Path:
        """The path of an output of a node: below the project, or where the pipeline that was run names it."""
        result = self._services.runs.open(run)
        outputs = self._services.runs.node(run, node).outputs
        if port not in outputs:
            raise UnknownNameError(
                f"{node} has no output {describe_value(port)}.",
                where=node,
                advice=f"It has {', '.join(outputs)}.",
                reason="no_output",
            )
        path = outputs[port]
        if not is_below(path, [self._services.project.folder, *self._services.runs.named_outputs(result)]):
            raise UnknownNameError(
                "The output is outside of the project, and the pipeline does not name the place.",
                where=path,
                advice="Look at it with another program.",
                reason="path_outside",
            )
        if not path.exists():
            raise UnknownNameError(
                "The output is not there.",
                where=path,
                advice="The node has not written it yet, or it was removed since.",
                reason=NO_SUCH_FILE,
            )
        return path

    def _data(self, query: dict[str, str]) -> Path:
        document = query.get("document")
        content: dict[str, Any] | None = None if document is None else self._services.store.read(document)
        return self._services.project.data(query.get("path", ""), content)


def _inside(top: Path, file: str) -> Path:
    """A file of a folder, or the one file that was named itself."""
    path = top if top.is_file() and file in {"", top.name} else resolve_inside(top, file, UnknownNameError)
    if not path.is_file():
        raise UnknownNameError("There is no such file.", where=path, advice="Check the path.", reason=NO_SUCH_FILE)
    return path


def _served(top: Path, file: str) -> Response:
    path = _inside(top, file)
    suffix = path.suffix.lower()
    headers = {"content-security-policy": REPORT_POLICY}
    if suffix in _PAGES:
        return FileResponse(path, media_type=_PAGES[suffix], headers={**headers, "x-frame-options": "SAMEORIGIN"})
    if suffix in _PICTURES:
        return FileResponse(path, media_type=_PICTURES[suffix], headers=headers)
    if suffix in _TEXTS:
        return FileResponse(path, media_type="text/plain; charset=utf-8", headers=headers)
    name = os.fsencode(path.name).decode("ascii", "replace").replace("\ufffd", "_")
    return FileResponse(path, media_type="application/octet-stream", filename=name, headers=headers)


def _with_addresses(content: dict[str, Any], files: str, place: dict[str, str]) -> dict[str, Any]:
    """A preview with addresses in place of paths."""
    kind = content["kind"]
    if kind == "images":
        query = urlencode(place)
        for image in content["images"]:
            image["thumbnail"] = f"/api/thumbnails?{query}&file={_quoted(image['thumbnail'])}"
    elif kind == "files":
        for file in content["files"]:
            file["url"] = files + _quoted(file["url"])
    elif kind == "report":
        content["url"] = files + _quoted(content["url"])
    elif kind == "model" and content["report"] is not None:
        content["report"] = files + _quoted(content["report"])
    return content


def _quoted(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"))
