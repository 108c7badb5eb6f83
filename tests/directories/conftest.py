"""Folders of images for the tests of this folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.directories.hand_built import META, PNG, MakeTyped, schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@pytest.fixture
def make_typed(tmp_path: Path) -> MakeTyped:
    """A typed directory whose list has `rows` (text as it is, all else as JSON), with an image for each file name."""

    def make(rows: Sequence[object], categories: Sequence[Mapping[str, Any]] | None = None, meta: str = META) -> Path:
        root = tmp_path / "typed"
        (root / "image").mkdir(parents=True)
        (root / "_meta.yaml").write_text(meta)
        (root / "_schema.json").write_text(schema(categories))
        (root / "_samples.json").write_text("[]")
        (root / "images.lst").write_text(
            "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in rows)
        )
        for line in rows:
            name = line.get("image_info", {}).get("file_name") if isinstance(line, dict) else None
            if isinstance(name, str) and name.startswith("image/") and name.endswith(".png") and ".." not in name:
                (root / name).write_bytes(PNG)
        return root

    return make
