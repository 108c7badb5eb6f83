"""Long description of the package: the README, readable where this repository's files and pictures are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)")


class LongDescription(MetadataHookInterface):
    """Removes pictures of this repository from the README, and keeps the text of links into it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`; called by hatchling."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = _LINK.sub(r"\1", _PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
