"""Services that the routes of one server share: documents, runs, previews, events, and how they work together."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer import __version__
from pytorch_designer.cloud.workspace import Target, choose_target
from pytorch_designer.designer.document.document_store import DocumentStore
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
        self.runs = ProjectRuns(self.project.folder)
        self.previews = PreviewProcess()
        self.submissions = Submissions(self.project.folder, hub)
        self.watch = ChangeWatch(self.project.folder, self.store, self.runs, hub)
        self._templates = {template.template_id: template for template in settings.templates}

    def close(self) -> None:
        """End what belongs to the server: not the runs."""
        self.watch.close()
        self.previews.close()

    def project_view(self) -> dict[str, Any]:
        """The project, as the page shows it first."""
        return {
            "folder": str(self.project.folder),
            "name": self.project.folder.name,
            "documents": self.store.list_documents(),
            "open": self.settings.document,
            "version": __version__,
            "workspace": _workspace(self.project.folder),
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


def _workspace(project: Path) -> str | None:
    """The workspace that a submission would go to, for people; None where none is named."""
    with suppress(CloudNotFoundError):
        return str(choose_target(Target(), folder=project))
    return None
