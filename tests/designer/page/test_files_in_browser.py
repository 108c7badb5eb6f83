"""Files of pipelines on the page: renamed, deleted and brought back, by mouse, by keyboard and in several tabs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.designer.page.accessibility import overflow, violations
from tests.designer.page.conftest import ServedProject
from tests.designer.pipelines import PIPELINE, write_components

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(served: Callable[[Path], ServedProject], tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return served(write_components(tmp_path_factory.mktemp("files") / "project"))


def _opened(project: ServedProject, open_page: Any, name: str, **window: Any) -> Any:
    path = project.folder / name
    if not path.exists():
        path.write_text(PIPELINE, encoding="utf-8")
    page = open_page(project, **window)
    page.goto(page.url.split("#")[0] + f"#{name}")
    page.reload()
    page.locator(".card").first.wait_for()
    return page


def _is_at(page: Any, name: str) -> None:
    page.wait_for_function(f"location.hash === {json.dumps('#' + name)}")


def _choose(page: Any, item: str) -> Any:
    page.get_by_role("button", name=re.compile("^Pipelines of this folder")).click()
    page.get_by_role("menuitem", name=item).click()
    return page.get_by_role("dialog", name=item)


def test_a_pipeline_is_renamed_with_its_undo_while_another_tab_edits_it(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "first.yaml")
    other = _opened(project, open_page, "first.yaml")
    page.locator('[data-id="second"] .card-name').click()
    page.get_by_label("rate", exact=True).fill("0.25")
    page.get_by_label("rate", exact=True).press("Enter")
    page.get_by_role("button", name=re.compile("^Undo: Set rate")).wait_for()
    (project.folder / "taken.yaml").write_text(PIPELINE, encoding="utf-8")
    dialog = _choose(page, "Rename this pipeline")
    field = dialog.get_by_label("Name of the file")
    for name in ("taken.yaml", "TAKEN"):
        field.fill(name)
        dialog.get_by_role("button", name="Rename").click()
        dialog.get_by_role("alert").filter(has_text="There is a file taken.yaml already.").wait_for()
    assert violations(page) == []
    field.fill("better")
    view = page.locator(".react-flow__viewport").get_attribute("style")
    field.press("Enter")
    _is_at(page, "better.yaml")
    page.wait_for_timeout(500)  # the canvas would be moved
    assert page.locator(".react-flow__viewport").get_attribute("style") == view
    _is_at(other, "better.yaml")
    assert not (project.folder / "first.yaml").exists()
    other.get_by_role("button", name=re.compile("^Undo: Set rate")).click()
    page.get_by_role("button", name=re.compile("^Redo: Set rate")).wait_for()
    assert (project.folder / "better.yaml").read_text(encoding="utf-8") == PIPELINE
    # The old address leads to it, too.
    page.goto(page.url.split("#")[0] + "#first.yaml")
    page.reload()
    _is_at(page, "better.yaml")


def test_a_pipeline_is_deleted_and_brought_back_by_keyboard_alone(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "gone.yaml")
    other = _opened(project, open_page, "gone.yaml")
    content = (project.folder / "gone.yaml").read_bytes()
    for _ in range(2):
        page.keyboard.press("Control+k")
        page.get_by_role("combobox").fill("delete this pipeline")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Delete this pipeline")
        dialog.get_by_text("gone.yaml").wait_for()
        page.keyboard.press("Enter")  # the focus is on the button that deletes
        page.locator(".welcome").wait_for()
        other.locator(".notice", has_text="gone.yaml was deleted.").wait_for()
        assert not (project.folder / "gone.yaml").exists()
        page.wait_for_function("document.activeElement.tagName === 'H1'")
        page.keyboard.press("Control+z")
        _is_at(page, "gone.yaml")
        assert (project.folder / "gone.yaml").read_bytes() == content


def test_what_was_deleted_is_on_the_start_page_and_comes_back_beside_its_successor(
    project: ServedProject, open_page: Any
) -> None:
    page = _opened(project, open_page, "old.yaml", width=390, height=844)
    dialog = _choose(page, "Delete this pipeline")
    assert violations(page) == []
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Dismiss").click()
    (project.folder / "old.yaml").write_text("type: pipeline\njobs: {}\n", encoding="utf-8")
    page.reload()
    page.get_by_text(re.compile(r"^Deleted \(1\)")).click()
    assert violations(page) == []
    assert overflow(page) <= 0
    page.get_by_role("button", name="Bring back old.yaml").click()
    _is_at(page, "old-copy.yaml")
    assert (project.folder / "old-copy.yaml").read_text(encoding="utf-8") == PIPELINE
    assert (project.folder / "old.yaml").read_text(encoding="utf-8") == "type: pipeline\njobs: {}\n"


def test_a_file_changed_by_hand_is_shown_before_it_is_deleted(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "changed.yaml")
    page.route("**/api/events", lambda route: route.abort())  # the page does not hear of the change
    page.reload()
    page.locator(".card").first.wait_for()
    changed = PIPELINE.replace("rows: 5", "rows: 6") + "description: by hand\n"
    (project.folder / "changed.yaml").write_text(changed, encoding="utf-8")
    dialog = _choose(page, "Delete this pipeline")
    dialog.get_by_role("button", name="Delete").click()
    dialog.get_by_role("alert").filter(has_text="was changed since").wait_for()
    assert (project.folder / "changed.yaml").read_text(encoding="utf-8") == changed


def test_a_file_removed_by_hand_is_not_called_saved_and_is_written_again(
    project: ServedProject, open_page: Any
) -> None:
    page = _opened(project, open_page, "removed.yaml")
    path = project.folder / "removed.yaml"
    page.route(re.compile(r"/api/documents/removed\.yaml"), _known_to_be_missing)  # also for its forecast
    page.reload()  # the forecast that was asked for before may be answered when the file is gone
    page.locator(".card").first.wait_for()
    path.unlink()
    page.locator(".saved[data-state=gone]").wait_for()
    page.get_by_role("button", name="Run", exact=True).and_(page.locator("[aria-disabled=true]")).wait_for()
    assert violations(page) == []
    path.write_text(PIPELINE, encoding="utf-8")  # as an editor that writes a new file
    page.locator(".saved[data-state=saved]").wait_for()
    path.unlink()
    page.locator(".saved[data-state=gone]").wait_for()
    page.get_by_role("button", name="Write it again").click()
    page.locator(".saved[data-state=saved]").wait_for()
    assert path.read_text(encoding="utf-8") == PIPELINE
    page.unroute_all(behavior="wait")


def _known_to_be_missing(route: Any) -> None:
    """Answer as the server does, without the console's line about a status of 404."""
    answer = route.fetch()
    route.fulfill(response=answer, status=409 if answer.status == 404 else answer.status)


