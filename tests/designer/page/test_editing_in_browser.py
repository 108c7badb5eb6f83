"""Editing in the designer, in a real browser: by mouse, by keyboard alone, by touch, and beside an editor.

The demo is built, run and looked at in all three ways. The first run trains; the others reuse what it has made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.designer.page.accessibility import overflow, violations
from tests.designer.page.conftest import ServedProject
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow

# The nodes of the demo: component, name, and where it is dropped, relative to the upper left corner of the canvas.
DEMO = {
    "Convert to Image Directory": ("convert_to_image_directory", (140, 120)),
    "Split Image Directory": ("split_image_directory", (140, 330)),
    "ResNet": ("resnet", (140, 560)),
    "Init Image Transformation": ("init_image_transformation", (420, 120)),
    "Train PyTorch Model": ("train_pytorch_model", (420, 400)),
    "Score Image Model": ("score_image_model", (680, 160)),
    "Evaluate Model": ("evaluate_model", (680, 420)),
}
DEMO_TITLES = {name: title for title, (name, _) in DEMO.items()}
LINKS = [
    ("convert_to_image_directory.output_image_directory", "split_image_directory.input_image_directory"),
    ("split_image_directory.output_image_directory1", "train_pytorch_model.training_dataset"),
    ("split_image_directory.output_image_directory2", "train_pytorch_model.validation_dataset"),
    ("resnet.untrained_model", "train_pytorch_model.untrained_model"),
    ("train_pytorch_model.trained_model", "score_image_model.trained_model"),
    ("split_image_directory.output_image_directory2", "score_image_model.dataset"),
    ("score_image_model.scored_dataset", "evaluate_model.scored_dataset"),
]
PIPELINE = """type: pipeline
jobs:
  resnet: # the network
    type: command
    component: components/resnet.yaml
  convert:
    type: command
    component: components/convert_to_image_directory.yaml
    inputs:
      input_dataset: {type: uri_folder, path: images}
  train:
    type: command
    component: components/train_pytorch_model.yaml
    inputs:
      untrained_model: ${{parent.jobs.resnet.outputs.untrained_model}}
      training_dataset: ${{parent.jobs.convert.outputs.output_image_directory}}
      validation_dataset: ${{parent.jobs.convert.outputs.output_image_directory}}
      epochs: 3
