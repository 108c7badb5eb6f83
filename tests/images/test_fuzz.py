"""Damaged image files of all formats, some hundreds of those of the campaign `make fuzz`."""

from __future__ import annotations

import pytest

from tests.campaigns.fuzz import MAX_GROWTH_BYTES, fuzz
from tests.images.mutations import FORMATS, image_files, mutated_image

NUM_FILES = 700


@pytest.mark.slow
def test_damaged_files_of_every_format_are_decoded_or_named_by_a_process_that_lives() -> None:
    findings = fuzz(0, NUM_FILES, num_workers=1, kinds=["images"])
    assert findings.faults == []
    assert findings.num_files == NUM_FILES
    assert findings.growth_bytes < MAX_GROWTH_BYTES
    assert all(findings.taken[name] and findings.refused[name] for name in FORMATS), (
        "the damage is neither all nor nothing"
    )


def test_the_same_number_gives_the_same_damaged_file() -> None:
    assert [mutated_image(number) for number in range(50)] == [mutated_image(number) for number in range(50)]
    originals = {content for files in image_files().values() for content in files}
    assert sum(mutated_image(number)[1] in originals for number in range(50)) < 5
