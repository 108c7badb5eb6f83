"""Running and looking in the designer, in a real browser: from the first run to the comparison of two.

The template trains on real images. One project and its runs serve the whole module; each test takes over where the
one before has left, so that nothing is trained twice.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.designer.page.accessibility import overflow, violations
from tests.designer.page.conftest import ServedProject

pytestmark = pytest.mark.slow

_DOCUMENT = "train-and-evaluate.yaml"
_IMAGES_PER_CLASS = 15
_RUN_MILLISECONDS = 300_000
# What is to be seen in each tab before it is judged.
_SHOWN = {
    "Log": ".look-row",
    "Metrics": ".look-chart canvas",
    "History": ".look-runs td",
    "Compare": ".look-compared td",
}
_PREVIEWS = {
    "convert": ".look-grid img",
    "score": ".look-table td",
    "network": ".look-factlist dd",
    "evaluate": "iframe[title=Report]",
}
_NODES = ["convert", "hold_out", "split", "network", "train", "score", "evaluate"]
_CLASSES = tuple("012")


@pytest.fixture(scope="module")
def project(served: Callable[[Path], ServedProject], tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return served(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def first_run(project: ServedProject, chromium: Any) -> ServedProject:
    """The project after the template was opened by a click, made small, and run by a key; its workspace is named."""
    workspace = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
    (project.folder / "config.json").write_text(json.dumps(workspace), encoding="utf-8")
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(project.address)
    page.get_by_role("button", name=re.compile("Train and evaluate")).click()
    page.locator(".react-flow__node").first.wait_for()
    _make_small(project.folder)
    page.reload()
    page.locator(".run-strip", has_text="runs: no result of this node is kept").first.wait_for()
    assert page.locator(".run-status").inner_text() == "2 nodes run, 5 depend on them"
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_role("tab", name="Log").click()
    page.get_by_label("Node", exact=True).select_option("train")
    page.locator(".look-row", has_text="Device").wait_for(timeout=_RUN_MILLISECONDS)
    assert page.title().startswith("▶")
    page.locator(".run-status", has_text="Completed").wait_for(timeout=_RUN_MILLISECONDS)
    assert page.title().startswith("✓")
    context.close()
    return project


def _make_small(folder: Path) -> None:
    """Few images and epochs."""
    for place in (folder / "digits").iterdir():
        if place.name not in _CLASSES:
            shutil.rmtree(place)
            continue
        for image in sorted(place.iterdir())[_IMAGES_PER_CLASS:]:
            image.unlink()
    document = folder / _DOCUMENT
    document.write_text(document.read_text().replace("epochs: 5", "epochs: 2"))


def _open(open_page: Any, project: ServedProject, *, is_run: bool = True, **options: Any) -> Any:
    page = open_page(project, **options)
    page.get_by_role("button", name=re.compile(_DOCUMENT)).first.click()
    page.locator(".react-flow__node").first.wait_for()
    if is_run:
        page.locator(".run-status svg").first.wait_for()
    return page


def test_a_run_is_found_again_and_its_data_are_shown(first_run: ServedProject, open_page: Any) -> None:
    page = _open(open_page, first_run)
    page.locator(".run-status", has_text="Next: nothing has changed: all reused").wait_for()
    assert page.locator(".run-strip", has_text=re.compile(r"completed.*reused, from \d\d:\d\d")).count() > 0
    page.get_by_role("tab", name="Data").click()
    node = page.get_by_label("Node", exact=True)
    assert sorted(node.locator("option").all_inner_texts()) == sorted(_NODES)

    node.select_option("convert")
    page.get_by_text(f"{len(_CLASSES) * _IMAGES_PER_CLASS} images").wait_for()
    page.get_by_role("button", name=f"2 {_IMAGES_PER_CLASS}").click()
    page.wait_for_function("document.querySelectorAll('.look-grid li').length === 15")
    pictures = page.locator(".look-grid img")
    pictures.first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.look-grid img').naturalWidth > 0")
    node.select_option("train")
    page.get_by_text("resnet18").first.wait_for()
    node.select_option("score")
    page.get_by_role("columnheader", name="Scored Labels").wait_for()
    node.select_option("evaluate")
    report = page.frame_locator("iframe[title=Report]")
    report.get_by_role("heading").first.wait_for()
    assert page.locator("iframe[title=Report]").get_attribute("sandbox") == ""

    page.get_by_role("tab", name="Metrics").click()
    page.get_by_label("Node", exact=True).select_option("convert")
    page.get_by_text("convert has logged no metric.").wait_for()
    page.get_by_role("tabpanel").get_by_role("button", name="train", exact=True).click()
    assert page.get_by_label("Node", exact=True).input_value() == "train"
    chart = page.get_by_role("img", name=re.compile("^loss: train from .* at step 1 to .* at step 2"))
    chart.locator("canvas").wait_for()


def test_what_a_run_would_do_is_told_after_an_edit_by_hand(first_run: ServedProject, open_page: Any) -> None:
    page = _open(open_page, first_run)
    document = first_run.folder / _DOCUMENT
    text = document.read_text()
    document.write_text(text.replace("epochs: 2", "epochs: 3"))
    page.locator(".run-status", has_text="1 node runs").wait_for()
    page.get_by_role("button", name="Show all").click()
    page.locator(".run-strip", has_text="runs: parameter epochs: 2 → 3").wait_for()
    document.write_text(text)
    page.locator(".run-status", has_text="all reused").wait_for()


def test_a_node_fails_on_demand_and_one_key_opens_its_error(first_run: ServedProject, open_page: Any) -> None:
    page = _open(open_page, first_run)
    _select(page, "convert")
    _command(page, "Run with a fault")
    page.get_by_role("radio", name="Read-only output").check()
    assert page.get_by_text("--fault read-only-output=output_image_directory").is_visible()
    page.get_by_role("button", name="Run with this fault").click()
    page.locator(".run-status", has_text="convert failed").wait_for(timeout=_RUN_MILLISECONDS)
    page.wait_for_function("document.title.startsWith('✕')")
    page.keyboard.press("Escape")
    page.keyboard.press("F8")
    card = page.get_by_label("Error of convert")
    card.get_by_text("FailedToWriteOutputsError").wait_for()
    assert card.get_by_text("What to do").is_visible()
    target = page.locator(".look-row[data-target=true]")
    target.first.wait_for()
    assert "FailedToWriteOutputsError" in target.first.inner_text()


def test_a_run_is_canceled_and_compared_with_another(first_run: ServedProject, open_page: Any) -> None:
    page = _open(open_page, first_run)
    document = first_run.folder / _DOCUMENT
    # So long that it runs yet when a slow browser looks, and is not stopped for lack of progress.
    longer = "epochs: 500\n      patience: 500"
    document.write_text(document.read_text().replace("epochs: 2", longer))
    page.locator(".run-status", has_text="1 node runs").wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_role("tab", name="Log").click()
    page.get_by_label("Node", exact=True).select_option("train")
    page.locator('[data-id="train"] .run-strip[data-state="running"]').wait_for(timeout=_RUN_MILLISECONDS)
    page.locator(".look-row", has_text="Device").wait_for(timeout=_RUN_MILLISECONDS)
    page.keyboard.press("Control+.")
    page.locator(".run-status", has_text="Canceled").wait_for(timeout=_RUN_MILLISECONDS)

    page.get_by_role("tab", name="History").click()
    rows = page.locator(".look-runs tbody tr")
    states = rows.locator(".look-state").all_inner_texts()
    assert (states[0].strip(), states[-1].strip()) == ("canceled", "completed")
    rows.first.get_by_role("checkbox").check()
    rows.last.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare the two chosen").click()
    epochs = page.locator(".look-compared tr", has_text="epochs").first
    epochs.wait_for()
    assert epochs.locator("td").all_inner_texts() == ["train", "epochs", "2", "500", "+498"]

    page.get_by_role("tab", name="History").click()
    rows.last.get_by_role("button", name=re.compile("Look at")).click()
    band = page.get_by_label("Earlier run")
    band.get_by_text("(completed)").wait_for()
    # The canvas shows what was run then, and lets nobody edit it.
    page.locator(".card-summary", has_text="epochs 2").wait_for()
    _select(page, "train")
    assert page.get_by_label("epochs", exact=True).is_disabled()
    page.keyboard.press("Control+Enter")
    assert page.get_by_role("button", name="Run", exact=True).get_attribute("aria-disabled") == "true"
    band.get_by_role("button", name="Back to now").click()
    page.locator(".card-summary", has_text="epochs 500").wait_for()
    page.get_by_role("tab", name="History").click()
    rows.last.get_by_role("button", name=re.compile("Look at")).click()
    band.get_by_role("button", name="Clone").click()
    page.get_by_label("Name of the new file").fill("cloned.yaml")
    page.get_by_role("dialog").get_by_role("button", name="Clone").click()
    page.wait_for_function("document.title.includes('Train and evaluate') && location.hash.includes('cloned')")
    assert "epochs: 2" in (first_run.folder / "cloned.yaml").read_text()


@pytest.mark.parametrize("look", ["phone", "twice as large"])
def test_every_tab_is_accessible_and_fits(first_run: ServedProject, open_page: Any, look: str) -> None:
    looks: dict[str, dict[str, Any]] = {
        "phone": {"width": 390, "height": 844},
        "twice as large": {"width": 720, "height": 450, "device_scale_factor": 2},
    }
    page = _open(open_page, first_run, **looks[look])
    found = []
    page.get_by_role("tab", name="History").click()
    rows = page.locator(".look-runs tbody tr")
    rows.first.wait_for()
    if rows.count() == 1:  # no test has run it again before this one; it takes all from the first run
        page.keyboard.press("Control+Enter")
        rows.nth(1).wait_for()
        page.locator(".run-status", has_text="Completed").wait_for(timeout=_RUN_MILLISECONDS)
    rows.last.locator(".run-link").click()
    page.get_by_label("Earlier run").wait_for()
    shown = [
        (tab, node, _SHOWN[tab]) for tab, node in (("Log", ""), ("Metrics", "train"), ("History", ""), ("Compare", ""))
    ]
    shown += [("Data", node, preview) for node, preview in _PREVIEWS.items()]
    for tab, node, wanted in shown:
        if page.get_by_role("tab", name=tab).get_attribute("aria-selected") != "true":
            page.get_by_role("tab", name=tab).click()
        if node:
            page.get_by_label("Node", exact=True).select_option(node)
        page.locator(wanted).first.wait_for()
        assert overflow(page) <= 0, tab
        found += [(tab, node, *one) for one in violations(page, in_all_looks=look == "phone")]
    page.get_by_label("Earlier run").get_by_role("button", name="Back to now").click()
    _select(page, "convert")
    for title in ("Run with a fault", "Python SDK code", "Submit to Azure ML"):
        _command(page, title)
        page.locator("dialog[open]").wait_for()
        found += [(title, "", *one) for one in violations(page, in_all_looks=look == "phone")]
        page.keyboard.press("Escape")
    assert found == []


def _select(page: Any, node: str) -> None:
    """Select a node by the list of nodes in the drawer, which is where a keyboard gets to it."""
    page.get_by_role("tab", name="Log").click()
    page.get_by_label("Node", exact=True).select_option(node)


def _command(page: Any, title: str) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill(title)
    page.keyboard.press("Enter")
