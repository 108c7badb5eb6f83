"""Seed derivation: a separate seed per purpose of a run, from the user's seed."""

from __future__ import annotations

import hashlib
import json


def derive_seed(seed: int, *keys: str | int) -> int:
    """A seed (0 to 2^63 - 1) for one purpose, from the run's seed (any integer) and the keys that name the purpose."""
    # JSON distinguishes ("a", "b") from ("ab",) and 1 from "1".
    digest = hashlib.blake2b(json.dumps([seed, *keys]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
