"""Findings of axe-core on a page, by all rules in light, dark and forced colors."""

from __future__ import annotations

from typing import Any

_LIGHT = {"color_scheme": "light", "forced_colors": "none"}
_OTHER_LOOKS: list[dict[str, str]] = [{"color_scheme": "dark"}, {"color_scheme": "light", "forced_colors": "active"}]


_OVERFLOW = """() => {
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
    return Math.max(scrollWidth - clientWidth, scrollHeight - clientHeight);
}"""


def violations(page: Any, *, in_all_looks: bool = True) -> list[tuple[str, str, list[str]]]:
    """Look, rule and elements of each violation; where another window has had all looks, light is enough."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for look in [*(_OTHER_LOOKS if in_all_looks else []), _LIGHT]:  # light is last, for what comes after
        page.emulate_media(**look)
        results = Axe().run(page).response["violations"]
        found += [(str(look), one["id"], [node["html"] for node in one["nodes"]]) for one in results]
    return found


def overflow(page: Any) -> int:
    """The pixels by which a page is wider or higher than its window, which then has a scrollbar."""
    return int(page.evaluate(_OVERFLOW))
