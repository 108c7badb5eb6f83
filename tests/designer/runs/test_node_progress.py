"""Progress out of the logs of anybody's components."""

from __future__ import annotations

import pytest

from pytorch_designer.designer.runs.node_progress import progress_of

TABLE = [
    "12:00:00 epoch   train loss  top-1  val loss  top-1  img/s    time",
    "12:00:10 1/20        1.9012  41.2%    1.7034  48.0%   1204    0:12 best",
]


@pytest.mark.parametrize(
    ("lines", "text", "fraction"),
    [
        (["Epoch 3/5"], "epoch 3 of 5", 0.6),
        (["Epoch [2/4], loss 0.5"], "epoch 2 of 4", 0.5),
        (["12:00:00 epoch 3/20: 12 of 30 steps, loss 0.5, 340 images/s, 0:30 left"],
         "epoch 3 of 20, 340 images/s, 0:30 left", 0.12),
        (["done: 120 of 1,200 images, 56 images/s, 1:02:03 left"],
         "120 of 1,200 images, 56 images/s, 1:02:03 left", 0.1),
        ([" 37%|███▋      | 37/100 [00:12<00:20,  3.05it/s]"], "37 %, 3.05 it/s", 0.37),
        (TABLE, "epoch 1 of 20, 1204 images/s", 0.05),
        ([*TABLE, "Saved."], "epoch 1 of 20, 1204 images/s", 0.05),
        (["\x1b[32mepoch 9 of 3\x1b[0m"], "epoch 9 of 3", 1.0),
        (["epoch 1/0"], "epoch 1 of 0", None),
        (["epoch 1/2", "epoch 2/2"], "epoch 2 of 2", 1.0),
    ],
)  # fmt: skip
def test_it_is_recognized(lines: list[str], text: str, fraction: float | None) -> None:
    found = progress_of(lines)
    assert found is not None
    assert found["text"] == text
    assert found["fraction"] == (None if fraction is None else pytest.approx(fraction))


@pytest.mark.parametrize("line", ["", "Model: resnet18", "loss 1/3", "3/4 cup", "100% cotton", "2026/11/28"])
def test_other_lines_say_nothing(line: str) -> None:
    assert progress_of([line]) is None
