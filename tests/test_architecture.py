"""docs/architecture.md against the tree and the import contracts."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parent.parent
PAGE = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
SOURCE = TOP / "src" / "pytorch_designer"
_NOT_LISTED = {"__init__", "__main__"}


def rooms_of_the_page() -> dict[str, set[str]]:
    items = re.findall(r"^\* `([\w/.]+)/`:(.*?)(?=^\* |^$)", PAGE, re.MULTILINE | re.DOTALL)
    listed = {room: text.partition("Modules:")[2] for room, text in items if "Modules:" in text}
    return {"" if room == "." else room: set(re.findall(r"`(\w+)`", modules)) for room, modules in listed.items()}


def rooms_of_the_tree() -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for file in SOURCE.rglob("*.py"):
        if file.stem not in _NOT_LISTED:
            room = file.parent.relative_to(SOURCE).as_posix()
            rooms.setdefault("" if room == "." else room, set()).add(file.stem)
    return rooms


def drawn_layers(heading: str) -> list[set[str]]:
    block = PAGE.partition(heading)[2].split("```")[1]
    return [set(line.split(" | ")) for line in block.strip().splitlines()]


def layers_of_the_contract(name: str) -> list[set[str]]:
    contract = (TOP / "pyproject.toml").read_text(encoding="utf-8").partition(f'name = "{name}"')[2]
    lines = re.findall(r'^  "(.*)",$', contract.partition("]")[0], re.MULTILINE)
    return [{module.rpartition(".")[2] for module in line.split(" | ")} for line in lines]


def test_the_page_lists_every_module_in_its_room() -> None:
    assert rooms_of_the_page() == rooms_of_the_tree()


def test_the_contracts_are_the_layers_that_are_drawn() -> None:
    assert drawn_layers("## The house") == layers_of_the_contract("Layers of docs/architecture.md")
    assert drawn_layers("Its rooms:") == layers_of_the_contract("The rooms of the harness")