"""


# What is set so that a run takes seconds, besides the path of the images.
CHOICES = [("resnet", "model_name", "resnet18"), ("resnet", "pretrained", "false")]
RUN_MILLISECONDS = 120_000
MOST_KEYS = 340


@pytest.fixture(scope="module")
def project(served: Callable[[Path], ServedProject], tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    folder = tmp_path_factory.mktemp("project")
    write_digits(folder / "images", classes=2, per_class=20)
    return served(folder)


def test_the_demo_is_built_run_and_looked_at_by_mouse(project: ServedProject, open_page: Any) -> None:
    page = open_page(project)
    path = _empty_pipeline(page, project)
    for title, (name, at) in DEMO.items():
        _drag_from_palette(page, title, at)
        _card(page, name).wait_for()
    page.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(400)
    for start, end in LINKS:
        _drag_link(page, start, end)
        page.locator(f'.react-flow__edge[data-id="{end}"]').wait_for(state="attached")
    _card(page, "train_pytorch_model").click()
    page.get_by_label("epochs", exact=True).fill("2")
    page.get_by_label("epochs", exact=True).press("Enter")
    _saved(page)
    assert _bound(path) == {end: start for start, end in LINKS}
    assert _jobs(path)["train_pytorch_model"]["inputs"]["epochs"] == 2

    # Everything is undone, across a reload.
    page.reload()
    page.get_by_role("button", name=re.compile("^Undo: Set epochs")).click()
    _saved(page)
    assert "epochs" not in _jobs(path)["train_pytorch_model"]["inputs"]
    page.keyboard.press("Control+Shift+Z")
    page.get_by_role("button", name=re.compile("^Undo: Set epochs")).wait_for()
    assert _jobs(path)["train_pytorch_model"]["inputs"]["epochs"] == 2

    # A card that is moved is there after a reload.
    box = _card(page, "resnet").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=4)
    page.mouse.up()
    page.get_by_role("button", name=re.compile("^Undo: Move resnet")).wait_for()
    assert "designer.position" in _jobs(path)["resnet"]["properties"]

    _card(page, "convert_to_image_directory").click()
    page.get_by_label("input_dataset", exact=True).select_option("A path")
    page.get_by_label("Path of input_dataset").fill("images")
    page.get_by_label("Path of input_dataset").press("Enter")
    for node, parameter, value in CHOICES:
        _card(page, node).click()
        page.get_by_label(parameter, exact=True).select_option(value)
    _saved(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".run-status", has_text="Completed").wait_for(timeout=RUN_MILLISECONDS)
    _card(page, "evaluate_model").click()
    page.get_by_role("tab", name="Data").click()
    page.frame_locator("iframe[title=Report]").get_by_role("heading").first.wait_for()


def test_components_that_are_clicked_lie_apart_and_a_run_that_is_refused_shows_the_problems(
    project: ServedProject, open_page: Any
) -> None:
    page = open_page(project)
    path = _empty_pipeline(page, project)
    page.get_by_role("tab", name="YAML").click()  # the canvas is low
    added = ["split_image_directory", "resnet", "train_pytorch_model", "score_image_model"]
    for name in added:
        page.locator(".palette-item", has_text=DEMO_TITLES[name]).click()
        page.locator(f'.react-flow__node.selected[data-id="{name}"]').wait_for()  # only what is in sight is drawn
        _saved(page)
    page.get_by_role("tab", name="YAML").click()  # the drawer is closed
    page.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(400)
    boxes = [page.locator(f'.react-flow__node[data-id="{name}"]').bounding_box() for name in added]
    covering = [
        (one, other)
        for index, one in enumerate(boxes)
        for other in boxes[:index]
        if abs(one["x"] - other["x"]) < min(one["width"], other["width"])
        and max(one["y"], other["y"]) < min(one["y"] + one["height"], other["y"] + other["height"])
    ]
    assert covering == []
    before = (path.read_bytes(), set(project.folder.glob("runs/*")))
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".problem").first.wait_for()
    assert page.get_by_role("tab", name=re.compile("Problems")).get_attribute("aria-selected") == "true"
    assert (path.read_bytes(), set(project.folder.glob("runs/*"))) == before


def test_links_that_do_not_fit_are_refused_with_the_reason(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "refused.yaml")
    before = (project.folder / "refused.yaml").read_bytes()
    start = _handle(page, "resnet.untrained_model", "source")
    _hover(page, start)
    page.mouse.down()
    target = _handle(page, "train.training_dataset", "target")
    _hover(page, target)
    hint = page.locator(".link-hint.refused")
    hint.wait_for()
    assert (
        hint.inner_text() == "untrained_model holds UntrainedModelDirectory, training_dataset expects ImageDirectory."
    )
    assert target.get_attribute("data-fit") == "no"
    page.mouse.up()
    # A circle, and a port that is taken.
    _drag_link(page, "train.trained_model", "convert.input_dataset", is_made=False)
    page.get_by_text("train waits for convert: this would be a circle.").wait_for()
    assert (project.folder / "refused.yaml").read_bytes() == before


def test_a_link_gets_a_component_between_its_ends_and_the_canvas_has_a_menu(
    project: ServedProject, open_page: Any
) -> None:
    text = re.sub("      validation_dataset: .*\n", "", PIPELINE)  # which would lie beside the link
    page = _opened(project, open_page, "between.yaml", text=text)
    path = project.folder / "between.yaml"
    link = page.locator('.react-flow__edge[data-id="train.training_dataset"]')
    page.mouse.click(*link.locator("path.link").evaluate(_MIDDLE_OF_LINK), button="right")
    page.get_by_role("menuitem", name="Insert a component").click()
    fitting = page.get_by_role("dialog", name="Add a component").get_by_role("option")
    assert fitting.filter(has_text="Apply Image Transformation").count() == 1
    assert fitting.filter(has_text=re.compile("ResNet|Train PyTorch|Score")).count() == 0
    fitting.filter(has_text="Split Image Directory").click()
    page.get_by_role("button", name=re.compile("^Undo: Add Split")).wait_for()
    assert _bound(path)["train.training_dataset"] == "split_image_directory.output_image_directory1"
    assert _bound(path)["split_image_directory.input_image_directory"] == "convert.output_image_directory"
    page.keyboard.press("Control+z")
    page.locator(".react-flow__pane").click(position={"x": 20, "y": 20}, button="right")
    page.get_by_role("menuitem", name="Select all").click()
    page.get_by_role("heading", name="3 nodes").wait_for()


def test_the_end_of_a_link_is_taken_elsewhere_or_off(project: ServedProject, open_page: Any) -> None:
    text = re.sub("      validation_dataset: .*\n", "", PIPELINE)
    page = _opened(project, open_page, "moved.yaml", text=text)
    path = project.folder / "moved.yaml"
    before = _bound(path)
    moved = {**before, "train.validation_dataset": before["train.training_dataset"]}
    del moved["train.training_dataset"]
    # By mouse, and undone in one step.
    _drag_end_of_link(page, "train.training_dataset")
    _hover(page, _handle(page, "train.validation_dataset", "target"))
    page.locator(".link-hint", has_text="Connect to validation_dataset").wait_for()
    page.mouse.up()
    page.get_by_role("button", name=re.compile("^Undo: Connect convert")).wait_for()
    assert _bound(path) == moved
    page.keyboard.press("Control+z")
    page.locator('.react-flow__edge[data-id="train.training_dataset"]').wait_for(state="attached")
    _saved(page)
    assert path.read_text(encoding="utf-8") == text
    # By keyboard.
    page.locator('.react-flow__edge[data-id="train.training_dataset"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    page.wait_for_function(_IS_AT_PORT, arg=["train", "validation_dataset", "target"])
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Undo: Connect convert")).wait_for()
    assert _bound(path) == moved
    # Let go over nothing.
    _drag_end_of_link(page, "train.validation_dataset")
    page.mouse.move(400, 700, steps=4)
    page.mouse.up()
    page.get_by_role("button", name=re.compile("^Undo: Disconnect train.validation_dataset")).wait_for()
    assert _bound(path) == {"train.untrained_model": "resnet.untrained_model"}


def test_cards_are_disabled_aligned_and_put_back(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "disabled.yaml")
    path = project.folder / "disabled.yaml"
    _card(page, "convert").click()
    page.keyboard.press("d")
    page.locator('[data-id="convert"] .card-state', has_text="disabled").wait_for()
    page.locator('[data-id="train"] .card-state', has_text="left out: needs convert").wait_for()
    page.locator(".run-status", has_text="1 node runs").wait_for()
    page.get_by_role("button", name="More about runs").click()
    refused = page.get_by_role("menuitem", name=re.compile("^Submit to Azure ML.*Azure ML would run convert, disabled"))
    assert refused.get_attribute("aria-disabled") == "true"
    page.keyboard.press("Escape")
    _card(page, "convert").click()
    page.keyboard.press("d")
    page.locator('[data-id="train"] .run-strip-next').wait_for()
    assert path.read_text(encoding="utf-8") == PIPELINE
    # What is undone lies where it lay.
    names = ["resnet", "convert", "train"]
    lying = [_place(page, name) for name in names]
    _card(page, "resnet").click(modifiers=["Shift"])
    _card(page, "train").click(modifiers=["Shift"])
    _card(page, "train").click(button="right")
    page.get_by_role("menuitem", name="Align in a column").click()
    page.get_by_role("button", name=re.compile("^Undo: Align in a column")).wait_for()
    page.wait_for_timeout(300)
    assert len({_place(page, name)[0] for name in names}) == 1
    page.keyboard.press("Control+z")
    _saved(page)
    page.wait_for_timeout(300)
    assert [_place(page, name) for name in names] == lying


def test_a_taken_port_is_given_to_another_only_when_asked(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "taken.yaml")
    path = project.folder / "taken.yaml"
    _add_by_keyboard(page, "densenet")
    _drag_link(page, "densenet.untrained_model", "train.untrained_model", is_made=False)
    page.get_by_role("button", name="Keep it").click()
    assert _bound(path)["train.untrained_model"] == "resnet.untrained_model"
    _drag_link(page, "densenet.untrained_model", "train.untrained_model", is_made=False)
    page.get_by_role("button", name="Replace by densenet.untrained_model").click()
    page.get_by_role("button", name=re.compile("^Undo: Connect densenet")).wait_for()
    assert _bound(path)["train.untrained_model"] == "densenet.untrained_model"


def test_the_demo_is_built_run_and_looked_at_by_keyboard(project: ServedProject, open_page: Any) -> None:
    page = open_page(project)
    path = _empty_pipeline(page, project)
    keys = _Keys(page)
    for title, (name, _) in DEMO.items():
        keys.press("a")
        page.get_by_role("combobox", name="Component to add").wait_for()
        keys.type(title.lower()[:9])
        keys.press("Enter")
        page.wait_for_function(f"document.activeElement.dataset.id === '{name}'")
        for start, end in LINKS:
            if end.startswith(f"{name}."):
                keys.link(start, end)
    assert _bound(path) == {end: start for start, end in LINKS}
    for node, parameter, value in [*CHOICES, ("train_pytorch_model", "epochs", "2")]:
        keys.command(f"go to {node}")
        page.wait_for_function(f"document.activeElement.dataset.id === '{node}'")
        keys.command(f"set {parameter}")
        keys.wait_for_field(parameter)
        keys.type(value)
        keys.press(*(["Enter"] if parameter == "epochs" else []), "Escape")
        page.wait_for_function(f"document.activeElement.dataset.id === '{node}'")
    keys.command("go to convert")
    keys.command("set input_dataset")
    keys.wait_for_field("input_dataset")
    keys.type("A")  # path
    page.get_by_label("Path of input_dataset").wait_for()
    keys.press("Tab", "Control+a")
    keys.type("images")
    keys.press("Enter", "Escape", "Control+Enter")
    page.locator(".run-status", has_text="Completed").wait_for(timeout=RUN_MILLISECONDS)
    keys.command("go to evaluate")
    page.wait_for_function("document.activeElement.dataset.id === 'evaluate_model'")
    keys.press("o")
    page.frame_locator("iframe[title=Report]").get_by_role("heading").first.wait_for()
    page.wait_for_function("document.activeElement.id === 'drawer-panel'")
    keys.press("Escape")
    page.wait_for_function("document.activeElement.dataset.id === 'evaluate_model'")
    assert page.locator(".react-flow__node:focus-visible").count() == 1, "wherever the focus is, it is seen"
    assert keys.num_pressed <= MOST_KEYS
    _change_by_keyboard(page, keys, path)


def _change_by_keyboard(page: Any, keys: _Keys, path: Path) -> None:
    """Move, rename, duplicate and delete, from the card of `evaluate_model`."""
    keys.press("ArrowRight", "ArrowRight", "ArrowRight")
    page.get_by_role("button", name=re.compile("^Undo: Move evaluate_model")).wait_for()
    keys.press("F2")
    page.wait_for_function("document.activeElement.id === 'node-name'")
    keys.type("judge")
    keys.press("Enter")
    page.wait_for_function("document.activeElement.dataset.id === 'judge'")
    keys.press("Control+d")
    page.get_by_role("button", name=re.compile("^Undo: Duplicate judge")).wait_for()
    assert len(_jobs(path)) == 8
    keys.press("Delete")
    page.get_by_role("button", name=re.compile("^Undo: Delete")).wait_for()
    assert set(_jobs(path)) == {*(name for name, _ in DEMO.values()), "judge"} - {"evaluate_model"}
    keys.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()


def test_the_demo_is_built_run_and_looked_at_by_touch(project: ServedProject, open_page: Any) -> None:
    page = open_page(project, width=820, height=1180, has_touch=True)
    path = _empty_pipeline(page, project)
    canvas = page.locator(".react-flow").bounding_box()
    for title, (name, (x, y)) in DEMO.items():
        _drag_from_palette_by_finger(page, title, (canvas["x"] + x, canvas["y"] + y))
        page.locator(f'.react-flow__node[data-id="{name}"]').wait_for()
    page.get_by_role("button", name="Show all").tap()
    page.wait_for_timeout(400)
    for start, end in LINKS:
        _handle(page, start, "source").tap()
        _handle(page, end, "target").tap()
        page.locator(f'.react-flow__edge[data-id="{end}"]').wait_for(state="attached")
    _saved(page)
    assert _bound(path) == {end: start for start, end in LINKS}

    def details(name: str) -> None:
        _card(page, name).tap()
        page.get_by_role("button", name="Details", exact=True).tap()
        page.get_by_label("Name", exact=True).wait_for()

    def done() -> None:
        page.get_by_role("button", name="Details", exact=True).tap()
        page.wait_for_timeout(250)

    for node, parameter, value in CHOICES:
        details(node)
        page.get_by_label(parameter, exact=True).select_option(value)
        done()
    details("train_pytorch_model")
    page.get_by_label("epochs", exact=True).fill("2")
    done()
    details("convert_to_image_directory")
    page.get_by_label("input_dataset", exact=True).select_option("A path")
    page.get_by_label("Path of input_dataset").fill("images")
    done()
    _saved(page)
    page.get_by_role("button", name="Run", exact=True).tap()
    page.locator(".run-status", has_text="Completed").wait_for(timeout=RUN_MILLISECONDS)
    _card(page, "evaluate_model").tap()
    page.get_by_role("tab", name="Data").tap()
    page.frame_locator("iframe[title=Report]").get_by_role("heading").first.wait_for()


def test_fingers_drag_components_and_tap_ports(project: ServedProject, open_page: Any) -> None:
    page = open_page(project, width=390, height=844, has_touch=True, is_mobile=True)
    path = _empty_pipeline(page, project)
    for title, y in (("ResNet", 250), ("Train PyTorch Model", 480)):
        _drag_from_palette_by_finger(page, title, (200, y))
        page.get_by_role("button", name=re.compile(f"^Undo: Add {title}")).wait_for()
    assert set(_jobs(path)) == {"resnet", "train_pytorch_model"}
    page.get_by_role("button", name="Show all").tap()
    page.wait_for_timeout(400)
    _handle(page, "resnet.untrained_model", "source").tap()
    _handle(page, "train_pytorch_model.untrained_model", "target").tap()
    page.get_by_role("button", name=re.compile("^Undo: Connect resnet")).wait_for()
    assert _bound(path) == {"train_pytorch_model.untrained_model": "resnet.untrained_model"}


def test_eight_tabs_follow_the_file_and_another_goes_on_when_the_first_is_closed(
    project: ServedProject, open_page: Any
) -> None:
    first = _opened(project, open_page, "tabs.yaml")
    path = project.folder / "tabs.yaml"
    others = [first.context.new_page() for _ in range(7)]
    for tab in others:
        tab.goto(first.url)
        tab.locator(".card").first.wait_for()
    for epochs, tabs in ((4, [first, *others]), (5, others)):
        path.write_text(re.sub(r"epochs: \d", f"epochs: {epochs}", path.read_text(encoding="utf-8")), encoding="utf-8")
        for tab in tabs:
            tab.locator(".card-summary", has_text=f"epochs {epochs}").wait_for()
        if tabs != others:
            first.close()


def test_a_place_of_a_pipeline_input_is_in_the_file(project: ServedProject, open_page: Any) -> None:
    text = f"{PIPELINE}inputs:\n  more: {{type: uri_folder, path: images}}\n"
    page = _opened(project, open_page, "places.yaml", text=text)
    path = project.folder / "places.yaml"
    page.locator(".count.warn", has_text="1").wait_for()  # nothing uses it, which keeps no pipeline from running
    box = page.locator(".input-card").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 112, steps=4)
    page.mouse.up()
    page.get_by_role("button", name=re.compile("^Undo: Move more")).wait_for()
    assert "designer.position.inputs.more" in yaml.safe_load(path.read_text(encoding="utf-8"))["properties"]


def test_a_folder_of_data_is_dragged_onto_the_canvas_or_chosen_at_a_port(
    project: ServedProject, open_page: Any
) -> None:
    text = re.sub("    inputs:\n      input_dataset: .*\n", "", PIPELINE)
    page = _opened(project, open_page, "data.yaml", text=text)
    path = project.folder / "data.yaml"
    page.get_by_role("region", name="Data").get_by_role("button", name="images").wait_for()
    _drag_from_palette(page, re.compile("^images$"), (60, 60))
    page.locator(".input-card", has_text="./images").wait_for()
    _saved(page)
    _hover(page, page.locator('.react-flow__handle.source[data-handleid="images"]'))
    page.mouse.down()
    _hover(page, _handle(page, "convert.input_dataset", "target"))
    page.mouse.up()
    page.get_by_role("button", name=re.compile("^Undo: Connect")).wait_for()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["inputs"] == {"images": {"type": "uri_folder", "path": "./images"}}
    assert "designer.position.inputs.images" in content["properties"]
    assert content["jobs"]["convert"]["inputs"] == {"input_dataset": "${{parent.inputs.images}}"}
    for _ in range(2):
        page.keyboard.press("Control+z")
        _saved(page)
    assert path.read_text(encoding="utf-8") == text
    # At the port itself, and one that was put there meanwhile.
    write_digits(project.folder / "later", classes=2, per_class=1)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.get_by_role("region", name="Data").get_by_role("button", name="later").wait_for()
    _card(page, "convert").click()
    page.get_by_label("input_dataset", exact=True).select_option("./later")
    page.get_by_role("button", name=re.compile("^Undo: Path of convert")).wait_for()
    assert _jobs(path)["convert"]["inputs"]["input_dataset"] == {"type": "uri_folder", "path": "./later"}


def test_a_pipeline_is_copied_as_it_is_on_the_screen(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "first.yaml")
    page.get_by_role("button", name=re.compile("^Pipelines of this folder")).click()
    page.get_by_role("menuitem", name="Copy of this pipeline").click()
    page.get_by_role("dialog", name="Copy of this pipeline").get_by_role("button", name="Create").click()
    page.wait_for_function("location.hash === '#first-copy.yaml'")
    assert (project.folder / "first-copy.yaml").read_text(encoding="utf-8") == PIPELINE


def test_an_edit_by_hand_appears_and_a_conflict_is_shown(project: ServedProject, open_page: Any) -> None:
    page = _opened(project, open_page, "hand.yaml")
    path = project.folder / "hand.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("epochs: 3", "epochs: 4"), encoding="utf-8")
    page.locator(".card-summary", has_text="epochs 4").wait_for()
    # The page is behind: its edit of the same value meets the other one.
    page.route("**/api/events", lambda route: route.abort())
    page.reload()
    page.wait_for_timeout(1000)  # the cards are moved into sight
    _card(page, "train").click()
    page.get_by_label("epochs", exact=True).wait_for()
    page.route("**/api/documents/hand.yaml", lambda route: route.abort())
    path.write_text(path.read_text(encoding="utf-8").replace("epochs: 4", "epochs: 7"), encoding="utf-8")
    page.get_by_label("epochs", exact=True).fill("9")
    page.get_by_label("epochs", exact=True).press("Enter")
    page.get_by_role("dialog", name="The file was changed meanwhile").wait_for()
    page.wait_for_timeout(1000)  # the field has lost the focus, and writes nothing by that
    assert _jobs(path)["train"]["inputs"]["epochs"] == 7
    page.get_by_role("button", name="Do it all the same").click()
    page.get_by_role("button", name=re.compile("^Undo: Set epochs")).wait_for()
    assert _jobs(path)["train"]["inputs"]["epochs"] == 9
    assert "# the network" in path.read_text(encoding="utf-8")


def test_values_are_checked_as_they_are_typed_and_problems_jump_to_their_node(
    project: ServedProject, open_page: Any
) -> None:
    page = _opened(project, open_page, "values.yaml")
    # A parameter is found by its name, whatever is selected.
    _card(page, "resnet").click()
    keys = _Keys(page)
    keys.command("epochs")
    keys.wait_for_field("epochs")
    assert page.locator("#node-name").input_value() == "train"
    _card(page, "train").click()
    epochs = page.get_by_label("epochs", exact=True)
    epochs.fill("0")
    page.get_by_role("alert").filter(has_text="at least 1").wait_for()
    assert _jobs(project.folder / "values.yaml")["train"]["inputs"]["epochs"] == 3
    epochs.press("Enter")
    _saved(page)
    page.locator(".count.bad").wait_for()
    page.get_by_role("tab", name=re.compile("Problems")).click()
    page.locator(".react-flow__pane").click(position={"x": 10, "y": 10})
    page.locator(".problem", has_text="epochs").first.click()
    page.wait_for_function("document.activeElement.dataset.id === 'train'")
    assert page.locator('[data-id="train"] .card[data-fault="true"]').count() == 1


def test_components_of_the_folder_come_and_change_while_the_page_is_open(
    project: ServedProject, open_page: Any
) -> None:
    page = _opened(project, open_page, "own.yaml")
    own = project.folder / "own_component.yaml"
    text = """$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: count_images
