"""A designer's server in a thread of the test, and a client that sends what no browser would."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_designer.components.azure_files import project_texts, write_project_components
from pytorch_designer.designer.built_in_components import BuiltInComponents, PipelineTemplate
from pytorch_designer.designer.server.designer_app import DesignerApp
from pytorch_designer.designer.server.event_hub import EventHub
from pytorch_designer.designer.server.local_server import OpenProject, ServerPlace, serve
from pytorch_designer.designer.server.services import DesignerSettings, Services
from pytorch_designer.system.stop_requests import StopRequest

JSON = "application/json"
_TIMEOUT_SECONDS = 60
EMPTY = PipelineTemplate("empty", "Empty", "Nothing yet.", "type: pipeline\njobs: {}\n")


@dataclass
class Answer:
    """An answer: status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class LocalDesigner:
    """A running server."""

    project: Path
    place: ServerPlace
    services: Services
    hub: EventHub
    own_headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.own_headers = {"Cookie": f"pytorch_designer_{self.place.port}={self.place.token}"}

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        has_cookie: bool = True,
    ) -> Answer:
        """Send one request; `headers` replace those that a page would send."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=_TIMEOUT_SECONDS)
        sent = {**(self.own_headers if has_cookie else {}), **(headers or {})}
        try:
            connection.putrequest(method, target, skip_host="Host" in sent, skip_accept_encoding=True)
            data = body.encode() if isinstance(body, str) else body
            if data is not None and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
                sent["Content-Length"] = str(len(data))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(data)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, target: str) -> Answer:
        return self.ask("GET", target)

    def post(self, target: str, content: Any = None, method: str = "POST") -> Answer:
        return self.ask(method, target, headers={"Content-Type": JSON}, body=json.dumps(content or {}))

    def raw(self, data: bytes) -> bytes:
        """Send bytes, and return what comes back until the server closes or says no more for a moment."""
        received = b""
        connection = socket.create_connection(("127.0.0.1", self.place.port), timeout=2)
        with connection, suppress(TimeoutError, ConnectionError):  # it may close before it has read all
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        return received

    @contextmanager
    def events(self, last_event_id: str | None = None) -> Iterator[Iterator[tuple[str, str, Any]]]:
        """The events of an open page: id, name, content."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=_TIMEOUT_SECONDS)
        headers = dict(self.own_headers)
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        connection.request("GET", "/api/events", headers=headers)
        response = connection.getresponse()
        assert response.getheader("content-type", "").startswith("text/event-stream")
        assert response.readline().startswith(b"retry:")
        try:
            yield _parsed(response)
        finally:
            response.close()
            connection.close()


def _parsed(response: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


@contextmanager
def local_designer(project: Path, state_folder: Path, document: str | None = None) -> Iterator[LocalDesigner]:
    """Serve a project while the context lasts."""
    hub = EventHub()
    built_in = BuiltInComponents(project_texts, lambda folder: write_project_components(folder / "components"))
    settings = DesignerSettings(project, document, state_folder, built_in, (EMPTY,))
    app = DesignerApp(lambda: Services(settings, hub), hub)
    stop, started = StopRequest(), threading.Event()
    with OpenProject(project, state_folder).opened() as opened:
        assert not isinstance(opened, ServerPlace)
        listener, place = opened
        guard = app.guarded(place.port, place.token)

        def run() -> None:
            serve(guard, listener, stop, on_start=started.set, on_stop=app.close)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert started.wait(_TIMEOUT_SECONDS)
            yield LocalDesigner(project, place, app.services(), hub)
        finally:
            stop.request()
            thread.join(_TIMEOUT_SECONDS)
            app.close()
            assert not thread.is_alive()
