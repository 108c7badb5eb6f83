"""Duplicates: images of the same bytes, within a dataset and in a second one.

Files of different sizes, or with different first bytes, are not read again; only what is left is hashed as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.inspection.image_facts import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.inspection.dataset_inspection import Inspection

_PATHS_AT_ONCE = 4096


@dataclass(frozen=True)
class DuplicateGroup:
    """Images of the same content.

    Attributes:
        rows: Their rows in the dataset, rising; may be none where all are in the second dataset.
        other_rows: Their rows in the second dataset.
    """

    rows: tuple[int, ...]
    other_rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Duplicates:
    """All groups of equal images, in the order of their first image.

    Attributes:
        dataset: The dataset.
        groups: Groups of at least two images.
    """

    dataset: ImageDirectory
    groups: tuple[DuplicateGroup, ...]

    @property
    def inside(self) -> list[DuplicateGroup]:
        """Groups with several images of the dataset."""
        return [group for group in self.groups if len(group.rows) > 1]

    @property
    def shared(self) -> list[DuplicateGroup]:
        """Groups with images of both datasets."""
        return [group for group in self.groups if group.rows and group.other_rows]

    @property
    def across_classes(self) -> list[DuplicateGroup]:
        """Groups with images of the dataset in several classes, of which at most one label is right."""
        labels = self.dataset.labels
        if labels is None:
            return []
        return [group for group in self.inside if len({int(labels[row]) for row in group.rows}) > 1]

    @property
    def num_copies(self) -> int:
        """Images of the dataset that repeat an earlier one."""
        return sum(len(group.rows) - 1 for group in self.inside)

    @property
    def num_shared(self) -> int:
        """Images of the second dataset that are in the first as well."""
        return sum(len(group.other_rows) for group in self.shared)


def find_duplicates(inspection: Inspection, other: Inspection | None = None) -> Duplicates:
    """The images of the same content in a dataset, and in a second one; unreadable files are no images."""
    both = [inspection] if other is None else [inspection, other]
    keys = np.concatenate([each.keys[each.readable] for each in both])
    paths = [(number, row) for number, each in enumerate(both) for row in np.flatnonzero(each.readable).tolist()]
    _, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
    candidates = [paths[place] for place in np.flatnonzero(counts[places] > 1).tolist()]
    groups: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for found, digest in zip(
        candidates, _hashes(both[number].dataset.path(row) for number, row in candidates), strict=True
    ):
        if digest is not None:
            groups[digest].append(found)
    return Duplicates(inspection.dataset, tuple(_group(found) for found in groups.values() if len(found) > 1))


def _group(found: list[tuple[int, int]]) -> DuplicateGroup:
    rows, other_rows = (tuple(row for number, row in found if number == wanted) for wanted in (0, 1))
    return DuplicateGroup(rows, other_rows)


def _hashes(paths: Iterator[Path]) -> Iterator[bytes | None]:
    with ThreadPoolExecutor(default_read_threads()) as threads:
        while some := list(islice(paths, _PATHS_AT_ONCE)):
            yield from threads.map(_hash_or_none, some)


def _hash_or_none(path: Path) -> bytes | None:
    try:
        return content_hash(path)
    except OSError:  # gone since it was looked at
        return None
