"""Program of a process that reads data for previews; see `preview_process`.

python -m pytorch_designer.designer.previews.preview_worker
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pytorch_designer.designer.previews.directory_previews import preview
from pytorch_designer.designer.previews.small_pictures import small_picture
from pytorch_designer.errors import DesignerError
from pytorch_designer.shown_text import redacted

_ADDRESS_BYTES = 6 << 30
_NUM_FILES = 256


def main() -> int:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    _limit()
    for line in sys.stdin.buffer:
        content, data = _answer(json.loads(line))
        answers.write(json.dumps({**content, "num_bytes": len(data)}).encode() + b"\n" + data)
        answers.flush()
    return 0


def _answer(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    path = Path(question["path"])
    try:
        if question["kind"] == "picture":
            return {"kind": "picture"}, small_picture(path, int(question["side"]))
        return preview(path, offset=int(question["offset"]), class_name=question["class_name"]), b""
    except DesignerError as error:
        message = redacted(f"{error.what} {error.advice}".strip())
    except MemoryError:
        message = "It takes too much memory."
    except Exception as error:  # noqa: BLE001 (any file may be asked for, and any library may fail on it)
        message = redacted(f"It cannot be read ({type(error).__name__}).")
    return {"kind": "missing", "message": message}, b""


def _limit() -> None:
    """Limit the memory and time of reading a hostile file, where the system has such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in (
        (resource.RLIMIT_AS, _ADDRESS_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _NUM_FILES),
    ):
        _, hard = resource.getrlimit(limit)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (bound, bound))


if __name__ == "__main__":
    sys.exit(main())
