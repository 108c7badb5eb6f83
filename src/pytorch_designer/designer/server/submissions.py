"""Submissions to a workspace: `pytorch-designer submit` in a process of its own, whose output pages follow."""

from __future__ import annotations

import itertools
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import UnknownNameError, describe_value
from pytorch_designer.shown_text import program_line, redacted
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.designer.server.event_hub import EventHub

_MAX_CHARACTERS = 1 << 20
_MAX_KEPT = 20


@dataclass
class _Submission:
    text: str = ""
    exit_code: int | None = None


class Submissions:
    """Submissions of one server.

    Args:
        project: The working directory.
        hub: Gets what they print.
    """

    def __init__(self, project: Path, hub: EventHub) -> None:
        self._project = project
        self._hub = hub
        self._numbers = itertools.count(1)
        self._kept: dict[str, _Submission] = {}

    def start(self, document: str) -> str:
        """Submit a document of the project, and return the id of the submission."""
        name = str(next(self._numbers))
        process = subprocess.Popen(
            python_command("pytorch_designer", "submit", "--", document),
            cwd=self._project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._kept[name] = _Submission()
        while len(self._kept) > _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        threading.Thread(target=self._follow, args=(name, self._kept[name], process), daemon=True).start()
        return name

    def view(self, name: str) -> dict[str, Any]:
        """Output of a submission so far, with its state.

        Raises:
            UnknownNameError: There is none of this id.
        """
        if name not in self._kept:
            raise UnknownNameError(
                f"There is no submission {describe_value(name)}.",
                where="submissions",
                advice="Submit the document again.",
                reason="no_submission",
            )
        found = self._kept[name]
        return {"id": name, "text": found.text, "ended": found.exit_code is not None, "exit_code": found.exit_code}

    def _follow(self, name: str, submission: _Submission, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                text = redacted(program_line(line))
                if len(submission.text) < _MAX_CHARACTERS:
                    submission.text += text
                    self._hub.publish("submission", {"id": name, "text": text, "ended": False})
        submission.exit_code = process.wait()
        self._hub.publish("submission", {"id": name, "text": "", "ended": True, "exit_code": submission.exit_code})
