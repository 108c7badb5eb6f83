"""Pictures of a page: small images with their names, labels and predictions, in the page itself."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.directories.scores.data_frame_schema import escape
from pytorch_designer.errors import shorten
from pytorch_designer.reporting.numbers import whole_percent
from pytorch_designer.shown_text import spreadsheet_text
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytorch_designer.reporting.outcomes import Outcomes

_MAX_NAME, _MAX_CLASS = 100, 30
OFF = "Pictures are left out: PYTORCH_DESIGNER_REPORT_IMAGES is off."


@dataclass(frozen=True)
class Picture:
    """One image of a dataset, as a page shows it.

    Attributes:
        file: What the user knows the image by.
        label: Its class; None for an image without a label.
        predicted: The class that it was taken for.
        confidence: Probability (0 to 1) of that class.
        label_probability: Probability of its class; NaN without a label.
        jpeg: A small copy; None where there is none.
    """

    file: str
    label: str | None
    predicted: str
    confidence: float
    label_probability: float
    jpeg: bytes | None

    @property
    def alternative(self) -> str:
        """Alternative text: "IMG_12.jpg: dog, taken for cat with 98%"."""
        return f"{shorten(self.file, _MAX_NAME)}: {self.said}"

    @property
    def said(self) -> str:
        """The label and the prediction: "dog, taken for cat with 98%"."""
        confidence, predicted = whole_percent(self.confidence), shorten(self.predicted, _MAX_CLASS)
        if self.label is None:
            return f"taken for {predicted} with {confidence}"
        label = shorten(self.label, _MAX_CLASS)
        if self.label == self.predicted:
            return f"{label}, recognized with {confidence}"
        return f"{label}, taken for {predicted} with {confidence}"

    @property
    def source(self) -> str:
        """The small copy as an address that needs no request."""
        from markupsafe import Markup

        # Base64 has no character that could end an attribute; a page shortens all other text.
        content = base64.b64encode(self.jpeg or b"").decode("ascii")
        return Markup(f"data:image/jpeg;base64,{content}")  # noqa: S704 - base64 needs no escaping


@dataclass(frozen=True)
class ClassPictures:
    """Pictures of one class.

    Attributes:
        name: The class.
        num_images: Images of the class that have scores.
        num_mistakes: How many of them were taken for another class.
        mistakes: The surest of these.
        examples: From the surest to the least sure.
    """

    name: str
    num_images: int
    num_mistakes: int
    mistakes: tuple[Picture, ...]
    examples: tuple[Picture, ...]


@dataclass(frozen=True)
class PictureSource:
    """Source of the pictures on a page.

    Attributes:
        outcomes: The images of the dataset.
        classes: Class names by index.
        name_of: What the user knows the image of a row by.
        jpegs: Small copies by row.
    """

    outcomes: Outcomes
    classes: Sequence[str]
    name_of: Callable[[int], str]
    jpegs: Mapping[int, bytes]

    def picture(self, row: int) -> Picture:
        """The picture of the image of a row, which has scores."""
        label = int(self.outcomes.labels[row])
        return Picture(
            file=self.name_of(row),
            label=None if label < 0 else self.classes[label],
            predicted=self.classes[int(self.outcomes.predicted[row])],
            confidence=float(self.outcomes.confidence[row]),
            label_probability=float(self.outcomes.label_probability[row]),
            jpeg=self.jpegs.get(row),
        )

    def pictures(self, rows: Sequence[int]) -> tuple[Picture, ...]:
        """The pictures of these rows, in their order."""
        return tuple(self.picture(row) for row in rows)


def mistakes_table(mistakes: Iterable[Picture]) -> str:
    """Images with their names, labels and predictions, as a CSV file for people."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("file", "class", "predicted class", "its probability", "probability of the class"))
    for mistake in mistakes:
        names = (mistake.file, mistake.label or "", mistake.predicted)
        shown = [spreadsheet_text(escape(name)) for name in names]
        writer.writerow([*shown, f"{mistake.confidence:.6g}", f"{mistake.label_probability:.6g}"])
    return stream.getvalue()


def missing_note(num_missing: int) -> str:
    """Note on the images that could not be shown; "" where all are."""
    return f"{count(num_missing, 'image')} could not be read again for this page." if num_missing else ""
