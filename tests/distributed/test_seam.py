"""The seam: code that trains is the same in all processes."""

from __future__ import annotations

import re
from pathlib import Path

import pytorch_designer

SOURCE = Path(pytorch_designer.__file__).parent
# Where processes exchange something, start, or are started: these ask who they are.
ROOMS = ("distributed", "training/parallel", "harness")
QUESTION = re.compile(
    r"^.*\b(?:if|while|and|or|not)\b.*\b(?:world|membership)\.(?:is_first|rank|local_rank)\b.*$", re.MULTILINE
)


def test_no_code_outside_of_the_seam_asks_which_process_it_is() -> None:
    asked = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        if not path.relative_to(SOURCE).as_posix().startswith(ROOMS)
        for line in QUESTION.findall(path.read_text(encoding="utf-8"))
    ]
    assert asked == []