display_name: Count Images
version: 1
inputs:
  images: {type: uri_folder}
command: echo ${{inputs.images}}
environment: azureml:any:1
"""
    own.write_text(text, encoding="utf-8")
    page.locator(".palette-item", has_text="Count Images").click()
    _card(page, "count_images").wait_for()
    own.write_text(text.replace("version: 1", "version: 2"), encoding="utf-8")
    page.get_by_text("updated").wait_for()
    own.write_text(text.replace("command: echo ${{inputs.images}}", ""), encoding="utf-8")
    page.locator('.palette-item[aria-disabled="true"]').wait_for()


@pytest.mark.parametrize(
    "window", [{}, {"width": 720, "height": 450, "device_scale_factor": 2}], ids=["usual", "twice as large"]
)
def test_nothing_is_found_by_axe_in_any_state(project: ServedProject, open_page: Any, window: dict[str, Any]) -> None:
    text = PIPELINE.replace("images}\n", "images}\n    properties: {designer.disabled: 'true'}\n")
    page = _opened(project, open_page, "axe.yaml", text=text, **window)

    def check(state: str) -> None:
        page.wait_for_timeout(250)
        assert violations(page, in_all_looks=not window) == [], state
        assert overflow(page) <= 0, state

    check("canvas")
    _card(page, "train").click()
    check("node")
    page.get_by_role("tab", name=re.compile("Problems")).click()
    check("problems")
    page.get_by_role("tab", name="YAML").click()
    page.get_by_label("YAML of the pipeline").wait_for()
    check("text")
    page.keyboard.press("Control+k")
    check("commands")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu of train").click()
    check("menu of a node")
    page.keyboard.press("Escape")
    page.locator(".react-flow__pane").dblclick(position={"x": 20, "y": 20})
    page.get_by_role("combobox", name="Component to add").wait_for()
    check("search at the cursor")
    page.keyboard.press("Escape")
    page.locator(".react-flow__pane").click(position={"x": 20, "y": 20})
    page.get_by_role("button", name="Details").click()
    check("pipeline")
    page.get_by_role("button", name=re.compile("Versions")).click()
    check("versions")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    check("phone")
    page.get_by_role("button", name="Components").click()
    check("palette on a phone")


def test_only_the_cards_in_sight_are_drawn_of_200_nodes(project: ServedProject, open_page: Any) -> None:
    jobs = ""
    for number in range(200):
        jobs += f"  n_{number}:\n    type: command\n    component: components/convert_to_image_directory.yaml\n"
        if number % 10:
            source = f"${{{{parent.jobs.n_{number - 1}.outputs.output_image_directory}}}}"
            jobs += f"    inputs:\n      input_dataset: {source}\n"
    page = _opened(project, open_page, "large.yaml", text=f"type: pipeline\njobs:\n{jobs}")
    for _ in range(5):
        page.get_by_role("button", name="Zoom in").click()
        page.wait_for_timeout(300)
    page.wait_for_function("document.querySelectorAll('.react-flow__node').length < 60")
    seen = page.locator(".react-flow__node").evaluate_all("nodes => nodes.map(node => node.dataset.id)")
    x, y = page.evaluate(_FREE_POINT)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 400, y - 300, steps=10)
    page.mouse.up()
    page.wait_for_timeout(200)
    moved = page.locator(".react-flow__node").evaluate_all("nodes => nodes.map(node => node.dataset.id)")
    assert 0 < len(moved) < 60
    assert set(moved) != set(seen)
    # The next problem is wherever it is: the canvas goes there.
    for number in range(1, 16):
        page.keyboard.press("F8")
        page.wait_for_function(_IS_SEEN, arg=f"n_{(number - 1) * 10}")


# A point of the canvas that no card covers.
_FREE_POINT = """() => {
    const box = document.querySelector('.react-flow').getBoundingClientRect();
    for (let x = box.right - 300; x > box.left; x -= 10) {
        const found = document.elementFromPoint(x, box.bottom - 200);
        if (found.classList.contains('react-flow__pane')) return [x, box.bottom - 200];
    }
}"""
_MIDDLE_OF_LINK = """path => {
    const { x, y } = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
    return [x, y];
}"""
_IS_SEEN = """name => {
    const focused = document.activeElement;
    if (focused.dataset.id !== name) return false;
    const [canvas, card] = [document.querySelector(".react-flow"), focused].map(each => each.getBoundingClientRect());
    return card.top >= canvas.top && card.left >= canvas.left
        && card.bottom <= canvas.bottom && card.right <= canvas.right;
}"""
_IS_AT_PORT = """([node, port, kind]) => {
    const { dataset, classList } = document.activeElement;
    return dataset.nodeid === node && dataset.handleid === port && classList.contains(kind);
}"""
_IS_AT_FIELD = """name => {
    const { activeElement } = document;
    const field = activeElement.closest("[data-field]");
    return field?.dataset.field === name && activeElement.matches("input, select, textarea");
}"""


class _Keys:
    """Keyboard that counts."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.num_pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.num_pressed += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.num_pressed += len(text)

    def command(self, text: str) -> None:
        self.press("Control+k")
        self.page.get_by_role("combobox", name="Command, node or pipeline").wait_for()
        self.type(text)
        self.press("Enter")
        self.page.get_by_role("combobox", name="Command, node or pipeline").wait_for(state="detached")

    def wait_for_field(self, name: str) -> None:
        self.page.wait_for_function(_IS_AT_FIELD, arg=name)

    def link(self, start: str, end: str) -> None:
        """From the card with the focus: to its port, then to the other end of the link."""
        self.press("c")
        self._go_to(end, "target")
        self.press("Enter")
        self._go_to(start, "source")
        self.press("Enter")
        self.page.locator(f'.react-flow__edge[data-id="{end}"]').wait_for(state="attached")
        self.page.wait_for_function(_IS_AT_PORT, arg=[*end.split("."), "target"])
        _saved(self.page)

    def _go_to(self, end: str, kind: str) -> None:
        for _ in range(8):
            self.page.wait_for_timeout(120)  # until the focus has moved, which waits for two frames
            if self.page.evaluate(_IS_AT_PORT, [*end.split("."), kind]):
                return
            self.press("ArrowDown")
        raise AssertionError(f"The arrow keys do not lead to {end}.")


