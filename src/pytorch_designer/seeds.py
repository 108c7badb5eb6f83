"""Seeds for the separate purposes of a run, from the one seed that the user gives."""

from __future__ import annotations

import hashlib
import json


def derive_seed(seed: int, *keys: str | int) -> int:
    """A seed (0 to 2^63 - 1) for one purpose, from the run's seed (any integer) and words or numbers that name it."""
    # JSON keeps ("a", "b") apart from ("ab",) and 1 from "1".
    digest = hashlib.blake2b(json.dumps([seed, *keys]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
