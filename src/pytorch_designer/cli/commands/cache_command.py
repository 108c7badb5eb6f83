"""`pytorch-designer cache`: what `run` keeps: results of pipeline nodes to reuse them, and environments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.harness.environments.built_environments import built_environments
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.settings import settings
from pytorch_designer.shown_text import on_one_line
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.harness.reuse.cache_entry import Entry
    from pytorch_designer.harness.reuse.reuse_cache import ReuseCache

_MEBIBYTE = 1 << 20


def run_cache(arguments: Sequence[str], program: str) -> int:
    """List or clear what is kept, and return the exit code.

    Raises:
        DesignerError: The folder is not a cache, or cannot be read or written.
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
    """
    parser = CommandParser(
        prog=f"{program} cache",
        description="Shows or removes what `run` keeps: results of pipeline nodes, and environments that it has built.",
        epilog="PYTORCH_DESIGNER_REUSE_CACHE names the folder, PYTORCH_DESIGNER_REUSE_CACHE_BYTES its largest size.",
    )
    parser.add_argument("action", choices=("list", "clear"), help="show what is kept, or remove all of it")
    options = parser.parse_args(arguments)
    cache = open_cache(settings().reuse_cache, settings().reuse_cache_bytes)
    environments = built_environments()
    with writing_errors(cache.folder):
        if options.action == "clear":
            num_entries, num_bytes = cache.clear()
            lines = [f"Removed {count(num_entries, 'result')}, {num_bytes / _MEBIBYTE:.1f} MiB, from {cache.folder}"]
        else:
            lines = _listing(cache)
    kept = environments.listing()
    if kept and options.action == "clear":
        with writing_errors(environments.folder):
            lines.append(f"Removed {count(environments.clear(), 'environment')} from {environments.folder}")
    elif kept:
        lines.append(f"{count(len(kept), 'environment')} in {environments.folder}")
    print("\n".join(lines))
    return 0


def _listing(cache: ReuseCache) -> list[str]:
    entries = cache.entries()
    total = sum(entry.num_bytes for entry in entries)
    size = f"{total / _MEBIBYTE:.1f} of at most {cache.max_bytes / _MEBIBYTE:.1f} MiB"
    lines = [f"{count(len(entries), 'result')}, {size}, in {cache.folder}"]
    if entries:
        lines.append(f"{'key':<12}  {'made':<19}  {'last used':<19}  {'MiB':>9}  node (component)")
    return lines + [_line(entry, cache.last_used(entry)) for entry in entries]


def _line(entry: Entry, last_used: float) -> str:
    size = f"{entry.num_bytes / _MEBIBYTE:>9.1f}"
    owner = on_one_line(f"{entry.node} ({entry.component})")
    return f"{entry.key[:12]}  {_date(entry.stored)}  {_date(last_used)}  {size}  {owner}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
