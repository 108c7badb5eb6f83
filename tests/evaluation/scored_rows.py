"""Scored datasets for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.scores.scored_dataset import UNLABELED, UNSCORED, ScoredDataset
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES = ("cat", "dog", "cow")


def scored(
    probabilities: Any,
    labels: Sequence[str | None] | None,
    classes: Sequence[str] = CLASSES,
    ids: Sequence[Any] | None = None,
    files: Sequence[str] | None = None,
) -> ScoredDataset:
    """A dataset of these rows; ids count from 0 unless they are given, the predicted class is the likeliest one."""
    scores = np.asarray(probabilities, dtype=np.float64).reshape(-1, len(classes))
    is_scored = ~np.isnan(scores).any(axis=1)
    predicted = np.full(len(scores), UNSCORED)
    predicted[is_scored] = scores[is_scored].argmax(axis=1)
    names = (*classes, *sorted({label for label in labels or () if label is not None} - set(classes)))
    indices = None
    if labels is not None:
        indices = np.array([UNLABELED if label is None else names.index(label) for label in labels], dtype=np.int64)
    given = list(range(len(scores)) if ids is None else ids)
    has_text_ids = any(isinstance(image_id, str) for image_id in given)
    return ScoredDataset(
        class_names=tuple(classes),
        label_names=names,
        labels=indices,
        probabilities=scores,
        predicted=predicted,
        ids=tuple(given) if has_text_ids else np.array(given, dtype=np.int64),
        files=None if files is None else StringColumn.from_strings(files),
    )
