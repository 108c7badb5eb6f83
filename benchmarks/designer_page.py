"""Speed of the designer page: start, faults after an edit, moving the canvas, logs of many lines.

    python benchmarks/designer_page.py [start] [edit] [pan] [logs]

Needs Chromium and playwright; draws without a graphics card. Each of the four takes less than a minute:

- start: from the start of the command until its address is printed and the page is answered, 5 times
- edit: from Enter in a field of one of 100 nodes until its card shows the fault, in the page, 20 times
- pan: the canvas with 200 nodes is dragged by script; milliseconds between frames, and of script in a frame
- logs: 8 nodes print 10,000 lines per second together, one log is followed; milliseconds between frames, page's memory
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import processor_name
from pytorch_designer.components.azure_files import write_project_components
from pytorch_designer.system.resources import usable_cores
from served_designer import browser, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPONENTS = "  {name}:\n    type: command\n    component: components/{component}.yaml\n    inputs:\n"
LOUD = """type: command
name: loud
version: 1
environment: azureml:none:1
command: python loud.py
code: loud
"""
NUM_LOUD, LINES_PER_SECOND, LOUD_SECONDS = 8, 10_000, 20
LOUD_PROGRAM = f"""import sys, time
start = time.time()
for tick in range({LOUD_SECONDS} * 10):
    for line in range({LINES_PER_SECOND // NUM_LOUD // 10}):
        print(f"tick {{tick}} line {{line}} of a log with as many letters as usual lines have")
    sys.stdout.flush()
    time.sleep(max(0, start + (tick + 1) / 10 - time.time()))
"""
# From the key until the card has the state: [name of the node, "true" or "false"].
FAULT_SHOWN = """([node, shown]) => new Promise(resolve => {
  const card = document.querySelector(`[data-id="${node}"] .card`);
  let start = 0;
  addEventListener('keydown', () => { start = performance.now(); }, {capture: true, once: true});
  new MutationObserver((_, observer) => {
    if (card.dataset.fault !== shown) return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  }).observe(card, {attributes: true});
})"""
PAN = """async frames => {
  const pane = document.querySelector('.react-flow__pane'), box = pane.getBoundingClientRect();
  let x = box.right - 400, y = box.bottom - 150;
  while (document.elementFromPoint(x, y) !== pane && x > box.left) x -= 7;
  const send = (kind, target) => target.dispatchEvent(new MouseEvent(kind,
    {bubbles: true, cancelable: true, view: window, clientX: x, clientY: y, button: 0, buttons: 1}));
  send('mousedown', pane);
  const between = [], script = [];
  let before = performance.now();
  for (let frame = 0; frame < frames; frame++) {
    await new Promise(requestAnimationFrame);
    const now = performance.now(), sign = Math.floor(frame / 40) % 2 ? 1 : -1;
    between.push(now - before);
    before = now;
    x += 9 * sign;
    y += 5 * sign;
    send('mousemove', window);
    await Promise.resolve();
    script.push(performance.now() - now);
  }
  send('mouseup', window);
  return [between.slice(5), script.slice(5)];
}"""
FRAMES = """async seconds => {
  const between = [];
  let before = performance.now();
  for (const end = before + seconds * 1000; before < end;) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    between.push(now - before);
    before = now;
  }
  return [between, performance.memory.usedJSHeapSize / 1e6];
}"""


def main() -> None:
    """Take the figures that are named, or all."""
    ways: dict[str, Callable[[], None]] = {"start": start, "edit": edit, "pan": pan, "logs": logs}
    print(f"{time.strftime('%Y-%m-%d')}, {processor_name()}, {usable_cores()} cores, no graphics card")
    for name in sys.argv[1:] or ways:
        ways[name]()


def start() -> None:
    """Print the seconds until the page is there, warm and in a new folder each time."""
    printed, answered = [], []
    for _ in range(6):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            with served(Path(folder)) as address:
                printed.append(time.perf_counter() - begin)
                with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(address) as answer:
                    answer.read()
                answered.append(time.perf_counter() - begin)
    print(f"start: address after {described(printed[1:])} s, answer after {described(answered[1:])} s, n = 5")


def edit() -> None:
    """Print the milliseconds from a key to the fault at the card, of one of 100 nodes."""
    jobs = ""
    for number in range(0, 100, 2):
        jobs += COMPONENTS.format(name=f"n_{number}", component="convert_to_image_directory")
        jobs += "      input_dataset: {type: uri_folder, path: images}\n"
        source = f"${{{{parent.jobs.n_{number}.outputs.output_image_directory}}}}"
        jobs += COMPONENTS.format(name=f"n_{number + 1}", component="split_image_directory")
        jobs += f"      input_image_directory: {source}\n      fraction: 0.9\n"
    with opened(jobs) as page:
        cards = page.locator(".react-flow__node", has_text="Split Image Directory")  # only those in sight are drawn
        card = cards.nth(3)
        node = card.get_attribute("data-id")
        card.locator(".card-name").click()
        field = page.get_by_label("fraction", exact=True)
        seconds = []
        for number in range(21):
            is_bad = number % 2 == 0
            page.evaluate(f"void (window.shown = ({FAULT_SHOWN})(['{node}', '{str(is_bad).lower()}']))")
            field.evaluate("input => { input.focus(); input.select(); }")
            page.keyboard.insert_text("7" if is_bad else "0.5")  # presses no key
            page.keyboard.press("Enter")
            seconds.append(page.evaluate("window.shown"))
    print(f"edit: fault after {described(seconds[1:], 0)} ms, n = 20")


def pan() -> None:
    """Print the milliseconds of frames while the canvas moves."""
    jobs = ""
    for number in range(200):
        jobs += COMPONENTS.format(name=f"n_{number}", component="convert_to_image_directory")
        source = f"${{{{parent.jobs.n_{number - 1}.outputs.output_image_directory}}}}"
        jobs += f"      input_dataset: {source}\n" if number % 10 else "      input_dataset: {path: images}\n"
    with opened(jobs) as page:
        between, script = page.evaluate(PAN, 300)
    print(f"pan: {described(between, 1)} ms between frames, {described(script, 1)} ms of script, n = {len(between)}")


def logs() -> None:
    """Print the milliseconds of frames while many lines are logged."""
    jobs = "".join(f"  n_{number}:\n    type: command\n    component: loud.yaml\n" for number in range(NUM_LOUD))
    with opened(jobs, {"loud.yaml": LOUD, "loud/loud.py": LOUD_PROGRAM}) as page:
        page.keyboard.press("Control+Enter")
        page.get_by_role("tab", name="Log").click()
        page.get_by_label("Node", exact=True).select_option("n_0")
        page.locator(".look-row", has_text="tick").first.wait_for(timeout=60_000)
        between, megabytes = page.evaluate(FRAMES, LOUD_SECONDS - 5)
        running = page.locator('.run-strip[data-state="running"]').count()
    print(f"logs: {described(between, 1)} ms between frames, n = {len(between)}; {megabytes:.0f} MB of memory")
    print(f"{running} nodes were still running")


def described(values: list[float], digits: int = 2) -> str:
    """Median, 95th percentile and largest."""
    ordered = sorted(values)
    found = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]
    return "{:.{d}f} (95 %: {:.{d}f}, longest {:.{d}f})".format(*found, d=digits)


@contextmanager
def opened(jobs: str, files: dict[str, str] | None = None) -> Iterator[Any]:
    """A page that shows a pipeline of these nodes."""
    with tempfile.TemporaryDirectory() as top, browser() as chromium:
        folder = Path(top) / "project"
        write_project_components(folder / "components")
        (folder / "images").mkdir()
        for name, text in {**(files or {}), "pipeline.yaml": f"type: pipeline\njobs:\n{jobs}"}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        with served(folder) as address:
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}#pipeline.yaml")
            page.locator(".card").first.wait_for(timeout=60_000)
            page.wait_for_timeout(2000)  # until all has been read and forecast
            yield page


if __name__ == "__main__":
    main()