def test_a_new_pipeline_that_is_refused_keeps_what_was_typed(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "there.yaml")
    dialog = _choose(page, "New pipeline")
    dialog.get_by_label("File").fill("there.yaml")
    dialog.get_by_text("Or with a YAML that exists").click()
    dialog.get_by_label("YAML of a pipeline").fill(PIPELINE)
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_role("alert").filter(has_text="There is a file there.yaml already.").wait_for()
    assert dialog.get_by_label("YAML of a pipeline").input_value() == PIPELINE
    dialog.get_by_label("File").fill("imported.yaml")
    dialog.get_by_role("button", name="Create").click()
    _is_at(page, "imported.yaml")
    assert (project.folder / "imported.yaml").read_text(encoding="utf-8") == PIPELINE


def test_what_cannot_be_done_says_why_before_the_click(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "reasons.yaml")
    page.get_by_role("button", name="More about runs").click()
    for name in ("Submit to Azure ML.*No workspace is named", "Compare runs.*Two runs are needed; there is none"):
        item = page.get_by_role("menuitem", name=re.compile(f"^{name}"))
        item.focus()
        assert item.get_attribute("aria-disabled") == "true"
        page.keyboard.press("Enter")
        assert page.locator("dialog[open]").count() == 0
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("submit")
    option = page.get_by_role("option", name=re.compile("Submit to Azure ML.*No workspace is named"))
    assert option.get_attribute("aria-disabled") == "true"
    page.keyboard.press("Enter")
    assert violations(page) == []
    page.keyboard.press("Escape")
    # The workspace is named while the page is open.
    workspace = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
    (project.folder / "config.json").write_text(json.dumps(workspace), encoding="utf-8")
    page.get_by_role("button", name="More about runs").click()
    page.get_by_role("menuitem", name=re.compile("Submit to Azure ML.*workspace w")).click()
    page.get_by_role("dialog", name="Submit to Azure ML").get_by_text("reasons.yaml").wait_for()