def _empty_pipeline(page: Any, project: ServedProject) -> Path:
    before = set(project.folder.glob("*.yaml"))
    page.get_by_role("button", name=re.compile("^Empty pipeline")).click()
    page.get_by_text("An empty pipeline.").wait_for()
    [made] = set(project.folder.glob("*.yaml")) - before
    return made


def _opened(project: ServedProject, open_page: Any, name: str, text: str = PIPELINE, **media: Any) -> Any:
    """A page with this pipeline; the built-in components are put into the project by an empty one."""
    page = open_page(project, **media)
    if not (project.folder / "components").is_dir():
        _empty_pipeline(page, project)
        page.locator(".palette-item", has_text="ResNet").click()
        _saved(page)
    (project.folder / name).write_text(text, encoding="utf-8")
    page.goto(page.url.split("#")[0] + f"#{name}")
    page.reload()
    page.locator(".card").first.wait_for()
    page.wait_for_timeout(400)
    return page


def _saved(page: Any) -> None:
    page.locator(".saved[data-state=saved]").wait_for()


def _jobs(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def _bound(path: Path) -> dict[str, str]:
    """Links between the nodes of a pipeline: `node.port` of an input to `node.port` of its source."""
    found = {}
    for node, job in _jobs(path).items():
        for port, value in job.get("inputs", {}).items():
            if binding := re.fullmatch(r"\$\{\{parent\.jobs\.(\w+)\.outputs\.(\w+)\}\}", str(value)):
                found[f"{node}.{port}"] = f"{binding[1]}.{binding[2]}"
    return found


def _card(page: Any, name: str) -> Any:
    return page.locator(f'.react-flow__node[data-id="{name}"] .card-head .card-name')


def _place(page: Any, name: str) -> tuple[float, float]:
    """Where a card's name begins; how wide it may be depends on whether the card is selected."""
    box = _card(page, name).bounding_box()
    return box["x"], box["y"]


def _handle(page: Any, end: str, kind: str) -> Any:
    node, port = end.split(".")
    return page.locator(f'.react-flow__handle.{kind}[data-nodeid="{node}"][data-handleid="{port}"]')


def _hover(page: Any, handle: Any) -> None:
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)


