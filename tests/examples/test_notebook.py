"""`examples/notebook.ipynb`, run by a kernel as a user's would be."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "notebook.ipynb"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.filterwarnings("default"),  # of Jupyter's packages
]

# torch is loaded by the user, who has settings of their own, before the first call.
BEFORE = "import torch\ntorch.manual_seed(3)\ntorch.set_num_threads(1)"
AFTER = "import matplotlib, os, torch\nprint(torch.get_num_threads(), torch.initial_seed(), matplotlib.get_backend())"
LONG = """import pytorch_designer
pytorch_designer.train("digits/train", model_name="shufflenet_v2_x0_5", pretrained=False, epochs={epochs},
    patience={epochs}, fraction=0.75, output="stopped")"""


def cell(source: str) -> Any:
    """A cell to run."""
    import nbformat

    return nbformat.v4.new_code_cell(source)


@contextmanager
def client_in(folder: Path, notebook: Any) -> Iterator[Any]:
    """A client of a new kernel that runs in the folder."""
    from nbclient import NotebookClient

    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}, kernel_name="python3")
    with client.setup_kernel():
        yield client


def test_notebook_runs_shows_its_results_and_is_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    num_own = len(notebook.cells)
    notebook.cells.insert(0, cell(BEFORE))
    notebook.cells += [cell(AFTER), cell(LONG.format(epochs=1000)), cell(LONG.format(epochs=1000))]
    with client_in(tmp_path, notebook) as client:
        for number in range(num_own + 2):
            client.execute_cell(notebook.cells[number], number)
        interrupt_when(client, lambda: any((tmp_path / "stopped" / ".checkpoint").glob("*.json")))
        with pytest.raises(Exception, match="InterruptedCallError"):
            client.execute_cell(notebook.cells[num_own + 2], num_own + 2)
    shown = {item.get("id"): list(item.get("outputs", [])) for item in notebook.cells if "outputs" in item}
    pages = {
        name: "".join(output.data["text/html"] for output in shown[name] if "text/html" in output.get("data", {}))
        for name in ("look", "train", "frame", "evaluate")
    }
    assert all(pages.values())
    assert "<script" not in "".join(pages.values())
    assert "<svg" in pages["train"]
    assert "<img" in pages["train"]
    assert "3/3" in pages["train"], "the table of epochs stays"
    assert "<progress" not in pages["train"]
    ours = (item for item in notebook.cells[1:num_own] if "outputs" in item)  # not the user's own `import torch`
    assert not [output for item in ours for output in item.outputs if output.get("name") == "stderr"]
    assert shown[notebook.cells[num_own + 1]["id"]][0].text.startswith("1 3 ")
    assert "inline" in shown[notebook.cells[num_own + 1]["id"]][0].text
    told = "".join(str(output) for output in notebook.cells[num_own + 2].outputs)
    assert "Call train() again with the same arguments" in told
    assert (tmp_path / "stopped" / ".checkpoint").is_dir()
    assert not (tmp_path / "mlflow.db").exists()


def interrupt_when(client: Any, has_begun: Any) -> None:
    """Interrupt the kernel when something has begun, from a thread."""

    def wait() -> None:
        wait_until(has_begun)
        asyncio.run(client.km.interrupt_kernel())

    threading.Thread(target=wait, daemon=True).start()
