r"""Columns of a scored dataset, and `schema/_schema.json`, which gives the role of each.

    {"columnAttributes": [{"name": "id", ...}, {"name": "file", ...}, {"name": "category", ...},
                          {"name": "Scored Probabilities_cat", ...}, ..., {"name": "Scored Labels", ...}],
     "featureChannels": [],
     "labelColumns": {"True Labels": "category"},
     "scoreColumns": {"Scored Probabilities_cat": "Scored Probabilities_cat",
                      "Multi Class Assigned Labels": "Scored Labels"}}

Parquet and UTF-8 cannot hold lone surrogates, with which Python represents file names that are not UTF-8. In names and
labels such a character is written as `\udc80` to `\udcff` (six characters), and a backslash before text that would read
like that as `\u005c`, so that `unescape` returns exactly what `escape` was given. All other text,
backslashes included, is written as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.bounded_documents import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ID_COLUMN = "id"
FILE_COLUMN = "file"
LABEL_COLUMN = "category"
SCORED_LABEL_COLUMN = "Scored Labels"
PROBABILITY_PREFIX = "Scored Probabilities_"
TRUE_LABEL_ROLE = "True Labels"
SCORED_LABEL_ROLE = "Multi Class Assigned Labels"
MAX_SCHEMA_BYTES = 64 << 20  # a million classes take about as much

_AMBIGUOUS_BACKSLASH = re.compile(r"\\(?=u(?:d[89a-f][0-9a-f]{2}|005c))")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u(d[89a-f][0-9a-f]{2}|005c)")


@dataclass(frozen=True)
class ColumnRoles:
    """Roles of the columns; None or () where the dataset has no such column.

    Attributes:
        label: The true labels.
        scored_label: The predicted labels.
        probabilities: The probability of each class, in the order of the model's classes.
    """

    label: str | None
    scored_label: str | None
    probabilities: tuple[str, ...]


def escape(text: str) -> str:
    """`text` without lone surrogates; see the module's docstring."""
    guarded = _AMBIGUOUS_BACKSLASH.sub(r"\\u005c", text)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", guarded)


def unescape(text: str) -> str:
    """The text of which `escape` made `text`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def distinct_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """`class_names` with a number after each repeated one, as columns need different names.

    Only old models repeat a name: `Others`, which stands for every gap in the ids of their classes.
    """
    taken = set(class_names)
    seen: set[str] = set()
    distinct = []
    for class_name in class_names:
        name, number = class_name, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{class_name} ({number})"
        seen.add(name)
        distinct.append(name)
    return tuple(distinct)


def probability_column(class_name: str) -> str:
    """The name of the column that holds the probability of a class."""
    return PROBABILITY_PREFIX + escape(class_name)


def build_schema(class_names: Sequence[str], *, has_labels: bool, has_text_ids: bool) -> dict[str, Any]:
    """The content of `_schema.json` of scored images, as the old designer writes it."""
    text, number = ("String", "str"), ("Numeric", "float64")
    scores = [probability_column(name) for name in class_names]
    columns = [_column(ID_COLUMN, *(text if has_text_ids else ("Numeric", "int64")))]
    columns.append(_column(FILE_COLUMN, *text))
    columns += [_column(LABEL_COLUMN, *text)] if has_labels else []
    columns += [_column(score, *number) for score in scores]
    columns.append(_column(SCORED_LABEL_COLUMN, *text))
    return {
        "columnAttributes": columns,
        "featureChannels": [],
        "labelColumns": {TRUE_LABEL_ROLE: LABEL_COLUMN} if has_labels else {},
        "scoreColumns": {score: score for score in scores} | {SCORED_LABEL_ROLE: SCORED_LABEL_COLUMN},
    }


def find_roles(columns: Sequence[str], schema_path: Path | None) -> ColumnRoles:
    """The roles of `columns`: as the schema gives them, or by their usual names where it gives none.

    Raises:
        InvalidDatasetError: The schema is malformed ("malformed_schema") or names columns that the data lacks
            ("missing_columns").
    """
    label_columns, score_columns = ({}, {}) if schema_path is None else _read_roles(schema_path)
    missing = {*label_columns.values(), *score_columns.values()} - set(columns)
    if missing:
        raise InvalidDatasetError(
            "The schema names columns that the data does not have.",
            where=schema_path,
            examples=sorted(missing),
            reason="missing_columns",
        )
    scores = set(score_columns.values()) or set(columns)
    usual_label = LABEL_COLUMN if LABEL_COLUMN in columns else None
    usual_scored_label = SCORED_LABEL_COLUMN if SCORED_LABEL_COLUMN in scores else None
    return ColumnRoles(
        label=next(iter(label_columns.values()), usual_label),
        scored_label=score_columns.get(SCORED_LABEL_ROLE, usual_scored_label),
        probabilities=tuple(name for name in columns if name in scores and name.startswith(PROBABILITY_PREFIX)),
    )


def _column(name: str, kind: str, element_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "isFeature": False,
        "elementType": {"typeName": element_type, "isNullable": False},
    }


def _read_roles(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """`labelColumns` and `scoreColumns`."""
    try:
        document = read_json(path, MAX_SCHEMA_BYTES, InvalidDatasetError)
        label_columns, score_columns = (document.get(key) or {} for key in ("labelColumns", "scoreColumns"))
        names = [*label_columns.values(), *score_columns.values()]
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a column's name is not a string")
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidDatasetError(
            f"The schema is not a JSON object with the objects `labelColumns` and `scoreColumns`: {error}",
            where=path,
            reason="malformed_schema",
        ) from error
    return label_columns, score_columns
