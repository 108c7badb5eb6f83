"""Pipelines made of shell commands, as YAML files that tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = {"type": "uri_folder"}
ENVIRONMENT = "azureml:env:1"


def write_yaml(path: Path, document: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def component(command: str, **keys: Any) -> dict[str, Any]:
    """A command component, for a file of its own or inside a node."""
    return {"type": "command", "name": "sample", "environment": ENVIRONMENT, "command": command, **keys}


def node(command: str, **keys: Any) -> dict[str, Any]:
    """A node that says itself what it runs."""
    return {"type": "command", "environment": ENVIRONMENT, "command": command, **keys}


def write_pipeline(folder: Path, jobs: dict[str, Any], **keys: Any) -> Path:
    return write_yaml(folder / "pipeline.yaml", {"type": "pipeline", **keys, "jobs": jobs})


def make_folder(path: Path, **texts: str) -> Path:
    path.mkdir(parents=True)
    for name, text in texts.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")