def _drag_link(page: Any, start: str, end: str, *, is_made: bool = True) -> None:
    _hover(page, _handle(page, start, "source"))
    page.mouse.down()
    target = _handle(page, end, "target")
    _hover(page, target)
    if is_made:
        assert target.get_attribute("data-fit") == "yes"
    page.mouse.up()


def _drag_end_of_link(page: Any, end: str) -> None:
    """Take a link just before its port."""
    box = _handle(page, end, "target").bounding_box()
    page.mouse.move(box["x"] - 5, box["y"] + box["height"] / 2, steps=4)
    page.mouse.down()


def _drag_from_palette(page: Any, title: str | re.Pattern[str], at: tuple[int, int]) -> None:
    item = page.locator(".palette-item", has_text=title).bounding_box()
    canvas = page.locator(".react-flow").bounding_box()
    page.mouse.move(item["x"] + 40, item["y"] + 12)
    page.mouse.down()
    page.mouse.move(canvas["x"] + at[0], canvas["y"] + at[1], steps=5)
    page.mouse.up()


def _drag_from_palette_by_finger(page: Any, title: str, end: tuple[float, float]) -> None:
    page.get_by_role("button", name="Components").tap()
    item = page.locator(".palette-item", has_text=title)
    item.scroll_into_view_if_needed()
    page.wait_for_timeout(250)
    box = item.bounding_box()
    _drag_by_finger(page, (box["x"] + 60, box["y"] + 15), end)


def _drag_by_finger(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    client = page.context.new_cdp_session(page)
    points = [
        (start[0] + (end[0] - start[0]) * part / 8, start[1] + (end[1] - start[1]) * part / 8) for part in range(9)
    ]
    # First to the side, which takes the component along; up or down would scroll the list.
    points.insert(1, (start[0] + 30, start[1]))
    points += [end] * 6  # at rest: after a fling the browser takes the next tap for its end
    for number, (x, y) in enumerate(points):
        kind = "touchStart" if number == 0 else "touchMove"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        page.wait_for_timeout(16)
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def _add_by_keyboard(page: Any, text: str) -> None:
    page.locator(".react-flow").focus()
    page.keyboard.press("a")
    page.get_by_role("combobox", name="Component to add").wait_for()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Component to add").wait_for(state="detached")
    page.wait_for_function("document.activeElement.classList.contains('react-flow__node')")
    _saved(page)
