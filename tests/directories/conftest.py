"""Folders of images for the tests of this folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.directories import directory_entries
from tests.directories.hand_built import META, PNG, MakeTree, MakeTyped, schema

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


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """A folder with these files; images hold a PNG. A path that ends with "/" is an empty folder."""

    def make(*paths: str) -> Path:
        root = tmp_path / "tree"
        root.mkdir(exist_ok=True)
        for path in paths:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(PNG)
        return root

    return make


@pytest.fixture(params=["records", "scandir"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Folders are read from records, as Linux gives them, or with `os.scandir`, as elsewhere."""
    if request.param == "scandir":
        monkeypatch.setattr(directory_entries, "gives_records", lambda: False)
    elif not directory_entries.gives_records():
        pytest.skip("needs getdents64, which Linux has")
    return str(request.param)
