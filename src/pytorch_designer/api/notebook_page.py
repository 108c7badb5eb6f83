"""HTML of results in a notebook: numbers, charts and pictures, without scripts, in the colors around them."""

from __future__ import annotations

import base64
import io
import itertools
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.sources.image_rows import UNLABELED
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.reporting.page import render_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.reporting.figures import Chart

MAX_PICTURES = 8
_MAX_SIDE = 192
_IDENTIFIERS = re.compile(r'((?:\bid="|url\(#|href="#))')


@dataclass(frozen=True)
class PagePicture:
    """Picture of a result.

    Attributes:
        pixels: uint8 [height, width, 3].
        caption: What is below it.
        text: What it shows, for those who do not see it.
    """

    pixels: NDArray[np.uint8]
    caption: str
    text: str

    @property
    def source(self) -> Any:
        """A data URL of a small JPEG, or of a PNG where the image is small already."""
        from markupsafe import Markup
        from PIL import Image

        image = Image.fromarray(self.pixels)
        kind = "PNG" if max(image.size) <= _MAX_SIDE // 2 else "JPEG"
        image.thumbnail((_MAX_SIDE, _MAX_SIDE))
        stream = io.BytesIO()
        image.save(stream, kind)
        content = base64.b64encode(stream.getvalue()).decode()
        return Markup(f"data:image/{kind.lower()};base64,{content}")  # noqa: S704 - base64 needs no escaping


@dataclass(frozen=True)
class NotebookTable:
    """Table of a result; the first column holds names, the others numbers or names.

    Attributes:
        header: Titles of the columns.
        rows: Cells as text.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def notebook_page(
    title: str,
    *,
    numbers: Mapping[str, str],
    remark: str = "",
    charts: Mapping[str, Chart] | None = None,
    pictures: Iterable[PagePicture] = (),
    table: NotebookTable | None = None,
) -> str:
    """The HTML of a result, to be shown inside of another page.

    Args:
        title: One line.
        numbers: Values by what they are.
        remark: A sentence below the title.
        charts: By their captions.
        pictures: At most `MAX_PICTURES` are shown.
        table: Details.
    """
    from markupsafe import Markup

    drawn = {
        caption: Markup(_own_identifiers(chart.inline_svg))  # noqa: S704 - the SVG that matplotlib wrote
        for caption, chart in (charts or {}).items()
    }
    return render_page(
        "notebook_result.html",
        title=title,
        remark=remark,
        numbers=numbers,
        charts=drawn,
        pictures=list(itertools.islice(pictures, MAX_PICTURES)),
        table=table,
    )


def example_rows(images: ImageDirectory) -> Iterator[int]:
    """Rows of a few images, evenly spread over the classes."""
    if images.labels is None:
        yield from np.unique(np.linspace(0, len(images) - 1, min(len(images), MAX_PICTURES)).astype(np.int64)).tolist()
        return
    present = np.unique(images.labels[images.labels != UNLABELED])
    if not len(present):
        return
    chosen = present[np.unique(np.linspace(0, len(present) - 1, min(len(present), MAX_PICTURES)).astype(np.int64))]
    for label in chosen.tolist():
        yield int(np.argmax(images.labels == label))


def pictures_of(images: ImageDirectory, predictions: Mapping[int, str] | None = None) -> Iterator[PagePicture]:
    """Pictures of some rows of a dataset; files that cannot be read are left out.

    Args:
        images: Labeled or not.
        predictions: What to show, and what a model takes each image for; None: examples, without.
    """
    from pytorch_designer.images.decode import decode_image, read_image_file

    for row in example_rows(images) if predictions is None else predictions:
        try:
            image = decode_image(read_image_file(images.path(row)))
        except BadImageError:
            continue
        label = "" if images.labels is None or images.labels[row] == UNLABELED else images.classes[images.labels[row]]
        predicted = "" if predictions is None else predictions[row]
        caption = ", ".join(filter(None, (label, f"predicted {predicted}" if predicted else "")))
        text = f"{images.name(row)}: {caption}" if caption else images.name(row)
        yield PagePicture(image.permute(1, 2, 0).contiguous().numpy(), caption or images.name(row), text)


def _own_identifiers(svg: str) -> str:
    """Make identifiers differ from those of the same chart in other outputs of a page."""
    return _IDENTIFIERS.sub(rf"\g<1>{uuid.uuid4().hex[:8]}-", svg)
