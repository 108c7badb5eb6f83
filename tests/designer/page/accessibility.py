"""Findings of axe-core on a page, by all rules in light, dark and forced colors."""

from __future__ import annotations

from typing import Any

_OTHER_LOOKS: list[dict[str, str]] = [{"color_scheme": "dark"}, {"color_scheme": "light", "forced_colors": "active"}]
_BACK = {"color_scheme": "light", "forced_colors": "none"}


def violations(page: Any) -> list[tuple[str, str, list[str]]]:
    """Look, rule and elements of each violation in light, dark and forced colors."""
    from axe_playwright_python.sync_playwright import Axe

    found = _found("light", Axe().run(page))
    for look in _OTHER_LOOKS:
        page.emulate_media(**look)
        found += _found(str(look), Axe().run(page))
    page.emulate_media(**_BACK)
    return found


def _found(look: str, results: Any) -> list[tuple[str, str, list[str]]]:
    return [(look, one["id"], [node["html"] for node in one["nodes"]]) for one in results.response["violations"]]
