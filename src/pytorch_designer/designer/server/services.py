"""Services that the routes of one server share: documents, runs, previews, events, and how they work together."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer import __version__
from pytorch_designer.cloud.workspace import Target, choose_target, has_login_signs, has_sdk
from pytorch_designer.designer.document.document_files import file_exists
from pytorch_designer.designer.document.document_store import DocumentStore
from pytorch_designer.designer.moving.document_moves import DocumentMoves
from pytorch_designer.designer.moving.document_names import check_new_name, find_twin
from pytorch_designer.designer.moving.leftover_files import remove_leftovers
from pytorch_designer.designer.moving.move_log import MoveLog
from pytorch_designer.designer.previews.preview_process import PreviewProcess
from pytorch_designer.designer.runs.project_runs import ProjectRuns
from pytorch_designer.designer.runs.run_launch import start_run
from pytorch_designer.designer.runs.run_order import RunOrder
from pytorch_designer.designer.server.change_watch import ChangeWatch
from pytorch_designer.designer.server.project_folder import ProjectFolder
from pytorch_designer.designer.server.submissions import Submissions
from pytorch_designer.errors import CloudNotFoundError, InvalidSpecError, UnknownNameError, describe_value
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.designer.built_in_components import BuiltInComponents, PipelineTemplate
    from pytorch_designer.designer.server.event_hub import EventHub

_MAX_DELETED = 50
_SWEEP_SECONDS = 60.0


@dataclass(frozen=True)
class DesignerSettings:
    """Settings of one server.

    Attributes:
        project: The folder.
        document: The document that the page opens first, or None.
        state_folder: Where drafts are kept.
        built_in: Components that come with the program.
        templates: Pipelines to begin with.
    """

    project: Path
    document: str | None
    state_folder: Path
    built_in: BuiltInComponents
    templates: tuple[PipelineTemplate, ...]


class Services:
    """Services of one server; may be used from several threads.

    Args:
        settings: What it was started with.
        hub: Where events go.
    """

    def __init__(self, settings: DesignerSettings, hub: EventHub) -> None:
        self.settings = settings
        self.hub = hub
        self.project = ProjectFolder(settings.project)
        self.store = DocumentStore(self.project.folder, settings.built_in, settings.state_folder)
        self.move_log = MoveLog(self.project.folder, settings.state_folder)
        self.moves = DocumentMoves(self.store, self.move_log)
        self.runs = ProjectRuns(self.project.folder, self.move_log.path_now)
        self.previews = PreviewProcess()
        self.submissions = Submissions(self.project.folder, hub)
        self.watch = ChangeWatch(self.project.folder, self.store, self.runs, hub)
        self._next_sweep = 0.0
        self._templates = {template.template_id: template for template in settings.templates}

    def close(self) -> None:
        """End what belongs to the server: not the runs."""
        self.watch.close()
        self.previews.close()

    def project_view(self) -> dict[str, Any]:
        """The project, as the page shows it first."""
        self._sweep()
        return {
            "folder": str(self.project.folder),
            "name": self.project.folder.name,
            "documents": self.store.list_documents(),
            "open": self.settings.document,
            "version": __version__,
            "deleted": [
                {"id": removed.removal, "path": removed.path, "time": removed.time}
                for removed in self.moves.removed()[:_MAX_DELETED]
            ],
            **_submission(self.project.folder),
            "templates": [
                {"id": template.template_id, "name": template.name, "description": template.description}
                for template in self._templates.values()
            ],
        }

    def create(self, path: str, template_id: str, text: str | None) -> dict[str, Any]:
        """Make a document out of a text, or a template with its data.

        Raises:
            UnknownNameError: There is no such template, or the path is not one of the project.
            DesignerError: As the store raises it.
        """
        place = self.project.file(path)
        check_new_name(self.project.folder, path)
        twin = find_twin(place)
        if twin is not None:
            raise file_exists(twin)
        template = self._templates.get(template_id)
        if template is None:
            raise UnknownNameError(
                f"There is no template {describe_value(template_id)}.",
                where=template_id,
                advice=f"There are {', '.join(self._templates)}.",
                reason="no_template",
            )
        document: dict[str, Any] = self.store.create(path, template.text if text is None else text)
        if text is None and template.write_data is not None:
            with writing_errors(place.parent):
                template.write_data(place.parent)
            document = self.store.read(path)
        self.hub.publish("document", {"path": path, "version": document["version"]})
        return document

    def path_now(self, path: str) -> str:
        """The path of a document that a page may know by an earlier name."""
        return path if self.project.file(path).exists() else self.move_log.latest_path(path)

    def rename(self, path: str, target: str) -> dict[str, Any]:
        """Give a document another name; raises as `DocumentMoves.rename` does."""
        self.project.file(target)
        document = self.moves.rename(path, target)
        if document["path"] != path:
            self.hub.publish("moved", {"from": path, "to": document["path"]})
        return document

    def remove(self, path: str, version: str) -> str:
        """Remove a document, and return by what it can be brought back.

        Raises:
            InvalidSpecError: It is running (reason "in_use").
            DesignerError: As `DocumentMoves.remove` raises it.
        """
        running = [run["run"] for run in self.runs.summaries() if run["state"] == "running" and run["document"] == path]
        if running:
            raise InvalidSpecError(
                f"{path} was not deleted: it is running.",
                where=running[0],
                advice="Cancel the run, or wait for its end.",
                reason="in_use",
            )
        removal = self.moves.remove(path, version).removal
        self.hub.publish("removed", {"path": path, "id": removal})
        return removal

    def bring_back(self, removal: str, path: str | None) -> dict[str, Any]:
        """Write a document again that was removed; raises as `DocumentMoves.bring_back` does."""
        document = self.moves.bring_back(removal, path)
        self.hub.publish("document", {"path": document["path"], "version": document["version"]})
        return document

    def write_again(self, path: str) -> dict[str, Any]:
        """Write a document again that was removed by hand; raises as `DocumentMoves.write_again` does."""
        document = self.moves.write_again(path)
        self.hub.publish("document", {"path": document["path"], "version": document["version"]})
        return document

    def start(
        self,
        document: str,
        version: str,
        *,
        only: tuple[str, ...],
        start_from: tuple[str, ...],
        up_to: tuple[str, ...],
        is_forced: bool,
        faults: Mapping[str, tuple[str, ...]],
    ) -> str:
        """Start a run of a document as it is on the screen, and return its name.

        Raises:
            InvalidSpecError: The document is not at this version any more (reason "conflict"), or cannot run.
            DesignerError: It cannot run.
        """
        document = self.path_now(document)
        text = self.store.text(document)
        if self.store.changed(document) != version:
            raise InvalidSpecError(
                "The file has changed since the page has shown it; nothing was run.",
                where=document,
                advice="Look at the change, then run again.",
                reason="conflict",
            )
        order = RunOrder(
            document=str(self.project.file(document)),
            text=text,
            version=version,
            only=only,
            start_from=start_from,
            up_to=up_to,
            is_forced=is_forced,
            faults=faults,
        )
        process = start_run(order, self.project.folder, self.runs.folder)
        threading.Thread(target=process.wait, daemon=True).start()  # so that it is no zombie when it ends
        name = Path(str(process.args[-1])).name  # type: ignore[index]  # a list of texts
        self.watch.look_at(name)
        return name

    def _sweep(self) -> None:
        """Remove what killed programs have left, once in a while."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            remove_leftovers(self.store)


def _submission(project: Path) -> dict[str, Any]:
    """The workspace that a submission would go to, what is missing for one, and whether a login is known here."""
    workspace, problem = None, ""
    try:
        workspace = str(choose_target(Target(), folder=project))
        if not has_sdk():
            problem = "azure-ai-ml and azure-identity are not installed."
    except CloudNotFoundError as error:
        problem = f"{error.what} Put the config.json of a workspace into this folder; Azure ML Studio offers it."
    return {"workspace": workspace, "submit_problem": problem, "has_login": has_login_signs()}
