"""Seeds depend on their keys alone."""

from __future__ import annotations

import hashlib

from pytorch_designer.seeds import derive_seed


def test_seed_is_63_bits_of_a_hash_of_its_keys() -> None:
    digest = hashlib.blake2b(b'[-5, "step", 3]', digest_size=8).digest()
    assert derive_seed(-5, "step", 3) == int.from_bytes(digest, "big") // 2


def test_keys_that_read_alike_give_different_seeds() -> None:
    keys: list[tuple[str | int, ...]] = [(), ("a", "b"), ("ab",), ("a,b",), (1,), ("1",), (1, 1), (11,)]
    assert len({derive_seed(0, *parts) for parts in keys}) == len(keys)
